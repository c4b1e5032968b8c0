-- The whole schema of the coaching session recorder. Safe to apply again, also by two at once
-- (`python -m agent migrate` holds an advisory lock while it does).

create table if not exists sessions (
    session_id         uuid primary key,
    room_name          text not null,
    room_sid           text,
    user_id            uuid,
    counselor_category text,
    mode               text not null check (mode in ('voice', 'video')),
    status             text not null check (status in ('in_progress', 'completed')),
    start_time         timestamptz not null,
    end_time           timestamptz,
    duration_seconds   integer,
    transcript         jsonb not null default '[]',
    quality_metrics    jsonb not null default '{}',
    gaps               jsonb not null default '[]',
    end_reason         text,
    created_at         timestamptz not null default now(),
    updated_at         timestamptz not null default now(),
    -- The lease: who records this session, in which turn, and until when unless renewed.
    lease_owner        text,
    lease_epoch        bigint not null default 0,
    lease_expires_at   timestamptz
);
-- Columns that came later are added so, for databases from before.
alter table sessions add column if not exists coverage jsonb not null default '{}';
create index if not exists sessions_of_user on sessions (user_id, start_time desc, session_id desc);
drop index if exists sessions_by_user;
create index if not exists sessions_in_progress on sessions (start_time) where status = 'in_progress';

create table if not exists video_participants (
    participant_id  uuid primary key default gen_random_uuid(),
    session_id      uuid not null references sessions (session_id) on delete cascade,
    user_id         uuid,
    identity        text,
    participant_sid text,
    name            text,
    role            text,
    joined_at       timestamptz not null default now(),
    left_at         timestamptz
);
create index if not exists video_participants_by_session on video_participants (session_id, joined_at);

create table if not exists quality_readings (
    session_id       uuid not null references sessions (session_id) on delete cascade,
    read_at          timestamptz not null,
    identity         text not null,
    track_sid        text not null,
    source           text not null,
    leg              text not null check (leg in ('sfu_to_recorder', 'client_to_sfu')),
    bitrate_kbps     double precision,
    fps              double precision,
    packets_lost     integer,
    packets_received integer,
    jitter_ms        double precision,
    round_trip_ms    double precision,
    width            integer,
    height           integer,
    primary key (session_id, track_sid, leg, read_at, identity)
);
-- How long an interval the reading measures.
alter table quality_readings add column if not exists seconds double precision;
-- Lost before the leg, where that can be told apart, and come by retransmission.
alter table quality_readings add column if not exists packets_lost_upstream integer;
alter table quality_readings add column if not exists packets_repaired integer;
-- What a listener and a viewer noticed: invented sound, the E-model's score of it, a picture that stood still.
alter table quality_readings add column if not exists concealed_percentage double precision;
alter table quality_readings add column if not exists mos double precision;
alter table quality_readings add column if not exists freeze_count integer;
alter table quality_readings add column if not exists freeze_seconds double precision;

create table if not exists session_events (
    session_id uuid not null references sessions (session_id) on delete cascade,
    seq        bigint not null,
    at         timestamptz not null,
    kind       text not null,
    data       jsonb not null,
    primary key (session_id, seq)
);
create index if not exists sessions_to_purge on sessions (updated_at) where status = 'completed';

-- Sessions that a recorder holds. Not of `lease_expires_at`: renewing a lease then touches no index.
create index if not exists sessions_held on sessions (lease_owner) where lease_owner is not null;

-- Workers and their last sign of life.
create table if not exists workers (
    worker  text primary key,
    rooms   integer not null default 0,
    seen_at timestamptz not null default now()
);
-- Whether it takes further rooms.
alter table workers add column if not exists ready boolean not null default true;
-- What it tells of itself: see `agent.watch`.
alter table workers add column if not exists report jsonb not null default '{}';

-- Whether a worker lives: by its signs of life (one a second) or, where it missed some, by its connections, which
-- its machine ends with it. Just after a start of PostgreSQL nobody may be connected yet.
create or replace function worker_lives(worker text, seen_at timestamptz, dead_after double precision)
returns boolean language sql stable as $$
    select case
        when seen_at is null or seen_at <= now() - make_interval(secs => dead_after) then false
        when seen_at > now() - interval '2 seconds' then true
        when pg_postmaster_start_time() > now() - interval '10 seconds' then true
        else exists (select from pg_stat_activity a where a.application_name = left(worker, 63))
    end
