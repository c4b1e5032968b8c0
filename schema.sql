-- The whole schema of the coaching session recorder. Safe to apply again, also by two at once
-- (`python -m agent migrate` holds an advisory lock while it does).

-- Functions keep the path of names that they were made with: this schema alone, and never first what any member of
-- a role may make for the moment (`pg_temp`).
select set_config('search_path', format('%I, pg_temp', current_schema()), true);

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
-- How it is known whose session it is (`agent/session/ownership.py`), the users whom LiveKit saw in it, the counselor
-- who was let in, and whether the room's metadata tell the mode.
alter table sessions add column if not exists owner_proof text
    check (owner_proof in ('metadata', 'attribute', 'identity', 'opened', 'saved'));
alter table sessions add column if not exists viewers uuid[] not null default '{}';
alter table sessions add column if not exists counselor_id uuid;
alter table sessions add column if not exists counselor_named_at timestamptz;
alter table sessions add column if not exists mode_known boolean not null default false;
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
-- `agent`; null: a person, or from before that was told.
alter table video_participants add column if not exists kind text;
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

-- Stays in coaching rooms as LiveKit's webhooks tell of them, until the room's recorder has taken them in: see `db.visits`.
create table if not exists room_visits (
    room_sid        text not null,
    participant_sid text not null,
    identity        text not null,
    name            text not null,
    role            text not null,
    is_agent        boolean not null,
    user_id         text,
    joined_at       timestamptz not null,
    left_at         timestamptz,
    told_at         timestamptz not null default now(),
    primary key (room_sid, participant_sid)
);
create index if not exists room_visits_by_age on room_visits (told_at);

-- What people see. The web part acts as the role `coaching_web`, which sees of each table what its policies
-- let it see: the sessions of the user whom `app.user_id` names for the transaction, all for `app.role` admin.
-- Recorders act as the tables' owner, whom no policy binds.
create index if not exists sessions_newest on sessions (start_time desc, session_id desc);
drop index if exists sessions_by_start;

-- What clients told of their sessions, by the user who told it: `transcript` and `quality_metrics`. Kept beside the
-- record: what was heard is never replaced by it.
alter table sessions add column if not exists client_record jsonb;

-- The sessions of each user in the order of the history: their own, and those they were seen in.
create table if not exists session_viewers (
    session_id uuid not null references sessions (session_id) on delete cascade,
    user_id    uuid not null,
    start_time timestamptz not null,
    owns       boolean not null,
    primary key (session_id, user_id)
);
create index if not exists session_viewers_newest on session_viewers (user_id, start_time desc, session_id desc);

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

-- What was measured stands; what clients told (their figures are marked) is brought up to date.
create or replace function fuller_metrics(one jsonb, other jsonb) returns jsonb
language sql immutable parallel safe as $$
    select case
        when other is null or jsonb_typeof(other) <> 'object' then one
        when one -> 'total_readings' > '0' and one ->> 'source' is distinct from 'client' then one
        else one || other
    end
$$;

-- The words of a session, heard or told, for search, with the ids of the users who may see it among them: so that one
-- user's search reads one user's entries of the index. The first 200,000 characters (some four hours): a tsvector
-- ends at 1 MB, and saving a session must never fail for want of an index.
create or replace function session_words(transcript jsonb, client_record jsonb, user_ids uuid[]) returns tsvector
language plpgsql immutable parallel safe cost 1000 as $$
declare
    whose tsvector := array_to_tsvector(array_remove(user_ids, null)::text[]);
begin
    return whose || coalesce(to_tsvector('pg_catalog.simple', left((
        select string_agg(entry ->> 'text', ' ')
        from (select transcript as entries
              union all select told -> 'transcript' from jsonb_each(client_record) as r (teller, told)) said,
             jsonb_array_elements(case jsonb_typeof(entries) when 'array' then entries else '[]' end) entry
    ), 200000)), '');
exception when program_limit_exceeded then
    return whose;
