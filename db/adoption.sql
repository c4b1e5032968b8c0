-- A table `sessions` that a platform made for itself before (session_id, user_id, counselor_category, mode, start_time,
-- end_time, duration_seconds, transcript, quality_metrics, created_at) becomes the recorder's, with its rows as finished
-- sessions that their clients told of. `db.adoption` runs this, once, in the transaction that applies schema.sql and
-- with the time zone UTC: a time without a zone is taken as UTC. `app.room_prefix`: what the names of rooms begin with.

-- The columns that are there get the recorder's types ...
alter table sessions
    add column if not exists user_id uuid,
    add column if not exists counselor_category text,
    add column if not exists end_time timestamptz,
    add column if not exists duration_seconds integer,
    add column if not exists transcript jsonb,
    add column if not exists quality_metrics jsonb,
    add column if not exists created_at timestamptz;
alter table sessions
    alter column session_id drop default,
    alter column user_id drop default,
    alter column counselor_category drop default,
    alter column mode drop default,
    alter column start_time drop default,
    alter column end_time drop default,
    alter column duration_seconds drop default,
    alter column transcript drop default,
    alter column quality_metrics drop default,
    alter column created_at drop default;
alter table sessions
    alter column session_id type uuid using session_id::text::uuid,
    alter column user_id type uuid using user_id::text::uuid,
    alter column counselor_category type text using counselor_category::text,
    alter column mode type text using lower(coalesce(mode::text, 'video')),
    alter column start_time type timestamptz using nullif(nullif(start_time::timestamptz, 'infinity'), '-infinity'),
    alter column end_time type timestamptz using nullif(nullif(end_time::timestamptz, 'infinity'), '-infinity'),
    alter column duration_seconds type integer using least(greatest(floor(duration_seconds::numeric), 0), 2147483647),
    alter column transcript type jsonb using transcript::text::jsonb,
    alter column quality_metrics type jsonb using quality_metrics::text::jsonb,
    alter column created_at type timestamptz using nullif(nullif(created_at::timestamptz, 'infinity'), '-infinity');

-- ... and the others come.
alter table sessions
    add column room_name text,
    add column room_sid text,
    add column status text not null default 'completed',
    add column gaps jsonb not null default '[]',
    add column end_reason text default 'told_by_client',
    add column updated_at timestamptz not null default now(),
    add column lease_owner text,
    add column lease_epoch bigint not null default 0,
    add column lease_expires_at timestamptz;
alter table sessions
    alter column status drop default,
    alter column end_reason drop default;

-- A time of an utterance: ISO 8601, or s or ms since 1970; null for anything else.
create function pg_temp.moment_of(told jsonb) returns timestamptz
language plpgsql stable as $$
declare
    written constant text := trim(told #>> '{}');
begin
    return case
        when written ~ '^\d{4}-\d\d-\d\d[T ]\d' then written::timestamptz
        when written ~ '^\d{12,14}(\.\d+)?$' then to_timestamp(written::float8 / 1000)
        when written ~ '^\d{9,10}(\.\d+)?$' then to_timestamp(written::float8)
    end;
exception when data_exception then
    return null;
end
$$;

create function pg_temp.iso(moment timestamptz) returns text
language sql immutable as $$ select to_char(moment at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"') $$;

-- Utterances as `POST /api/sessions/save` stores them, by time; one without a time comes with the one before it.
create function pg_temp.transcript_of(told jsonb, start_time timestamptz) returns jsonb
language sql stable as $$
    with entries as (
        select n, entry, pg_temp.moment_of(entry -> 'timestamp') as said_at
        from jsonb_array_elements(case jsonb_typeof(told) when 'array' then told else '[]' end)
             with ordinality as e (entry, n)
        where jsonb_typeof(entry) = 'object' and trim(entry ->> 'text') <> ''
    ), timed as (
        select n, entry, coalesce(said_at, max(said_at) over (order by n), start_time) as begun,
               case lower(trim(entry ->> 'speaker'))
                   when 'user' then 'user' when 'student' then 'user'
                   when 'counselor' then 'counselor' when 'assistant' then 'counselor' when 'agent' then 'counselor'
                   else 'participant' end as speaker
        from entries
    ), stored as (
        select n, begun, entry - 'track' || jsonb_build_object(
            'speaker', speaker,
            'text', trim(entry ->> 'text'),
            'timestamp', pg_temp.iso(begun),
            'end', pg_temp.iso(greatest(pg_temp.moment_of(entry -> 'end'), begun)),
            'identity', coalesce(nullif(trim(entry ->> 'identity'), ''), speaker),
            'source', 'data') as entry
        from timed
    )
    select coalesce(jsonb_agg(entry order by begun, n), '[]') from stored
$$;

-- A figure that is a number, or the text of one; null for anything else.
create function pg_temp.figure_of(told jsonb) returns numeric
language sql immutable as $$
    select case when trim(told #>> '{}') ~ '^\d{1,10}(\.\d*)?$' and jsonb_typeof(told) in ('number', 'string')
                then trim(told #>> '{}')::numeric end
$$;

create function pg_temp.metrics_of(told jsonb) returns jsonb
language sql immutable as $$
    select case when jsonb_typeof(told) = 'object' then
        told - array['participants', 'packet_loss_by_leg', 'post_repair_loss_percentage', 'average_mos']
        || jsonb_build_object(
            'average_bitrate', pg_temp.figure_of(told -> 'average_bitrate'),
            'average_fps', pg_temp.figure_of(told -> 'average_fps'),
            'packet_loss_percentage', case
                when pg_temp.figure_of(told -> 'packet_loss_percentage') > 100 then 100
                else pg_temp.figure_of(told -> 'packet_loss_percentage') end,
            'connection_quality_average', case
                when told ->> 'connection_quality_average' in ('excellent', 'good', 'fair', 'poor')
                then told ->> 'connection_quality_average' else 'unknown' end,
            'total_readings', coalesce(floor(pg_temp.figure_of(told -> 'total_readings')), 0))
    else '{}' end
$$;

update sessions
set room_name = current_setting('app.room_prefix') || session_id,
    created_at = coalesce(created_at, end_time, start_time, now()),
    start_time = coalesce(start_time, end_time - make_interval(secs => duration_seconds), end_time, created_at, now());
update sessions
set end_time = greatest(start_time, coalesce(end_time, start_time + make_interval(secs => duration_seconds)));
update sessions
set duration_seconds = coalesce(duration_seconds, floor(extract(epoch from end_time - start_time))::integer),
    transcript = pg_temp.transcript_of(transcript, start_time),
    quality_metrics = pg_temp.metrics_of(quality_metrics);

drop function pg_temp.transcript_of, pg_temp.metrics_of, pg_temp.figure_of, pg_temp.iso, pg_temp.moment_of;

alter table sessions
    alter column room_name set not null,
    alter column mode set not null,
    alter column start_time set not null,
    alter column transcript set not null,
    alter column transcript set default '[]',
    alter column quality_metrics set not null,
    alter column quality_metrics set default '{}',
    alter column created_at set not null,
    alter column created_at set default now(),
    add constraint sessions_mode_check check (mode in ('voice', 'video')),
    add constraint sessions_status_check check (status in ('in_progress', 'completed'));
