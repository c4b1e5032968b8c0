-- name: claim_session
-- A new turn for this owner, unless another owner's lease still runs. $9 is the lease in seconds.
-- A recorder that claims was not started in vain. What clients told of the session before it began stays in
-- `client_record` alone: it goes on, from the room's start, whatever they said of its end. Whose it is: `settle_owner`.
with before as (select lease_expires_at, room_sid from sessions where session_id = $1),
     begun as (update recorder_starts set attempts = 0 where room_sid = $3 and attempts > 0)
insert into sessions as s (session_id, room_name, room_sid, counselor_category, mode, mode_known, status,
                           start_time, lease_owner, lease_epoch, lease_expires_at)
values ($1, $2, $3, $4, $5, $6, 'in_progress', $7, $8, 1, now() + make_interval(secs => $9))
on conflict (session_id) do update
set lease_owner = excluded.lease_owner,
    lease_epoch = s.lease_epoch + 1,
    lease_expires_at = excluded.lease_expires_at,
    room_name = excluded.room_name,
    room_sid = excluded.room_sid,
    counselor_category = coalesce(excluded.counselor_category, s.counselor_category),
    mode = case when excluded.mode_known then excluded.mode else s.mode end,
    mode_known = excluded.mode_known or s.mode_known,
    start_time = case when s.lease_epoch = 0 then excluded.start_time else least(s.start_time, excluded.start_time) end,
    transcript = case when s.lease_epoch = 0 then '[]' else s.transcript end,
    quality_metrics = case when s.lease_epoch = 0 then '{}' else s.quality_metrics end,
    status = case when s.lease_epoch = 0 then 'in_progress' else s.status end,
    end_time = case when s.lease_epoch = 0 then null else s.end_time end,
    duration_seconds = case when s.lease_epoch = 0 then null else s.duration_seconds end,
    end_reason = case when s.lease_epoch = 0 then null else s.end_reason end,
    updated_at = now()
where s.lease_owner is null or s.lease_expires_at is null or s.lease_expires_at < now()
   or s.lease_owner = excluded.lease_owner
returning lease_epoch,
          -- How long ago whoever had it before, and never let it go, was last known to live.
          (select now() - (lease_expires_at - make_interval(secs => $9)) from before) as predecessor_ago,
          (select before.room_sid = $3 from before) as same_room

-- name: lease_holder
-- $2 is the lease in seconds.
select coalesce(lease_owner, '') as owner, coalesce(room_sid, '') as room_sid,
       coalesce(extract(epoch from now() - (lease_expires_at - make_interval(secs => $2))), 0)::float8 as renewed_ago
from sessions where session_id = $1

-- name: release_lease
-- Of a session that goes on ($4) it stays known until when it was recorded. $5 is the lease in seconds.
update sessions
set lease_owner = null, lease_expires_at = case when $4 then now() + make_interval(secs => $5) end
where session_id = $1 and lease_owner = $2 and lease_epoch = $3

-- name: take_turn
-- Ends the turns of all before, and leaves what tells of them. $9 is the lease in seconds.
insert into sessions as s (session_id, room_name, room_sid, counselor_category, mode, mode_known, status,
                           start_time, lease_epoch)
values ($1, $2, $3, $4, $5, $6, 'in_progress', $7, 1)
on conflict (session_id) do update
set lease_owner = null,
    lease_epoch = s.lease_epoch + 1,
    counselor_category = coalesce(s.counselor_category, excluded.counselor_category),
    start_time = case when s.lease_epoch = 0 then excluded.start_time else least(s.start_time, excluded.start_time) end
where s.lease_owner is null or s.lease_expires_at is null or s.lease_expires_at < now()
   or s.lease_owner = $8
returning now() - (lease_expires_at - make_interval(secs => $9)) as predecessor_ago

-- name: session_owner
-- For whoever is about to settle it.
select user_id, owner_proof as proof, viewers, counselor_category, mode from sessions where session_id = $1 for update