end
$$;
do $$
begin
    if not exists (select from pg_attribute where attrelid = 'sessions'::regclass and attname = 'words' and not attisdropped
                   and exists (select from pg_proc where proname = 'transcript_words' and pronamespace = current_schema()::regnamespace)) then
        return;
    end if;
    -- From before there were viewers and proofs. What nobody recorded and no client saved was opened.
    alter table sessions drop column words;
    drop function transcript_words(jsonb, uuid);
    update sessions set client_record = jsonb_build_object(user_id, client_record)
    where client_record ?| array['transcript', 'quality_metrics'] and user_id is not null;
    update sessions s
    set owner_proof = case when user_id is null then null when lease_epoch > 0 then 'attribute'
                           when client_record is null then 'opened' else 'saved' end,
        viewers = coalesce((select array_agg(distinct p.user_id) from video_participants p where p.session_id = s.session_id
                            and p.participant_sid is not null and p.user_id is not null), '{}');
end
$$;
alter table sessions add column if not exists words tsvector
    generated always as (session_words(transcript, client_record, array_append(viewers, user_id))) stored;
create index if not exists sessions_of_words on sessions using gin (words);
drop index if exists sessions_by_words;

create or replace function note_viewers() returns trigger
language plpgsql security definer set search_path from current as $$
begin
    if tg_op = 'UPDATE' and new.user_id is not distinct from old.user_id and new.viewers = old.viewers
       and new.start_time = old.start_time then
        return null;
    end if;
    delete from session_viewers where session_id = new.session_id;
    insert into session_viewers (session_id, user_id, start_time, owns)
    select new.session_id, who, new.start_time, who is not distinct from new.user_id
    from (select distinct who from unnest(array_append(new.viewers, new.user_id)) who where who is not null) w;
    return null;
end
$$;
create or replace trigger sessions_note_viewers after insert or update of user_id, viewers, start_time on sessions
    for each row execute function note_viewers();
insert into session_viewers (session_id, user_id, start_time, owns)
select s.session_id, w.who, s.start_time, w.who is not distinct from s.user_id
from sessions s cross join lateral (select distinct who from unnest(array_append(s.viewers, s.user_id)) who where who is not null) w
where not exists (select from session_viewers);
drop index if exists sessions_of_user;

-- Whose reading of others' sessions is written down: staff's. A moment of theirs is told once in ten minutes.
create table if not exists access_log (
    at         timestamptz not null default now(),
    user_id    uuid not null,
    session_id uuid,
    what       text not null
);
create index if not exists access_log_newest on access_log (user_id, session_id, at desc);

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

-- For whom the transaction is: see `db.viewer`.
create or replace function viewer_is_staff() returns boolean language sql stable parallel safe as $$
    select coalesce(current_setting('app.role', true) = 'admin', false)
$$;
create or replace function viewer_id() returns uuid language sql stable parallel safe as $$
    select nullif(current_setting('app.user_id', true), '')::uuid
$$;
-- Whether they see sessions that LiveKit saw them in and that are another's.
create or replace function viewer_sees_attended() returns boolean language sql stable parallel safe as $$
    select coalesce(current_setting('app.sees_attended', true) <> 'off', true)
$$;

-- These list, search and adopt as the tables' owner, for the user of the transaction alone. PostgreSQL uses an index under
-- a policy only for operators that cannot leak, and full-text search is none of them.
create or replace function newest_sessions(
    of_mode text, of_status text, before_time timestamptz, before_id uuid, at_most integer
) returns table (session_id uuid, start_time timestamptz)
language plpgsql stable rows 21 security definer set search_path from current
set plan_cache_mode = force_custom_plan set jit = off as $$
#variable_conflict use_column
declare
    me constant uuid := viewer_id();
    attended constant boolean := viewer_sees_attended();
begin
    if viewer_is_staff() then
        return query
            select s.session_id, s.start_time from sessions s
            where (of_mode is null or s.mode = of_mode)
              and (of_status is null or s.status = of_status)
              and (before_time is null or (s.start_time, s.session_id) < (before_time, before_id))
            order by s.start_time desc, s.session_id desc
            limit at_most;
        return;
    end if;
    return query
        select v.session_id, v.start_time from session_viewers v
        join sessions s on s.session_id = v.session_id
        where v.user_id = me and (attended or v.owns)
          and (of_mode is null or s.mode = of_mode)
          and (of_status is null or s.status = of_status)
          and (before_time is null or (v.start_time, v.session_id) < (before_time, before_id))
        order by v.start_time desc, v.session_id desc
        limit at_most;
