-- role: service
-- Rebuilds asked for, under way and done: the latest of each projection (ADR 0015). What is rebuilt has its checkpoint,
-- parked events and failures under the name "NAME.build", what was replaced under "NAME.old".

create table views.rebuilds (
    ledger_id integer not null,
    projection text collate "C" not null,
    version integer not null,
    rebuild_id uuid not null,
    kind text collate "C" not null,
    state text collate "C" not null,
    accept_failures boolean not null,    -- switch even if events could not be applied to the new rows
    asked_at timestamptz not null,
    owner uuid,                          -- the process that works on it, while "until" lies ahead
    until timestamptz,
    worked_since timestamptz,            -- when that process took it up, and how far it had come then
    worked_from bigint not null default 0,
    ended_at timestamptz,
    position bigint,                     -- of the switch
    events_applied bigint,
    events_parked bigint,
    error text,                          -- why it was given up
    diff text,                           -- JSON: old and new rows compared before the switch
    constraint rebuilds_pkey primary key (ledger_id, projection, version),
    constraint rebuilds_kind check (kind in ('rebuild', 'reset', 'rollback')),
    constraint rebuilds_state check (
        state in ('asked', 'building', 'comparing', 'switching', 'switched', 'cancelled', 'failed')),
    constraint rebuilds_ended check ((state in ('switched', 'cancelled', 'failed')) = (ended_at is not null))
);