-- name: settle_owner
-- Whose session it is ($2, proven by $3) and who was seen in it ($4), with what the room says of it ($5, $6). Where an
-- owner is known, only their client's record is left, and those of whom LiveKit saw, and staff's.
update sessions
set user_id = $2, owner_proof = $3, viewers = $4, counselor_category = $5, mode = $6,
    mode_known = mode_known or $7,
    client_record = case when $2::uuid is null then client_record else (
        select jsonb_object_agg(teller, told) from jsonb_each(client_record) as r (teller, told)
        where teller = $2::text or teller = any($4::uuid[]::text[]) or told ? 'staff') end,
    updated_at = now()
where session_id = $1

-- name: end_turn
-- Until when a session was recorded matters only while it may go on.
update sessions set lease_expires_at = null where session_id = $1 and status = 'completed'

-- name: revoke_lease
-- `lease_expires_at` stays: it tells when the recorder was last known to live.
update sessions set lease_owner = null where session_id = $1

-- name: held_sessions
-- A worker that lives ($3 does, it asks) would have said that a job of its own is gone: a lease that ran out
-- for no longer than $4 seconds tells of a busy machine. One that is not seen for $1 seconds is dead, at the latest.
-- $2 is the lease in seconds.
select s.session_id, s.room_sid,
       extract(epoch from now() - coalesce(s.lease_expires_at - make_interval(secs => $2), s.updated_at))::float8
           as unseen,
       s.lease_owner is not null
       and case when w.worker is null then s.lease_expires_at > now()
                when w.worker = $3 or worker_lives(w.worker, w.seen_at, $1)
                then s.lease_expires_at > now() - make_interval(secs => $4)
                else false end as alive
from sessions s
left join workers w on w.worker = split_part(s.lease_owner, '+', 1)
where (s.status = 'in_progress' and s.lease_epoch > 0) or s.lease_owner is not null

-- name: bind_room
-- The session of a room ($1: its sid), which whoever asks first settles: the one that somebody records in it (of the release
-- before, which binds nothing), or in a room of its name ($3, null where it does not count), or else $2. To the recorder all
-- have left for a moment where LiveKit's server is restarted, and its session is complete; a room that all have left
-- stays for longer. One that was closed over their heads is over: the next of its name is others'.
insert into room_sessions (room_sid, session_id)
values ($1, coalesce(
    (select session_id from sessions where lease_owner is not null and room_sid = $1 limit 1),
    (select session_id from sessions
     where lease_owner is not null and lease_expires_at > now() and room_name = $3
       and (status = 'in_progress'
            or (updated_at > now() - interval '10 seconds' and end_reason is distinct from 'room_closed'))
     order by start_time desc limit 1),
    $2::uuid))
on conflict (room_sid) do update set at = now()
returning session_id

-- name: sessions_of_rooms
select room_sid, session_id from room_sessions where room_sid = any($1::text[])
union all
select distinct on (s.room_sid) s.room_sid, s.session_id from sessions s
where s.lease_owner is not null and s.room_sid = any($1::text[])
  and not exists (select from room_sessions r where r.room_sid = s.room_sid)

-- name: purge_bindings
delete from room_sessions r
where r.at < now() - interval '1 day'
  and not exists (select from sessions s where s.session_id = r.session_id and s.room_sid = r.room_sid
                  and (s.status = 'in_progress' or s.lease_owner is not null))

-- name: purge_starts
delete from recorder_starts where at < now() - interval '1 day'

-- name: held_lately
select lease_expires_at > now() - make_interval(secs => $2) from sessions where session_id = $1

-- name: revoke_leases_of_job
update sessions set lease_owner = null
where lease_owner is not null and room_name = $2 and split_part(lease_owner, '+', 1) = $1

-- name: stale_sessions
select session_id, room_name, room_sid from sessions
where status = 'in_progress' and start_time < now() - make_interval(secs => $1)
  and (lease_owner is null or lease_expires_at is null or lease_expires_at < now())
