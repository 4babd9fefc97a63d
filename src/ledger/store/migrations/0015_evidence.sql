-- role: service
-- Files that people and machines attach to decisions; the log holds their names, sizes and digests (ADR 0021).

create table work.evidence (
    ledger_id integer not null,
    evidence_id uuid not null,
    stream text collate "C" not null,     -- of the decision
    size bigint not null,
    sha256 text collate "C" not null,
    stored_at timestamptz not null,
    constraint evidence_pkey primary key (ledger_id, evidence_id)
);

-- The content in pieces, so that neither side ever holds all of it.
create table work.evidence_chunks (
    ledger_id integer not null,
    evidence_id uuid not null,
    number integer not null,              -- 0, 1, 2 …
    content bytea not null,
    constraint evidence_chunks_pkey primary key (ledger_id, evidence_id, number),
    constraint evidence_chunks_evidence_fkey foreign key (ledger_id, evidence_id)
        references work.evidence on delete cascade
);
alter table work.evidence_chunks alter column content set storage external; -- mostly compressed already