$$;

-- Recorders that were started for rooms without one.
create table if not exists recorder_starts (
    room_sid text primary key,
    worker   text not null,
    attempts integer not null,
    at       timestamptz not null
);

-- What people see. The web part acts as the role `coaching_web`, which sees of each table what its policies
-- let it see: the sessions of the user whom `app.user_id` names for the transaction, all for `app.role` admin.
-- Recorders act as the tables' owner, whom no policy binds.
create index if not exists sessions_newest on sessions (start_time desc, session_id desc);
drop index if exists sessions_by_start;

-- What a client told of its session. Kept beside the record, so that whoever saves last, the fuller wins.
alter table sessions add column if not exists client_record jsonb;

create or replace function transcript_size(transcript jsonb) returns bigint
language sql immutable parallel safe as $$
    select coalesce(sum(length(trim(entry ->> 'text'))), 0)
    from jsonb_array_elements(case jsonb_typeof(transcript) when 'array' then transcript else '[]' end) entry
$$;

-- The first argument unless the second says more.
create or replace function fuller_transcript(one jsonb, other jsonb) returns jsonb
language sql immutable parallel safe as $$
    select case when transcript_size(other) > transcript_size(one) then other else one end
$$;

create or replace function fuller_metrics(one jsonb, other jsonb) returns jsonb
language sql immutable parallel safe as $$
    select case
        when one -> 'total_readings' > '0' or other is null or jsonb_typeof(other) <> 'object' then one
        else one || other
    end
$$;

-- The words of a transcript, for search, with its user's id among them: so that one user's search reads one
-- user's entries of the index. The first 200,000 characters (some four hours): a tsvector ends at 1 MB, and
-- saving a session must never fail for want of an index.
create or replace function transcript_words(transcript jsonb, user_id uuid) returns tsvector
language plpgsql immutable parallel safe cost 1000 as $$
declare
    whose tsvector := array_to_tsvector(array_remove(array[user_id::text], null));
begin
    return whose || coalesce(to_tsvector('pg_catalog.simple', left((
        select string_agg(entry ->> 'text', ' ')
        from jsonb_array_elements(case jsonb_typeof(transcript) when 'array' then transcript else '[]' end) entry
    ), 200000)), '');
exception when program_limit_exceeded then
    return whose;
end
$$;
alter table sessions add column if not exists words tsvector
    generated always as (transcript_words(transcript, user_id)) stored;
create index if not exists sessions_of_words on sessions using gin (words);
drop index if exists sessions_by_words;

do $$
begin
    if not exists (select from pg_roles where rolname = 'coaching_web') then
        create role coaching_web nologin;
    end if;
    if not (select rolsuper from pg_roles where rolname = current_user) then
        execute format('grant coaching_web to %I', current_user);
    end if;
exception
    when duplicate_object or unique_violation then null;  -- another database of this server was faster
    when insufficient_privilege then
        if not exists (select from pg_roles where rolname = 'coaching_web') then
            raise warning 'role coaching_web is missing: the web part will not serve. See README, "What people see"';
        end if;
end
$$;

-- These search and adopt as the owner, for the user of the transaction alone. PostgreSQL uses an index under a
-- policy only for operators that cannot leak, and full-text search is none of them.
create or replace function search_own_sessions(
    wanted tsquery, of_mode text, of_status text, before_time timestamptz, before_id uuid, at_most integer
) returns table (session_id uuid)
language plpgsql stable rows 21 security definer set search_path from current
set plan_cache_mode = force_custom_plan set work_mem = '64MB' set jit = off as $$
#variable_conflict use_column
declare
    staff constant boolean := coalesce(current_setting('app.role', true) = 'admin', false);
    me constant uuid := nullif(current_setting('app.user_id', true), '')::uuid;
    newest constant integer := 300;
    there integer;
