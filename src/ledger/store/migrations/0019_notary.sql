-- role: service
-- What the notary makes of the log: the hashes of its tree, and what was signed over them (ADR 0025).

-- Tiles of the tree as C2SP tlog-tiles has them, each in its widest state: a narrower one is its beginning.
create table work.notary_tiles (
    ledger_id integer not null,
    level smallint not null,
    tile bigint not null,        -- index within the level
    hashes bytea not null,       -- up to 256 of 32 bytes
    constraint notary_tiles_pkey primary key (ledger_id, level, tile),
    constraint notary_tiles_level check (level between 0 and 63),
    constraint notary_tiles_hashes check (octet_length(hashes) % 32 = 0 and octet_length(hashes) between 32 and 8192)
);
-- Hashes do not compress.
alter table work.notary_tiles alter column hashes set storage external;

create table work.notary_checkpoints (
    ledger_id integer not null,
    size bigint not null,
    root bytea not null,
    note text not null,                  -- with the log's own signatures
    sealed_at timestamptz not null,
    published_at timestamptz,            -- null: the guard does not hold it yet, and nobody may see it
    constraint notary_checkpoints_pkey primary key (ledger_id, size),
    constraint notary_checkpoints_size_positive check (size >= 1),
    constraint notary_checkpoints_root_length check (octet_length(root) = 32)
);

-- Who seals, and how it stands: what processes that do not seal can tell.
create table work.notary_standing (
    ledger_id integer not null,
    owner uuid not null,                 -- a process
    until timestamptz not null,          -- another one may take over from then on
    origin text not null,
    vkey text,                           -- null: it has no key to sign with
    halted text collate "C",             -- code of the reason; null: it seals
    halted_because text,                 -- in words
    halted_since timestamptz,
    constraint notary_standing_pkey primary key (ledger_id),
    constraint notary_standing_halted check ((halted is null) = (halted_since is null)),
    constraint notary_standing_because check ((halted is null) = (halted_because is null))
);
