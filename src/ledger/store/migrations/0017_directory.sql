-- role: service
-- The directory, version 2: with groups. Version 1 stays for the release that reads it.

create table views.directory_v2 (
    ledger_id integer not null,
    stream text collate "C" not null,
    person_id uuid not null,
    role text collate "C" not null,
    registered_at timestamptz not null,
    is_active boolean not null,
    is_lead boolean not null,
    groups text[] collate "C" not null,  -- sorted
    epoch integer not null,
    kept_session uuid,
    second_factor boolean not null,
    constraint directory_v2_pkey primary key (ledger_id, stream),
    constraint directory_v2_person_key unique (ledger_id, person_id)
);
create index directory_v2_admins_idx on views.directory_v2 (ledger_id, person_id)
    where role = 'admin' and is_active;
create index directory_v2_groups_idx on views.directory_v2 (ledger_id)
    where is_active and groups <> '{}';
