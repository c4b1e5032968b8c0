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
create index if not exists sessions_by_user on sessions (user_id, start_time desc);
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

-- Recorders that were started for rooms without one.
create table if not exists recorder_starts (
    room_sid text primary key,
    worker   text not null,
    attempts integer not null,
    at       timestamptz not null
);
