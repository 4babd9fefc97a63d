-- role: service
-- When something of a decision falls due. Only decisions with a clock, or an override to be countersigned, have a row.

create table views.timers_v1 (
    ledger_id integer not null,
    stream text collate "C" not null,
    half_at timestamptz,                 -- while no question stops the clocks, as the next two
    target_at timestamptz,
    deadline_at timestamptz,
    pause_seconds integer not null,      -- for how long a question may stop them
    is_stopped boolean not null,         -- one does
    half_passed boolean not null,
    breach_passed boolean not null,
    countersign_by timestamptz,          -- of an override that nobody has countersigned
    due_at timestamptz,                  -- the next moment; null: none is left
    constraint timers_v1_pkey primary key (ledger_id, stream)
);
create index timers_v1_due_idx on views.timers_v1 (ledger_id, due_at, stream) where due_at is not null;
