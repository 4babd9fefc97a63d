-- role: service
-- Whole states, so that long streams need not be replayed. Not the truth: any row may be deleted at any time.

create table work.snapshots (
    ledger_id integer not null,
    stream text collate "C" not null,
    version integer not null,       -- of the stream, when the state was this
    position bigint not null,       -- of that version's event
    leaf_hash bytea not null,       -- of that version's event
    fingerprint text not null,      -- of the state's shape and of the rules that made it
    state bytea not null,
    constraint snapshots_pkey primary key (ledger_id, stream)
);
