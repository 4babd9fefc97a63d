-- role: service
-- What read models could not apply, and how every position is accounted for all the same (ADR 0014).

-- Applied, not wanted, parked and skipped always add up to the position: the database itself refuses anything else.
alter table views.checkpoints
    add column events_parked bigint not null default 0,    -- culprits and whatever waits behind them
    add column events_skipped bigint not null default 0,   -- given up by somebody, with a reason
    add column paused_at timestamptz,                      -- null: it follows the log
    drop constraint checkpoints_complete,
    add constraint checkpoints_complete
        check (events_applied + events_not_wanted + events_parked + events_skipped = position),
    add constraint checkpoints_counters check (
        events_applied >= 0 and events_not_wanted >= 0 and events_parked >= 0 and events_skipped >= 0);

-- What the loop of a projection does, for processes that do not run it.
alter table views.leases
    add column state text collate "C",
    add column error text collate "C";

-- An event that could not be applied; its sequence is parked until somebody or a retry resolves it.
create table views.failures (
    ledger_id integer not null,
    failure_id uuid not null,
    projection text collate "C" not null,
    version integer not null,
    sequence text collate "C" not null,      -- by default the stream
    stream text collate "C" not null,
    position bigint not null,
    event_id uuid not null,
    event_type text collate "C" not null,
    schema_version integer not null,
    error_type text not null,
    error_message text not null,             -- may quote what was submitted: for administrators, never for logs
    traceback text not null,
    fingerprint text collate "C" not null,   -- the same for failures of one cause
    category text collate "C" not null,
    code_version text not null,
    attempts integer not null,
    first_seen_at timestamptz not null,
    last_seen_at timestamptz not null,
    next_retry_at timestamptz,               -- null: no more by itself
    state text collate "C" not null,
    resolution text collate "C",
    reason text,
    resolved_by text collate "C",            -- a person's id, or operator or system
    resolved_at timestamptz,
    constraint failures_pkey primary key (ledger_id, failure_id),
    constraint failures_state check (state in ('retrying', 'waiting', 'resolved')),
    constraint failures_resolved check (
        (state = 'resolved') = (resolution is not null) and (state = 'resolved') = (resolved_at is not null)),
    constraint failures_retrying check ((state = 'retrying') = (next_retry_at is not null))
);
create unique index failures_active_key on views.failures (ledger_id, projection, version, sequence)
    where state <> 'resolved';
create index failures_history_idx on views.failures (ledger_id, projection, version, position);

-- Every event that is not applied because its sequence is parked: the culprit first, then those behind it.
create table views.parked (
    ledger_id integer not null,
    projection text collate "C" not null,
    version integer not null,
    position bigint not null,
    sequence text collate "C" not null,
    stream text collate "C" not null,
    constraint parked_pkey primary key (ledger_id, projection, version, position)
);
create index parked_sequence_idx on views.parked (ledger_id, projection, version, sequence, position);
create index parked_stream_idx on views.parked (ledger_id, stream);

-- Every event that will never be applied: skipped, or mended by hand.
create table views.skipped (
    ledger_id integer not null,
    projection text collate "C" not null,
    version integer not null,
    position bigint not null,
    stream text collate "C" not null,
    failure_id uuid not null,
    constraint skipped_pkey primary key (ledger_id, projection, version, position)
);
create index skipped_stream_idx on views.skipped (ledger_id, stream);
