-- role: service
-- What others say of our checkpoints: witnesses that saw them, authorities that stamped them (ADR 0027).

create table work.notary_cosignatures (
    ledger_id integer not null,
    size bigint not null,                  -- of the checkpoint
    name text collate "C" not null,        -- of the witness's key, as in the line
    key_id bytea not null,
    line text collate "C" not null,        -- as it goes below the note, without its end of line
    cosigned_at timestamptz not null,      -- by the witness's own clock
    constraint notary_cosignatures_pkey primary key (ledger_id, size, name, key_id),
    constraint notary_cosignatures_key_id_length check (octet_length(key_id) = 4)
);
create index notary_cosignatures_last_idx on work.notary_cosignatures (ledger_id, name, key_id, size desc);

create table work.notary_timestamps (
    ledger_id integer not null,
    size bigint not null,                  -- of the checkpoint whose signed note was stamped
    authority text collate "C" not null,   -- its address
    token bytea not null,                  -- the whole response of RFC 3161, DER
    stamped_at timestamptz not null,       -- by the authority's own clock
    constraint notary_timestamps_pkey primary key (ledger_id, size, authority)
);
create index notary_timestamps_last_idx on work.notary_timestamps (ledger_id, authority, stamped_at desc);

-- How it goes with each witness and each authority, for processes that do not speak to it.
create table work.notary_partners (
    ledger_id integer not null,
    partner text collate "C" not null,     -- the name and id of a witness's key, or the address of an authority
    tried_at timestamptz not null,
    failures integer not null,             -- since it last did what it was asked
    problem text collate "C",              -- the last one; null: it did
    forked_at timestamptz,                 -- since when a witness has seen another history than this database holds
    forked_size bigint,                    -- how long that history was
    constraint notary_partners_pkey primary key (ledger_id, partner),
    constraint notary_partners_fork check ((forked_at is null) = (forked_size is null))
);

-- Which process runs an errand of the notary; the others leave it alone until this one is overdue.
create table work.notary_errands (
    ledger_id integer not null,
    errand text collate "C" not null,
    owner uuid not null,
    leased_until timestamptz not null,     -- by the clock of the database
    constraint notary_errands_pkey primary key (ledger_id, errand)
);
