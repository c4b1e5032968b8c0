-- name: claim_session
-- A new turn for this owner, unless another owner's lease still runs. $9 is the lease in seconds.
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
where s.lease_expires_at is null or s.lease_expires_at < now() or s.lease_owner = excluded.lease_owner
returning lease_epoch

-- name: lease_holder
select lease_owner, room_sid from sessions where session_id = $1

-- name: renew_lease
update sessions
set lease_expires_at = now() + make_interval(secs => $4)
where session_id = $1 and lease_owner = $2 and lease_epoch = $3
returning session_id

-- name: release_lease
update sessions
set lease_expires_at = null
where session_id = $1 and lease_owner = $2 and lease_epoch = $3

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
