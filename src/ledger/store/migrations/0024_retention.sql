-- role: service
-- Which checkpoints have been looked at by the sweep that leaves one of many (ADR 0025).
alter table work.notary_checkpoints
    add column kept_of smallint not null default 0, -- 1: what is left of its minute, 2: of its hour, or kept for good
    add constraint notary_checkpoints_kept_of check (kept_of between 0 and 2);
create index notary_checkpoints_kept_idx on work.notary_checkpoints (ledger_id, kept_of, sealed_at);
