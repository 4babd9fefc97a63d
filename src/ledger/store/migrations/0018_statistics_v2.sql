-- role: service
-- What counts for statistics: an item a row and what each person did a row; every count is a sum over rows, so that
-- refolding cannot double it. The release before this one goes on with views.statistics_v1.

create table views.statistics_v2 (
    ledger_id integer not null,
    stream text collate "C" not null,
    kind text collate "C" not null,
    priority text collate "C" not null,  -- what holds now
    level integer not null,
    recommended text collate "C",        -- actions between commas; null: what was recommended names no actions
    submitted_by uuid not null,
    submitted_at timestamptz not null,
    claimed_at timestamptz,              -- for the first time
    holder uuid,                         -- of the latest claim
    held_since timestamptz,
    is_answered boolean not null,
    status text collate "C",             -- how it ended; null while it is open
    ended_at timestamptz,
    is_override boolean not null,        -- one administrator ended it past all rules
    agrees boolean,                      -- with what was recommended; null unless people settled it
    human_seen boolean,                  -- of an expiry
    constraint statistics_v2_pkey primary key (ledger_id, stream),
    constraint statistics_v2_ended check ((status is null) = (ended_at is null)),
    constraint statistics_v2_held check ((holder is null) = (held_since is null))
);
create index statistics_v2_open_idx on views.statistics_v2 (ledger_id, priority)
    include (submitted_by) where ended_at is null;
create index statistics_v2_completed_idx on views.statistics_v2 (ledger_id, submitted_by)
    include (submitted_at, ended_at) where status in ('approved', 'rejected');
create index statistics_v2_answered_idx on views.statistics_v2 (ledger_id, submitted_by) include (is_answered);
create index statistics_v2_submitted_idx on views.statistics_v2 (ledger_id, submitted_at) include (submitted_by);
create index statistics_v2_claimed_idx on views.statistics_v2 (ledger_id, claimed_at) where claimed_at is not null;
create index statistics_v2_ended_idx on views.statistics_v2 (ledger_id, ended_at) where ended_at is not null;

create table views.statistics_acts_v2 (
    ledger_id integer not null,
    stream text collate "C" not null,
    version integer not null,            -- of the event
    kind text collate "C" not null,
    submitted_by uuid not null,
    act text collate "C" not null,
    person uuid,                         -- null: a timer did it
    at timestamptz not null,
    agrees boolean,                      -- with what was recommended; null unless it is a vote for or against
    held_seconds double precision,       -- from their claim to their vote
    constraint statistics_acts_v2_pkey primary key (ledger_id, stream, version)
);
create index statistics_acts_v2_at_idx on views.statistics_acts_v2 (ledger_id, at);
