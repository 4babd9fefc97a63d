-- role: service
-- What opens sealed text (ADR 0029): a key for each data subject, and which decisions tell of whom. Deleting a key
-- erases what it sealed, wherever that is kept.

create table work.subject_keys (
    ledger_id integer not null,
    key_id text collate "C" not null,     -- commits to the key
    subject uuid not null,                -- whose personal data it seals
    wrapped bytea not null,               -- the key, sealed under one of the service
    kek_id text collate "C" not null,     -- names that one
    created_at timestamptz not null,
    constraint subject_keys_pkey primary key (ledger_id, key_id)
);
create index subject_keys_subject_idx on work.subject_keys (ledger_id, subject);
create index subject_keys_kek_idx on work.subject_keys (ledger_id, kek_id);

create table work.decision_subjects (
    ledger_id integer not null,
    stream text collate "C" not null,     -- of the decision
    key_id text collate "C" not null,     -- what its submission was sealed under; of several, the log says which
    subject uuid not null,
    constraint decision_subjects_pkey primary key (ledger_id, stream, key_id)
);
create index decision_subjects_subject_idx on work.decision_subjects (ledger_id, subject);
