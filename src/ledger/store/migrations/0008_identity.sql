-- role: service
-- Families of refresh tokens, limited tokens that were used, API keys, and which instances follow the log.

-- Spending one token supersedes every sibling of its generation.
alter table work.refresh_tokens add column generation integer not null default 0;
drop index work.refresh_tokens_session_idx;
create index refresh_tokens_family_idx on work.refresh_tokens (ledger_id, session_id, generation);

-- A limited token completes one login.
create table work.used_limited_tokens (
    ledger_id integer not null,
    token_id text collate "C" not null,
    expires_at timestamptz not null,
    constraint used_limited_tokens_pkey primary key (ledger_id, token_id)
);
create index used_limited_tokens_expiry_idx on work.used_limited_tokens (ledger_id, expires_at);

-- What the log does not say of an API key: its hash, what people call it, when it was last used.
create table work.api_keys (
    ledger_id integer not null,
    key_id uuid not null,
    person_id uuid not null,
    name text not null,
    key_hash bytea not null,  -- SHA-256; a key has 256 random bits
    created_at timestamptz not null,
    last_used_at timestamptz,
    constraint api_keys_pkey primary key (ledger_id, key_id),
    constraint api_keys_person_fkey foreign key (ledger_id, person_id) references work.people on delete cascade,
    constraint api_keys_hash_length check (octet_length(key_hash) = 32)
);
create index api_keys_person_idx on work.api_keys (ledger_id, person_id);

-- A call that takes a session away waits until every live instance has followed the log past it (ADR 0017).
create table work.instances (
    ledger_id integer not null,
    instance_id uuid not null,
    position bigint not null,
    seen_at timestamptz not null,
    constraint instances_pkey primary key (ledger_id, instance_id)
) with (fillfactor = 50);  -- rows change several times a second: room for them to change in place

-- Closed sessions are forgotten after their absolute limit; the log keeps the facts.
create index sessions_closed_idx on work.sessions (ledger_id, expires_at) where closed_at is not null;
