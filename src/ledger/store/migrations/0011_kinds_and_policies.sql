-- role: service
-- Kinds of items and their policies, one row for each kind in both.

create table views.kinds_v1 (
    ledger_id integer not null,
    stream text collate "C" not null,
    kind text collate "C" not null,
    title text not null,
    kind_version integer not null,       -- the latest
    is_retired boolean not null,
    registered_at timestamptz not null,
    changed_at timestamptz not null,
    version integer not null,            -- of the stream
    constraint kinds_v1_pkey primary key (ledger_id, stream)
);
create index kinds_v1_kind_idx on views.kinds_v1 (ledger_id, kind);

create table views.policies_v1 (
    ledger_id integer not null,
    stream text collate "C" not null,
    kind text collate "C" not null,
    state text not null,                 -- the terms in force and the drafts, as JSON; never jsonb
    in_force integer,                    -- the published version; null while the default holds
    published_by uuid,
    published_at timestamptz,
    drafts integer not null,             -- how many are open
    changed_at timestamptz not null,
    version integer not null,            -- of the stream
    constraint policies_v1_pkey primary key (ledger_id, stream),
    constraint policies_v1_publication_whole check (num_nulls(in_force, published_by, published_at) in (0, 3))
);
create index policies_v1_kind_idx on views.policies_v1 (ledger_id, kind);
