-- name: claim_session
-- A new turn for this owner, unless another owner's lease still runs. $9 is the lease in seconds.
with before as (select lease_expires_at, room_sid from sessions where session_id = $1)
insert into sessions as s (session_id, room_name, room_sid, user_id, counselor_category, mode, status,
                           start_time, lease_owner, lease_epoch, lease_expires_at)
values ($1, $2, $3, $4, $5, $6, 'in_progress', $7, $8, 1, now() + make_interval(secs => $9))
on conflict (session_id) do update
set lease_owner = excluded.lease_owner,
    lease_epoch = s.lease_epoch + 1,
    lease_expires_at = excluded.lease_expires_at,
    room_name = excluded.room_name,
    room_sid = excluded.room_sid,
    user_id = coalesce(s.user_id, excluded.user_id),
    counselor_category = coalesce(excluded.counselor_category, s.counselor_category),
    start_time = least(s.start_time, excluded.start_time),
    updated_at = now()
where s.lease_owner is null or s.lease_expires_at is null or s.lease_expires_at < now()
   or s.lease_owner = excluded.lease_owner
returning lease_epoch,
          -- How long ago whoever had it before, and never let it go, was last known to live.
          (select now() - (lease_expires_at - make_interval(secs => $9)) from before) as predecessor_ago,
          (select before.room_sid = $3 from before) as same_room

-- name: lease_holder
select lease_owner, room_sid from sessions where session_id = $1

-- name: renew_lease
-- The room has a new sid ($5) after LiveKit's server was restarted.
update sessions
set lease_expires_at = now() + make_interval(secs => $4), room_sid = coalesce($5, room_sid)
where session_id = $1 and lease_owner = $2 and lease_epoch = $3
returning session_id

-- name: release_lease
-- Of a session that goes on ($4) it stays known until when it was recorded. $5 is the lease in seconds.
update sessions
set lease_owner = null, lease_expires_at = case when $4 then now() + make_interval(secs => $5) end
where session_id = $1 and lease_owner = $2 and lease_epoch = $3

-- name: take_turn
-- Ends the turns of all before, and leaves what tells of them. $9 is the lease in seconds.
insert into sessions as s (session_id, room_name, room_sid, user_id, counselor_category, mode, status,
                           start_time, lease_epoch)
values ($1, $2, $3, $4, $5, $6, 'in_progress', $7, 1)
on conflict (session_id) do update
set lease_owner = null,
    lease_epoch = s.lease_epoch + 1,
    user_id = coalesce(s.user_id, excluded.user_id),
    counselor_category = coalesce(s.counselor_category, excluded.counselor_category),
    start_time = least(s.start_time, excluded.start_time)
where s.lease_owner is null or s.lease_expires_at is null or s.lease_expires_at < now()
   or s.lease_owner = $8
returning now() - (lease_expires_at - make_interval(secs => $9)) as predecessor_ago

-- name: end_turn
-- Until when a session was recorded matters only while it may go on.
update sessions set lease_expires_at = null where session_id = $1 and status = 'completed'

-- name: revoke_lease
-- `lease_expires_at` stays: it tells when the recorder was last known to live.
update sessions set lease_owner = null where session_id = $1

-- name: held_sessions
-- A worker that lives ($3 does, it asks) would have said that a job of its own is gone: a lease that ran out
-- for no longer than $4 seconds tells of a busy machine. One that is not seen for $1 seconds is dead.
-- $2 is the lease in seconds.
select s.session_id, s.room_sid,
       extract(epoch from now() - coalesce(s.lease_expires_at - make_interval(secs => $2), s.updated_at))::float8
           as unseen,
       s.lease_owner is not null
       and case when w.worker is null then s.lease_expires_at > now()
                when w.worker = $3 or w.seen_at > now() - make_interval(secs => $1)
                then s.lease_expires_at > now() - make_interval(secs => $4)
                else false end as alive
from sessions s
left join workers w on w.worker = split_part(s.lease_owner, '+', 1)
where (s.status = 'in_progress' and s.lease_epoch > 0) or s.lease_owner is not null

-- name: revoke_leases_of_job
update sessions set lease_owner = null where room_sid = $2 and split_part(lease_owner, '+', 1) = $1

-- name: stale_sessions
select session_id, room_name, room_sid from sessions
where status = 'in_progress' and start_time < now() - make_interval(secs => $1)
  and (lease_owner is null or lease_expires_at is null or lease_expires_at < now())