order by start_time

-- name: remove_unused
-- Sessions that a client opened so many seconds ago ($1), in none of these rooms ($2), of which nothing was heard since.
delete from sessions s
where s.status = 'in_progress' and s.lease_epoch = 0 and s.client_record is null and s.updated_at = s.created_at
  and s.created_at < now() - make_interval(secs => $1) and s.room_name <> all($2::text[])
  and not exists (select from video_participants p where p.session_id = s.session_id)
  and not exists (select from session_events e where e.session_id = s.session_id)
returning s.session_id

-- name: beat
-- And which other workers ($4: seen within so many seconds) are ready for rooms.
with us as (
    insert into workers (worker, rooms, ready, seen_at, report) values ($1, $2, $3, now(), $5)
    on conflict (worker) do update
    set rooms = excluded.rooms, ready = excluded.ready, seen_at = now(), report = excluded.report
)
select worker, greatest(coalesce((report ->> 'max_rooms')::float8, 0) - rooms, 0) as free,
       coalesce(report ->> 'dispatch' = 'own', false) as starts
from workers where worker <> $1 and ready and seen_at > now() - make_interval(secs => $4)

-- name: retire_worker
delete from workers where worker = $1 or seen_at < now() - interval '1 day'

-- name: load_starts
-- Of a worker that is dead ($1: not seen for so many seconds) nothing will come: as if it was long ago ($2).
select r.room_sid, r.attempts,
       greatest(extract(epoch from now() - r.at)::float8,
                case when worker_lives(w.worker, w.seen_at, $1) then 0 else $2 end) as ago
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
                  where w.worker = r.worker and worker_lives(w.worker, w.seen_at, $4))
returning attempts

-- name: note_first_start
insert into recorder_starts (room_sid, worker, attempts, at)
select $1, $3, 1, now()
where not exists (select from sessions where lease_owner is not null and lease_expires_at > now()
                  and (room_sid = $1 or (room_name = $2 and (status = 'in_progress'
                                         or (updated_at > now() - interval '10 seconds'
                                             and end_reason is distinct from 'room_closed')))))
on conflict (room_sid) do nothing
returning true

-- name: void_start
-- The job that was started is gone: the next need not wait ($3: as long as one is given).
update recorder_starts set at = least(at, now() - make_interval(secs => $3)) where worker = $1 and room_sid = $2

-- name: write_changes
-- In one statement: the lease is renewed, in the room's present sid ($5), and the events are journaled, with what they
-- tell of readings and stays. Nothing without the lease; $2 is null where a transaction has it already. It counts as
-- renewed 0.2 s before this arrived, when it was not sent yet: whoever dies next is not said to have told what came
-- after ($4: the lease in seconds).
with renewed as (
    update sessions
    set lease_expires_at = now() + make_interval(secs => $4::float8 - 0.2), room_sid = coalesce($5, room_sid)
    where session_id = $1 and lease_owner = $2 and lease_epoch = $3
    returning session_id
), ours as (
    select session_id from renewed union all select $1 where $2::text is null
), told as (
    select ours.session_id, e.seq, e.at, e.kind, e.data
    from ours, unnest($6::bigint[], $7::timestamptz[], $8::text[], $9::jsonb[]) as e (seq, at, kind, data)
), journaled as (
    insert into session_events (session_id, seq, at, kind, data)
    select session_id, seq, at, kind, data from told
    on conflict (session_id, seq) do nothing
), measured as (
    insert into quality_readings (session_id, read_at, identity, track_sid, source, leg, bitrate_kbps, fps,
                                  packets_lost, packets_received, jitter_ms, round_trip_ms, width, height, seconds,
                                  packets_lost_upstream, packets_repaired, concealed_percentage, mos, freeze_count,
                                  freeze_seconds)
    select told.session_id, told.at, r.identity, r.track_sid, r.source, r.leg, r.bitrate_kbps, r.fps,
           r.packets_lost, r.packets_received, r.jitter_ms, r.round_trip_ms, r.width, r.height, r.seconds,
           r.packets_lost_upstream, r.packets_repaired, r.concealed_percentage, r.mos, r.freeze_count,
           r.freeze_seconds
    from told, jsonb_populate_record(null::quality_readings, told.data) r
    where told.kind = 'QualityRead'
    on conflict do nothing
), stayed as (
    insert into video_participants as p (participant_id, session_id, user_id, identity, participant_sid, name, role,
                                         kind, joined_at, left_at)
    select s.participant_id, ours.session_id, s.user_id, s.identity, s.participant_sid, s.name, s.role,
           s.kind, s.joined_at, s.left_at
    from ours, jsonb_populate_recordset(null::video_participants, $10) s
    on conflict (participant_id) do update
    set joined_at = least(p.joined_at, excluded.joined_at),
        left_at = coalesce(excluded.left_at, p.left_at),
        user_id = coalesce(excluded.user_id, p.user_id),
        name = excluded.name,
        role = excluded.role,
        kind = excluded.kind
)
select exists (select from ours)

