-- name: new_sentences
create unlogged table if not exists bench_sentences (id integer primary key, text text not null)

-- name: forget_words
-- An index that is built at the end is built faster. `schema.sql` does.
drop index if exists sessions_of_words

-- name: add_sessions
-- Sessions $1 to $2 with $4 sentences each, within the last three years, of the user $3 or, where that is null, of
-- one of $5 others. Every $8th says a rare word ($6). Every 10,000th goes on. The counselor $9 was in them all.
insert into sessions (session_id, room_name, room_sid, user_id, owner_proof, viewers, counselor_category, mode, status, start_time, end_time,
                      duration_seconds, transcript, quality_metrics, end_reason, coverage, lease_epoch)
select s.id, 'coaching-' || s.id, 'RM_' || s.n, s.owner, 'attribute', array_remove(array[s.owner, $9::uuid], null), (array['college', 'career', 'writing', null])[1 + s.n % 4],
       case when s.n % 3 = 0 then 'voice' else 'video' end,
       case when s.n % 10000 = 1 then 'in_progress' else 'completed' end,
       s.at,
       case when s.n % 10000 <> 1 then s.at + s.lasting end, extract(epoch from s.lasting)::integer,
       case when s.n % $8::integer = 0 then said.entries || ((said.entries -> 0) || jsonb_build_object('text', $6::text))
            else said.entries end,
       '{"average_bitrate": 452.0, "average_fps": 14.8, "packet_loss_percentage": 0.4, "total_readings": 280,
         "connection_quality_average": "good", "participants": {}}',
       'room_empty', '{"share": 0.98, "participants": {}}', 1
from (
    select n, gen_random_uuid() as id, now() - random() * interval '3 years' as at,
           $4::integer * interval '9 seconds' as lasting,
           coalesce($3, md5('user ' || (random() * $5::integer)::integer)::uuid) as owner
    from generate_series($1::integer, $2::integer) n
) s
cross join lateral (
    select jsonb_agg(jsonb_build_object(
               'speaker', case when u.i % 2 = 0 then 'user' else 'counselor' end,
               'text', b.text,
               'timestamp', to_char((s.at + u.i * interval '9 seconds') at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
               'end', to_char((s.at + u.i * interval '9 seconds' + interval '7 seconds') at time zone 'UTC',
                              'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'),
               'identity', case when u.i % 2 = 0 then 'student-1' else 'counselor-1' end,
               'source', 'whisper',
               'language', 'en') order by u.i) as entries
    from (select i, 1 + floor(random() * $7::integer)::integer as which
          from generate_series(1, $4::integer + 0 * s.n) i) u
    join bench_sentences b on b.id = u.which
) said

-- name: add_stays
insert into video_participants (session_id, user_id, identity, participant_sid, name, role, joined_at, left_at)
select s.session_id, case who.role when 'student' then s.user_id else nullif(s.viewers[2], s.user_id) end, who.identity, 'PA_' || s.session_id || who.identity, who.name, who.role,
       s.start_time, s.end_time
from sessions s
cross join (values ('student-1', 'Sam', 'student'), ('counselor-1', 'Carol', 'counselor')) as who (identity, name, role)
where not exists (select from video_participants p where p.session_id = s.session_id)

-- name: add_readings
-- Every 10 s of each of $2 sessions of the user $1: microphone and camera of two people.
insert into quality_readings (session_id, read_at, identity, track_sid, source, leg, bitrate_kbps, fps, packets_lost,
                              packets_received, jitter_ms, round_trip_ms, width, height, seconds)
select s.session_id, at, who.identity, 'TR_' || who.identity || media.source, media.source, 'sfu_to_recorder',
       media.kbps * (0.8 + 0.4 * random()), media.fps, 0, 900, 3 * random(), 40 * random(), media.width, media.height, 10
from (select * from sessions where user_id = $1 and status = 'completed'
      and not exists (select from quality_readings r where r.session_id = sessions.session_id) limit $2) s
cross join generate_series(s.start_time, s.end_time, interval '10 seconds') at
cross join (values ('student-1'), ('counselor-1')) as who (identity)
cross join (values ('microphone', 32, null, null, null), ('camera', 900, 24, 1280, 720))
    as media (source, kbps, fps, width, height)

-- name: sample_sessions
select session_id, start_time from sessions s where user_id = $1 and status = 'completed'
  and exists (select from quality_readings r where r.session_id = s.session_id) order by random() limit $2

-- name: size
select count(*) as sessions, pg_size_pretty(pg_database_size(current_database())) as bytes from sessions

-- name: forget_sentences
drop table bench_sentences
