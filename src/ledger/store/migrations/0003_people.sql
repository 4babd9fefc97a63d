-- role: service
-- People, their credentials and the working side of their sessions: never in the log (ADR 0008).

-- Deleting a row erases the person: the log holds SHA-256(salt || record) and nothing else of them.
create table work.people (
    ledger_id integer not null,
    person_id uuid not null,
    username text not null,                     -- verbatim, as people see it
    username_folded text collate "C" not null,  -- case-folded NFKC, as it is looked up
    email text not null,
    full_name text not null,
    salt bytea not null,
    created_at timestamptz not null,
    constraint people_pkey primary key (ledger_id, person_id),
    constraint people_username_key unique (ledger_id, username_folded),
    constraint people_salt_length check (octet_length(salt) = 32)
);

create table work.credentials (
    ledger_id integer not null,
    person_id uuid not null,
    password_hash text not null,  -- argon2id
    changed_at timestamptz not null,
    constraint credentials_pkey primary key (ledger_id, person_id),
    constraint credentials_person_fkey foreign key (ledger_id, person_id) references work.people on delete cascade
);

create table work.second_factors (
    ledger_id integer not null,
    person_id uuid not null,
    secret bytea not null,               -- AES-256-GCM, bound to the person
    key_id text collate "C" not null,    -- which key sealed it
    last_step bigint not null default 0, -- the time step of the last accepted code: none at or before it counts again
    created_at timestamptz not null,
    enabled_at timestamptz,              -- null: set up, and not yet proven
    constraint second_factors_pkey primary key (ledger_id, person_id),
    constraint second_factors_person_fkey foreign key (ledger_id, person_id) references work.people on delete cascade
);

create table work.backup_codes (
    ledger_id integer not null,
    person_id uuid not null,
    code_hash bytea not null,
    used_at timestamptz,
    constraint backup_codes_pkey primary key (ledger_id, person_id, code_hash),
    constraint backup_codes_person_fkey foreign key (ledger_id, person_id) references work.people on delete cascade
);

-- What the log does not say of a session: who called (the log commits to it under salt), when it was last used.
-- closed_at repeats the log, which alone decides; a row that was not closed in time is closed by the sweep.
create table work.sessions (
    ledger_id integer not null,
    session_id uuid not null,
    person_id uuid not null,
    epoch integer not null,
    opened_at timestamptz not null,
    last_seen timestamptz not null,
    idle_seconds integer not null,
    expires_at timestamptz not null,
    salt bytea not null,
    address text not null,
    user_agent text not null,
    closed_at timestamptz,
    constraint sessions_pkey primary key (ledger_id, session_id)
);
create index sessions_open_idx on work.sessions (ledger_id, person_id, last_seen) where closed_at is null;
create index sessions_last_login_idx on work.sessions (ledger_id, person_id, opened_at);

create table work.refresh_tokens (
    ledger_id integer not null,
    token_hash bytea not null,
    session_id uuid not null,
    issued_at timestamptz not null,
    expires_at timestamptz not null,
    spent_at timestamptz,
    constraint refresh_tokens_pkey primary key (ledger_id, token_hash),
    constraint refresh_tokens_session_fkey foreign key (ledger_id, session_id) references work.sessions on delete cascade
);
create index refresh_tokens_session_idx on work.refresh_tokens (ledger_id, session_id);
create index refresh_tokens_expiry_idx on work.refresh_tokens (ledger_id, expires_at);