order by start_time

-- name: beat
-- And whether another worker ($4: seen within so many seconds) is ready for rooms.
with us as (
    insert into workers (worker, rooms, ready, seen_at) values ($1, $2, $3, now())
    on conflict (worker) do update set rooms = excluded.rooms, ready = excluded.ready, seen_at = now()
)
select exists (select from workers
               where worker <> $1 and ready and seen_at > now() - make_interval(secs => $4)) as others_ready

-- name: retire_worker
delete from workers where worker = $1 or seen_at < now() - interval '1 day'

-- name: load_starts
-- Of a worker that is dead ($1: not seen for so many seconds) nothing will come: as if it was long ago ($2).
select r.room_sid, r.attempts,
       greatest(extract(epoch from now() - r.at)::float8,
                case when w.seen_at > now() - make_interval(secs => $1) then 0 else $2 end) as ago
from recorder_starts r left join workers w using (worker)
where r.at > now() - interval '1 hour'

-- name: note_start
-- Nothing where one was started less than so many seconds ($3) ago, by a worker that lives ($4, as above).
insert into recorder_starts as r (room_sid, worker, attempts, at) values ($1, $2, 1, now())
on conflict (room_sid) do update
set worker = excluded.worker,
    attempts = case when r.at > now() - interval '10 minutes' then r.attempts + 1 else 1 end,
    at = now()
where r.at <= now() - make_interval(secs => $3)
   or not exists (select from workers w
                  where w.worker = r.worker and w.seen_at > now() - make_interval(secs => $4))
returning attempts

-- name: void_start
-- The job that was started is gone: the next need not wait ($3: as long as one is given).
update recorder_starts set at = least(at, now() - make_interval(secs => $3)) where worker = $1 and room_sid = $2

-- name: append_events
insert into session_events (session_id, seq, at, kind, data)
select $1, e.seq, e.at, e.kind, e.data
from unnest($2::bigint[], $3::timestamptz[], $4::text[], $5::jsonb[]) as e (seq, at, kind, data)
on conflict (session_id, seq) do nothing

-- name: load_events
select seq, at, kind, data from session_events where session_id = $1 order by seq

-- name: write_stay
insert into video_participants as p (participant_id, session_id, user_id, identity, participant_sid, name, role,
                                     joined_at, left_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
on conflict (participant_id) do update
set joined_at = least(p.joined_at, excluded.joined_at),
    left_at = coalesce(excluded.left_at, p.left_at),
    user_id = coalesce(excluded.user_id, p.user_id),
    name = excluded.name,
    role = excluded.role

-- name: write_reading
insert into quality_readings (session_id, read_at, identity, track_sid, source, leg, bitrate_kbps, fps, packets_lost,
                              packets_received, jitter_ms, round_trip_ms, width, height, seconds,
                              packets_lost_upstream, packets_repaired, concealed_percentage, mos, freeze_count,
                              freeze_seconds)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21)
on conflict do nothing

-- name: write_session
update sessions
set status = $2,
    start_time = $3,
    end_time = $4,
    duration_seconds = floor(extract(epoch from $4::timestamptz - $3::timestamptz))::integer,
    transcript = $5,
    quality_metrics = $6,
    gaps = $7,
    end_reason = $8,
    user_id = coalesce($9, user_id),
    coverage = $10,
    updated_at = now()
where session_id = $1

-- name: complete_untold
update sessions s
set status = 'completed',
    end_time = e.at,
    duration_seconds = floor(extract(epoch from e.at - s.start_time))::integer,
    end_reason = coalesce(end_reason, 'recorder_lost'),
    lease_owner = null,
    lease_expires_at = null,
    updated_at = now()
from (select greatest(s2.start_time, max(p.joined_at), max(p.left_at)) as at
      from sessions s2 left join video_participants p using (session_id)
      where s2.session_id = $1 group by s2.start_time) e
where s.session_id = $1 and s.status = 'in_progress'
  and (s.lease_owner is null or s.lease_expires_at is null or s.lease_expires_at < now())

-- name: load_session
select * from sessions where session_id = $1

-- name: load_stays
select * from video_participants where session_id = $1 order by joined_at, participant_sid

-- name: load_readings
select * from quality_readings where session_id = $1 order by read_at, identity, track_sid

-- name: purge_journal
delete from session_events e
using sessions s
where s.session_id = e.session_id and s.status = 'completed' and s.updated_at < now() - interval '1 day'