end
$$;
create or replace function search_own_sessions(
    wanted tsquery, of_mode text, of_status text, before_time timestamptz, before_id uuid, at_most integer
) returns table (session_id uuid)
language plpgsql stable rows 21 security definer set search_path from current
set plan_cache_mode = force_custom_plan set work_mem = '64MB' set jit = off as $$
#variable_conflict use_column
declare
    staff constant boolean := viewer_is_staff();
    me constant uuid := viewer_id();
    attended constant boolean := viewer_sees_attended();
    newest constant integer := 300;
    there integer;
begin
    -- What is said often is found among the newest, one after the other, until the page is full ...
    return query
        select n.session_id
        from newest_sessions(of_mode, of_status, before_time, before_id, newest) n
        join sessions s on s.session_id = n.session_id
        where s.words @@ wanted
        order by n.start_time desc, n.session_id desc
        limit at_most;
    get diagnostics there = row_count;
    if there >= at_most then
        return;
    end if;
    select n.start_time, n.session_id into before_time, before_id
    from newest_sessions(of_mode, of_status, before_time, before_id, newest) n
    order by n.start_time desc, n.session_id desc
    offset newest - 1 limit 1;
    if not found then
        return;
    end if;
    -- ... and what is said seldom, by the index of words alone: few enough to be put in order.
    return query
        with by_words as materialized (
            select s.session_id, s.start_time, s.user_id, s.viewers, s.mode, s.status from sessions s
            where s.words @@ case when staff then wanted else wanted && quote_literal(me)::tsquery end
        )
        select s.session_id from by_words s
        where (staff or s.user_id = me or (attended and me = any(s.viewers)))
          and (of_mode is null or s.mode = of_mode)
          and (of_status is null or s.status = of_status)
          and (s.start_time, s.session_id) < (before_time, before_id)
        order by s.start_time desc, s.session_id desc
        limit at_most - there;
end
$$;
-- A session without an owner becomes that of whoever saves it, if LiveKit saw them in it, and not as the counselor.
create or replace function adopt_session(which uuid) returns void
language sql volatile security definer set search_path from current as $$
    update sessions set user_id = viewer_id(), owner_proof = 'saved'
    where session_id = which and user_id is null and viewer_id() = any(viewers)
      and not exists (select from video_participants p where p.session_id = which and p.user_id = viewer_id()
                      and p.participant_sid is not null and p.role = 'counselor')
$$;
-- The session that a counselor may enter: one that names them, or nobody who came. One that is over, only if it is theirs or
-- they were in it. Who `enters` it is named from here on.
create or replace function session_for_counselor(which uuid, enters boolean)
returns table (user_id uuid, counselor_category text, mode text, status text)
language plpgsql volatile security definer set search_path from current as $$
#variable_conflict use_column
begin
    return query
        select s.user_id, s.counselor_category, s.mode, s.status from sessions s
        where s.session_id = which
          and (viewer_id() = any(s.viewers) or s.user_id = viewer_id() or s.status = 'in_progress')
          and (s.counselor_id is null or s.counselor_id = viewer_id()
               -- Who was let in and never came keeps nobody out for long.
               or (s.counselor_named_at < now() - interval '10 minutes' and s.counselor_id <> all(s.viewers)))
          and not exists (select from video_participants p where p.session_id = which and p.role = 'counselor'
                          and p.participant_sid is not null and p.user_id <> viewer_id())
        for update of s;
    if found and enters then
        update sessions set counselor_id = viewer_id(), counselor_named_at = now() where session_id = which;
    end if;
end
$$;
revoke execute on function newest_sessions, search_own_sessions, adopt_session, session_for_counselor from public;

do $$
declare
    -- In subqueries: asked once a statement, not once a row.
    sees constant text := $p$((select viewer_is_staff()) or user_id = (select viewer_id())
        or ((select viewer_id()) = any(viewers) and (select viewer_sees_attended())))$p$;
    begins constant text := $p$((select viewer_is_staff()) or user_id = (select viewer_id())
        or (user_id is null and counselor_id = (select viewer_id())))$p$;
    name text;
