-- role: service
-- Whose personal data is to be erased, or held: where to look, and what the log must not say (ADR 0028). What became
-- of it stands in the streams; these rows are written in the transactions of their events.

create table work.subjects (
    ledger_id integer not null,
    subject uuid not null,               -- a person's id, or derived from what submitters call a data subject
    kind text collate "C" not null,
    label text,                          -- what submitters call a data subject; null: a person, or it is erased
    is_requested boolean not null,
    holds integer not null,              -- that stand
    constraint subjects_pkey primary key (ledger_id, subject),
    constraint subjects_kind check (kind in ('person', 'data_subject')),
    constraint subjects_holds check (holds >= 0)
);
create index subjects_requested_idx on work.subjects (ledger_id, subject) where is_requested;
create index subjects_held_idx on work.subjects (ledger_id, subject) where holds > 0;

-- The content is deleted, the row stays and says so.
alter table work.evidence add column erased_at timestamptz;
create index evidence_stream_idx on work.evidence (ledger_id, stream);