-- name: load_events
select seq, at, kind, data from session_events where session_id = $1 order by seq

-- name: write_session
-- Words are those that were heard, or came through the room; a client's figures count where nothing was measured.
update sessions
set status = $2,
    start_time = $3,
    end_time = $4,
    duration_seconds = floor(extract(epoch from $4::timestamptz - $3::timestamptz))::integer,
    transcript = $5,
    quality_metrics = fuller_metrics($6, client_record -> user_id::text -> 'quality_metrics'),
    gaps = $7,
    end_reason = $8,
    coverage = $9,
    updated_at = now()
where session_id = $1

-- name: end_told_stays
-- Who only told that they joined was there no longer than the session.
update video_participants p set left_at = greatest(s.end_time, p.joined_at)
from sessions s
where p.session_id = $1 and s.session_id = $1 and s.status = 'completed' and p.participant_sid is null and p.left_at is null

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
returning true

-- name: note_adopted
-- Sessions of a platform's own table (`db/adoption.sql`) are what their users' clients told, whom it knew.
update sessions
set owner_proof = 'opened', mode_known = true,
    client_record = jsonb_build_object(user_id, jsonb_build_object(
        'transcript', transcript, 'quality_metrics', nullif(quality_metrics, '{}')))
where user_id is not null

-- name: load_stays
-- Those the recorder saw; those clients told of, where it saw nobody.
select * from video_participants p
where session_id = $1 and (participant_sid is not null or not exists (
    select from video_participants where session_id = $1 and participant_sid is not null))
order by joined_at, participant_sid

-- name: load_readings
select * from quality_readings where session_id = $1 order by read_at, identity, track_sid

-- name: purge_journal
delete from session_events e
using sessions s
where s.session_id = e.session_id and s.status = 'completed' and s.updated_at < now() - interval '1 day'

-- name: note_visit
insert into room_visits (room_sid, participant_sid, identity, name, role, is_agent, user_id, joined_at, left_at)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
on conflict (room_sid, participant_sid) do update set left_at = coalesce(room_visits.left_at, excluded.left_at)

-- name: visits_of
select * from room_visits
where room_sid = $1 and (participant_sid <> all ($2::text[]) or participant_sid = any ($3::text[]) and left_at is not null)
order by joined_at

-- name: purge_visits
delete from room_visits where told_at < now() - interval '1 day'

-- What people see. All of it runs as the role coaching_web, for one user: see `db.viewer`. $1 is that user, null
-- for staff, who see everything; others see their own sessions and those that LiveKit saw them in.

-- name: become_viewer
select set_config('role', 'coaching_web', true), set_config('app.user_id', $1, true), set_config('app.role', $2, true),
       set_config('app.sees_attended', $3, true)