begin
    if not exists (select from pg_roles where rolname = 'coaching_web') then
        return;
    end if;
    foreach name in array array['sessions', 'video_participants', 'quality_readings', 'session_events'] loop
        execute format('alter table %I enable row level security', name);
        execute format('drop policy if exists own_sessions on %I', name);
        -- The subquery sees what the policy of `sessions` shows.
        execute format('create policy own_sessions on %I to coaching_web using %s', name, case name when 'sessions' then sees
            else format('(exists (select from sessions s where s.session_id = %I.session_id))', name) end);
    end loop;
    drop policy if exists new_sessions on sessions;
    execute 'create policy new_sessions on sessions for insert to coaching_web with check ' || begins;
    -- What proves more than a claim over HTTP comes from LiveKit, and from recorders alone.
    drop policy if exists claimed_sessions on sessions;
    create policy claimed_sessions on sessions as restrictive for insert to coaching_web
        with check (owner_proof is null or owner_proof in ('opened', 'saved'));
    foreach name in array array['workers', 'recorder_starts'] loop
        execute format('alter table %I enable row level security', name);
        execute format('drop policy if exists for_staff on %I', name);
        execute format('create policy for_staff on %I to coaching_web using ('
                       '(select current_setting(''app.role'', true)) = ''admin'')', name);
    end loop;
    alter table session_viewers enable row level security;
    drop policy if exists of_viewer on session_viewers;
    create policy of_viewer on session_viewers to coaching_web
        using ((select viewer_is_staff()) or user_id = (select viewer_id()));
    alter table access_log enable row level security;
    drop policy if exists of_staff on access_log;
    create policy of_staff on access_log to coaching_web using ((select viewer_is_staff()));
    execute format('grant usage on schema %I to coaching_web', current_schema());
    grant select on sessions, video_participants, quality_readings, session_events, workers, recorder_starts, access_log,
        session_viewers to coaching_web;
    -- Never a lease, an owner or what the recorder alone knows.
    grant insert (session_id, room_name, user_id, owner_proof, counselor_id, counselor_category, mode, mode_known, status,
                  start_time),
          update (counselor_category, mode, status, start_time, end_time, duration_seconds, end_reason, transcript,
                  quality_metrics, client_record, updated_at) on sessions to coaching_web;
    grant insert (session_id, user_id, name, role), update (left_at) on video_participants to coaching_web;
    grant insert (user_id, session_id, what) on access_log to coaching_web;
    grant execute on function newest_sessions, search_own_sessions, adopt_session, session_for_counselor to coaching_web;
end
$$;

-- What the viewer has opened in the last hour, up to so many: how many, how many of them nobody has joined, and in how
-- many seconds the oldest is an hour old. As the owner: a counselor's own is nobody's to see until a student comes.
create index if not exists sessions_of_counselor on sessions (counselor_id, start_time desc) where counselor_id is not null;
create or replace function openings_of_viewer(at_most integer)
returns table (opened bigint, unjoined bigint, seconds_left double precision)
language sql stable security definer set search_path from current as $$
    with of_owner as (
        select s.session_id, s.user_id, s.status, s.lease_epoch, s.start_time
        from session_viewers v join sessions s on s.session_id = v.session_id
        where v.user_id = viewer_id() and v.start_time > now() - interval '1 hour' and v.owns
          and s.owner_proof is distinct from 'saved'
        order by v.start_time desc, v.session_id desc limit at_most
    ), of_counselor as (
        select session_id, user_id, status, lease_epoch, start_time from sessions
        where counselor_id = viewer_id() and start_time > now() - interval '1 hour'
        order by start_time desc limit at_most
    )
    select count(*),
           count(*) filter (where s.status = 'in_progress' and s.lease_epoch = 0
                            and coalesce(s.user_id, viewer_id()) = viewer_id()
                            and not exists (select from video_participants p where p.session_id = s.session_id)),
           extract(epoch from min(s.start_time) + interval '1 hour' - now())::double precision
    from (table of_owner union table of_counselor) s
$$;
revoke execute on function openings_of_viewer from public;

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
    grant execute on function openings_of_viewer to coaching_web;
end
$$;
