-- role: service
-- Read models and what keeps them level with the log (ADR 0005). A changed shape is a new version with its own tables.

-- How far each projection has come; the row moves by compare-and-set, in the transaction of what it accounts for.
create table views.checkpoints (
    ledger_id integer not null,
    projection text collate "C" not null,
    version integer not null,
    position bigint not null,
    events_applied bigint not null,
    events_not_wanted bigint not null,
    last_event_id uuid,
    last_event_type text collate "C",
    updated_at timestamptz not null,
    constraint checkpoints_pkey primary key (ledger_id, projection, version),
    constraint checkpoints_complete check (events_applied + events_not_wanted <= position)
);

-- Which process feeds a projection; good while "until" lies ahead by the database's clock.
create table views.leases (
    ledger_id integer not null,
    projection text collate "C" not null,
    version integer not null,
    owner uuid not null,
    until timestamptz not null,
    constraint leases_pkey primary key (ledger_id, projection, version)
);

-- Open decisions, most urgent and then oldest first.
create table views.queue_v1 (
    ledger_id integer not null,
    stream text collate "C" not null,
    analysis_id text collate "C" not null,
    priority text collate "C" not null,
    rank smallint not null,              -- 0 for critical … 3 for low
    position bigint not null,            -- of the submission
    submission text not null,            -- the wire item, verbatim; never jsonb
    submitted_by uuid not null,
    submitted_at timestamptz not null,
    level integer not null,
    lease_id uuid,
    holder uuid,
    fencing_token integer,
    expires_at timestamptz,
    version integer not null,
    constraint queue_v1_pkey primary key (ledger_id, stream),
    constraint queue_v1_lease_whole check (num_nulls(lease_id, holder, fencing_token, expires_at) in (0, 4))
);
create index queue_v1_order_idx on views.queue_v1 (ledger_id, rank, position);

-- Every decision and its answer, if it has one.
create table views.decisions_v1 (
    ledger_id integer not null,
    stream text collate "C" not null,
    analysis_id text collate "C" not null,
    submission text not null,
    submitted_by uuid not null,
    submitted_at timestamptz not null,
    level integer not null,
    lease_id uuid,
    holder uuid,
    fencing_token integer,
    expires_at timestamptz,
    is_resolved boolean not null,
    status text collate "C",             -- of the answer; null while there is none
    approved_actions text[],
    notes text,
    decided_by uuid,                     -- null when a timer escalated it
    decided_at timestamptz,
    escalation_reason text,
    version integer not null,
    constraint decisions_v1_pkey primary key (ledger_id, stream),
    constraint decisions_v1_lease_whole check (num_nulls(lease_id, holder, fencing_token, expires_at) in (0, 4)),
    constraint decisions_v1_answer_whole check (num_nulls(status, approved_actions, notes, decided_at) in (0, 4))
);

-- What counts for statistics, an item a row: every count is a sum over rows, so that refolding cannot double it.
create table views.statistics_v1 (
    ledger_id integer not null,
    stream text collate "C" not null,
    priority text collate "C" not null,
    submitted_by uuid not null,
    submitted_at timestamptz not null,
    is_answered boolean not null,
    resolved_at timestamptz,             -- null while it is open
    constraint statistics_v1_pkey primary key (ledger_id, stream)
);
create index statistics_v1_open_idx on views.statistics_v1 (ledger_id, priority)
    include (submitted_by) where resolved_at is null;
create index statistics_v1_completed_idx on views.statistics_v1 (ledger_id, submitted_by)
    include (submitted_at, resolved_at) where resolved_at is not null;
create index statistics_v1_answered_idx on views.statistics_v1 (ledger_id, submitted_by) include (is_answered);
create index statistics_v1_submitted_idx on views.statistics_v1 (ledger_id, submitted_at) include (submitted_by);

create table views.sessions_v1 (
    ledger_id integer not null,
    stream text collate "C" not null,
    session_id uuid not null,
    person_id uuid not null,
    epoch integer not null,
    idle_seconds integer not null,
    opened_at timestamptz not null,
    expires_at timestamptz not null,
    state text collate "C" not null,
    ended_at timestamptz,
    constraint sessions_v1_pkey primary key (ledger_id, stream),
    constraint sessions_v1_ended check ((state = 'open') = (ended_at is null))
);
create index sessions_v1_open_idx on views.sessions_v1 (ledger_id, person_id, opened_at) where state = 'open';
create index sessions_v1_login_idx on views.sessions_v1 (ledger_id, person_id, opened_at);

create table views.directory_v1 (
    ledger_id integer not null,
    stream text collate "C" not null,
    person_id uuid not null,
    role text collate "C" not null,
    registered_at timestamptz not null,
    is_active boolean not null,
    is_lead boolean not null,
    epoch integer not null,
    kept_session uuid,
    second_factor boolean not null,
    constraint directory_v1_pkey primary key (ledger_id, stream),
    constraint directory_v1_person_key unique (ledger_id, person_id)
);
create index directory_v1_admins_idx on views.directory_v1 (ledger_id, person_id)
    where role = 'admin' and is_active;