-- name: may_act_for_viewers
select exists (select from pg_roles where rolname = 'coaching_web' and pg_has_role(oid, 'member'))

-- name: history_page
-- Which sessions first, by index, and only then what is told of them. Searched for ($7), they are found elsewhere.
with shown as materialized (
    select n.session_id from newest_sessions($2, $3, $4, $5, $6::integer) n where $7::text is null
), found as materialized (
    select w.session_id from search_own_sessions($7::tsquery, $2, $3, $4, $5, $6::integer) w where $7 is not null
)
select s.session_id, s.user_id, s.counselor_category, s.mode, s.status, s.start_time, s.end_time, s.duration_seconds,
       s.quality_metrics - 'participants' as quality_metrics, s.coverage -> 'share' as coverage_share,
       s.created_at, s.updated_at, p.participants
from (table shown union all table found) page
join sessions s on s.session_id = page.session_id and ($1::uuid is null or s.user_id = $1 or $1 = any(s.viewers))
cross join lateral (
    -- Whom the recorder saw; whom clients told of, where it saw nobody.
    select coalesce(nullif(count(distinct identity) filter (where participant_sid is not null), 0),
                    count(distinct coalesce(user_id::text, participant_id::text))) as participants
    from video_participants where session_id = s.session_id
) p
order by s.start_time desc, s.session_id desc