begin
    -- What is said often is found among the newest, one after the other, until the page is full ...
    return query
        select s.session_id from (
            select s.session_id, s.start_time, s.words from sessions s
            where (staff or s.user_id = me)
              and (of_mode is null or s.mode = of_mode)
              and (of_status is null or s.status = of_status)
              and (before_time is null or (s.start_time, s.session_id) < (before_time, before_id))
            order by s.start_time desc, s.session_id desc
            limit newest
        ) s
        where s.words @@ wanted
        order by s.start_time desc, s.session_id desc
        limit at_most;
    get diagnostics there = row_count;
    if there >= at_most then
        return;
    end if;
    select s.start_time, s.session_id into before_time, before_id from sessions s
    where (staff or s.user_id = me)
      and (of_mode is null or s.mode = of_mode)
      and (of_status is null or s.status = of_status)
      and (before_time is null or (s.start_time, s.session_id) < (before_time, before_id))
    order by s.start_time desc, s.session_id desc
    offset newest - 1 limit 1;
    if not found then
        return;
    end if;
    -- ... and what is said seldom, by the index of words alone: few enough to be put in order.
    return query
        with by_words as materialized (
            select s.session_id, s.start_time, s.user_id, s.mode, s.status from sessions s
            where s.words @@ case when staff then wanted else wanted && quote_literal(me)::tsquery end
        )
        select s.session_id from by_words s
        where (staff or s.user_id = me)
          and (of_mode is null or s.mode = of_mode)
          and (of_status is null or s.status = of_status)
          and (s.start_time, s.session_id) < (before_time, before_id)
        order by s.start_time desc, s.session_id desc
        limit at_most - there;
end
$$;
create or replace function adopt_session(which uuid) returns void
language sql volatile security definer set search_path from current as $$
    update sessions set user_id = nullif(current_setting('app.user_id', true), '')::uuid
    where session_id = which and user_id is null
$$;
revoke execute on function search_own_sessions, adopt_session from public;

do $$
declare
    -- In subqueries: asked once a statement, not once a row.
    mine constant text := $p$((select current_setting('app.role', true)) = 'admin'
        or user_id = (select nullif(current_setting('app.user_id', true), '')::uuid))$p$;
    of_mine text;
    name text;
begin
    if not exists (select from pg_roles where rolname = 'coaching_web') then
        return;
    end if;
    foreach name in array array['sessions', 'video_participants', 'quality_readings', 'session_events'] loop
        execute format('alter table %I enable row level security', name);
        execute format('drop policy if exists own_sessions on %I', name);
        -- The subquery sees what the policy of `sessions` shows.
        of_mine := case name when 'sessions' then mine else format(
            '(exists (select from sessions s where s.session_id = %I.session_id))', name) end;
        execute format('create policy own_sessions on %I to coaching_web using %s', name, of_mine);
    end loop;
    foreach name in array array['workers', 'recorder_starts'] loop
        execute format('alter table %I enable row level security', name);
        execute format('drop policy if exists for_staff on %I', name);
        execute format('create policy for_staff on %I to coaching_web using ('
                       '(select current_setting(''app.role'', true)) = ''admin'')', name);
    end loop;
    execute format('grant usage on schema %I to coaching_web', current_schema());
    grant select on sessions, video_participants, quality_readings, session_events, workers, recorder_starts
        to coaching_web;
    -- Never a lease, an owner or what the recorder alone knows.
    grant insert (session_id, room_name, user_id, counselor_category, mode, status, start_time),
          update (counselor_category, status, start_time, end_time, duration_seconds, end_reason, transcript,
                  quality_metrics, client_record, updated_at) on sessions to coaching_web;
    grant insert (session_id, user_id, name, role), update (left_at) on video_participants to coaching_web;
    grant execute on function search_own_sessions, adopt_session to coaching_web;
end
$$;

-- Tokens that were signed out before they end: SHA-256 of what is signed in them, never the tokens themselves.
create table if not exists signed_out (
    digest bytea primary key,
    until  timestamptz not null
);
create index if not exists signed_out_until on signed_out (until);

do $$
begin
    if not exists (select from pg_roles where rolname = 'coaching_web') then
        return;
    end if;
    alter table signed_out enable row level security;
    drop policy if exists seen on signed_out;
    drop policy if exists added on signed_out;
    drop policy if exists forgotten on signed_out;
    create policy seen on signed_out for select to coaching_web using (true);
    create policy added on signed_out for insert to coaching_web with check (true);
    -- Never one that still counts.
    create policy forgotten on signed_out for delete to coaching_web using (until < now());
    grant select, insert, delete on signed_out to coaching_web;
end
$$;