-- name: as_search
-- Words as people type them; one of five letters or more is also the beginning of longer ones (what begins with fewer
-- is too much to look through). Null where there are none.
select nullif(regexp_replace(websearch_to_tsquery('pg_catalog.simple', $1)::text,
                             '(?<![^ (!])(''(?:[^'']|''''){5,}'')', '\1:*', 'g'), '')

-- name: matching_lines
-- The first words in each of these sessions that the search is about, heard ones before those that clients told: entries
-- come in order, and no more than needed are looked at. Most are ruled out by their letters ($4): to take words apart
-- costs ten times as much.
select s.session_id, line.text, line.said_at, line.told
from sessions s
cross join lateral (
    select entry ->> 'text' as text, entry ->> 'timestamp' as said_at, by_client as told
    from (
        select s.transcript as entries, s.lease_epoch = 0 as by_client
        union all
        select told -> 'transcript', true from jsonb_each(s.client_record) as r (teller, told)
        where teller = s.user_id::text or teller = any(s.viewers::text[]) or told ? 'staff'
    ) said, jsonb_array_elements(entries) as e (entry)
    where entry ->> 'text' ilike any($4::text[])
      and to_tsvector('pg_catalog.simple', left(entry ->> 'text', 20000)) @@ replace(querytree($3::text::tsquery), ' & ', ' | ')::tsquery
    limit 1
) line
where s.session_id = any($2) and ($1::uuid is null or s.user_id = $1 or $1 = any(s.viewers))

-- name: one_session
-- For recorders too, with no user. All but what only serves search.
select session_id, room_name, room_sid, user_id, owner_proof, viewers, counselor_id, counselor_category, mode, status,
       start_time, end_time, duration_seconds, transcript, client_record, quality_metrics, gaps, coverage, end_reason,
       created_at, updated_at, lease_owner, lease_epoch, lease_expires_at
from sessions where session_id = $2 and ($1::uuid is null or user_id = $1 or $1 = any(viewers))

-- name: note_access
-- Staff read what is another's ($3: not their own): once in ten minutes is enough to know.
insert into access_log (user_id, session_id, what)
select $1, $2, $3
where not exists (select from access_log where user_id = $1 and session_id is not distinct from $2 and what = $3
                  and at > now() - interval '10 minutes')

-- name: measured
-- What the recorder itself measured of each track.
select read_at, seconds, identity, track_sid, source, leg, bitrate_kbps, fps, packets_lost, packets_lost_upstream,
       packets_received, mos, freeze_seconds
from quality_readings where session_id = $1 and leg = 'sfu_to_recorder' order by read_at, identity, track_sid

-- name: freshness
-- Changes whenever something on the list, or in one session ($2), does.
select count(*) || '-' || coalesce(max(updated_at)::text, '') || '-' || coalesce((
           select max(seq)::text from session_events where session_id = $2), '') || '-' || coalesce((
           select count(*) || ',' || count(left_at) from video_participants where session_id = $2)::text, '')
from (
    select updated_at from sessions where session_id = $2 and ($1::uuid is null or user_id = $1 or $1 = any(viewers))
    union all
    select s.updated_at from newest_sessions(null, null, null, null, 100) n join sessions s on s.session_id = n.session_id
    where $2::uuid is null and n.start_time > now() - interval '2 days'
) seen

-- name: sessions_under_way
-- For staff. Those that a recorder holds too, though a client said that they are over.
select s.session_id, s.room_name, s.mode, s.counselor_category, s.start_time, s.lease_epoch as epoch,
       s.lease_expires_at, split_part(s.lease_owner, '+', 1) as worker,
       s.lease_owner is not null and s.lease_expires_at > now() as recorded,
       (select count(distinct identity) from video_participants p
        where p.session_id = s.session_id and p.left_at is null and p.participant_sid is not null) as present
from sessions s
where s.status = 'in_progress' or s.lease_owner is not null
order by s.start_time desc
limit $1

-- name: workers_seen
-- One that was not seen for a day is forgotten. $1: seconds without a sign of life until one counts as dead.
select worker, rooms, ready, seen_at, report, now() - seen_at < make_interval(secs => $1) as alive,
       seen_at - make_interval(secs => (report ->> 'reconciled_ago')::float8) as reconciled_at
from workers where seen_at > now() - interval '1 day' order by alive desc, worker

-- name: rooms_given_up
-- Rooms in which so many recorders ($1) were started in vain, within the hour.
select room_sid, attempts, at from recorder_starts
where attempts >= $1 and at > now() - interval '1 hour' order by at desc limit 100

-- name: lock_session
select user_id from sessions
where session_id = $2 and ($1::uuid is null or user_id = $1 or $1 = any(viewers)) for update

-- name: open_session
-- A session that a client begins or tells of; true when it was not there. $9: the counselor who begins it for nobody yet.
insert into sessions (session_id, room_name, user_id, owner_proof, counselor_category, mode, mode_known, status,
                      start_time, counselor_id)
values ($1, $2, $3, $4, $5, $6, $7, 'in_progress', $8, $9)
on conflict do nothing
returning true

-- name: adopt_session
select adopt_session($1)

-- name: session_for_counselor
select user_id, counselor_category, mode, status from session_for_counselor($1, $2)

-- name: save_client_record
-- What the client of the user $8 tells, kept as theirs; `staff` ($9) tell for others. Of a session that no recorder has
-- had it is the record, where its owner tells it ($10). Where a recorder has, figures count if it measured nothing.
-- What the session was about, and its mode, are its owner's to tell, too.
update sessions s
set counselor_category = case when $10 then coalesce(counselor_category, $3) else counselor_category end,
    mode = case when $10 and not mode_known then $11 else mode end,
    start_time = case when alone then least(start_time, $4) else start_time end,
    end_time = case when alone then greatest(end_time, $5) else end_time end,
    duration_seconds = case when alone then least(2147483647,
        floor(extract(epoch from greatest(end_time, $5) - least(start_time, $4))))::integer else duration_seconds end,
    status = case when alone then 'completed' else status end,
    end_reason = case when alone then coalesce(end_reason, 'told_by_client') else end_reason end,
    transcript = case when alone then fuller_transcript(transcript, $6) else transcript end,
    quality_metrics = case when alone then coalesce($7, quality_metrics)
                           when $10 then fuller_metrics(quality_metrics, $7) else quality_metrics end,
    client_record = coalesce(client_record, '{}') || jsonb_build_object($8::text, jsonb_strip_nulls(jsonb_build_object(
        'transcript', fuller_transcript(coalesce(client_record -> $8::text -> 'transcript', '[]'), $6),
        'quality_metrics', coalesce($7, client_record -> $8::text -> 'quality_metrics'),
        'staff', case when $9 then true end))),
    updated_at = now()
from (select $10::boolean and lease_epoch = 0 as alone from sessions where session_id = $2) known
where s.session_id = $2 and ($1::uuid is null or user_id = $1 or $1 = any(viewers))
returning mode

-- name: tell_status
-- For sessions that no recorder has had. The first start that is told ($4) replaces the one from when the session was
-- opened, where nothing else was told of it yet; later ones only move it back (somebody comes back). An end ($5), or a
-- start and a duration ($6), only moves it on. At most a week, and never before the start.
update sessions s
set status = $3,
    start_time = told.start_time,
    end_time = told.end_time,
    duration_seconds = floor(extract(epoch from told.end_time - told.start_time))::integer,
    end_reason = case $3 when 'completed' then coalesce(s.end_reason, 'told_by_client') end,
    updated_at = now()
from (
    select began.start_time, case $3 when 'completed' then
               least(began.start_time + interval '7 days',
                     greatest(began.start_time, known.end_time, coalesce(
                         $5::timestamptz, began.start_time + make_interval(secs => $6::integer),
                         case when known.end_time is null then now() end))) end as end_time
    from sessions known
    cross join lateral (
        select case when known.updated_at > known.created_at then least(known.start_time, $4::timestamptz)
                    else coalesce($4, $5::timestamptz - make_interval(secs => $6::integer), known.start_time) end as start_time
    ) began
    where known.session_id = $2
) told
where s.session_id = $2 and ($1::uuid is null or s.user_id = $1) and s.lease_epoch = 0
  and (s.status <> $3 or coalesce($4, $5) is not null or $6 is not null)

-- name: note_client
-- A client is there that tells of its session: it is not one that was only opened (`remove_unused`).
update sessions set client_record = '{}'
where session_id = $2 and ($1::uuid is null or user_id = $1) and lease_epoch = 0 and client_record is null

-- name: tell_join
insert into video_participants (session_id, user_id, name, role) values ($1, $2, $3, $4) returning *

-- name: open_stay
-- Somebody who is there already, by the recorder's own eyes or by a client's word.
select * from video_participants
where session_id = $1 and left_at is null and (user_id = $2 or identity = $2::text)
order by participant_sid is null, joined_at limit 1

-- name: tell_leave
-- What a recorder saw is not for a client to change. A session's owner tells of everybody, others of themselves.
update video_participants p
set left_at = case when p.participant_sid is null then coalesce(p.left_at, now()) else p.left_at end
from sessions s
where p.participant_id = $2 and s.session_id = p.session_id and ($1::uuid is null or s.user_id = $1 or p.user_id = $1)
returning p.*

-- name: sign_out
with ended as (delete from signed_out where until < now())
insert into signed_out (digest, until) values ($1, $2) on conflict do nothing

-- name: is_signed_out
select exists (select from signed_out where digest = $1)

-- name: openings_one_at_a_time
select pg_advisory_xact_lock(hashtextextended('opening ' || $1::text, 0))

-- name: count_openings
select opened, unjoined, seconds_left from openings_of_viewer($1)

-- name: count_saved
-- By when they were saved, whatever they say of their time: the table of viewers leads to one user's alone.
select count(*) from (
    select from session_viewers v join sessions s on s.session_id = v.session_id
    where v.user_id = $1 and v.owns and s.created_at > now() - interval '1 hour' and s.owner_proof = 'saved'
    limit $2
) lately

-- name: count_joins
select count(*) as joins, extract(epoch from min(joined_at) + interval '1 hour' - now())::float8 as seconds_left
from (
    select joined_at from video_participants
    where session_id = $1 and participant_sid is null and joined_at > now() - interval '1 hour'
    order by joined_at desc
    limit $2
) told
