-- role: service
-- The queue with what decides who may work on an item, and when. The release before this one goes on with
-- views.queue_v1.

create table views.queue_v2 (
    ledger_id integer not null,
    stream text collate "C" not null,
    analysis_id text collate "C" not null,
    kind text collate "C" not null,
    kind_version integer not null,
    asked_priority text collate "C" not null,  -- what the submitter said
    priority text collate "C" not null,        -- what holds now
    rank smallint not null,                    -- of what holds now: 0 for critical … 3 for low
    position bigint not null,                  -- of the submission
    submission text not null,                  -- the wire item as people are shown it, verbatim; never jsonb
    subject_digest text collate "C" not null,
    created_at timestamptz not null,
    submitted_by uuid not null,
    on_behalf_of uuid,
    submitted_at timestamptz not null,
    four_eyes boolean not null,                -- the two above may not decide it
    level integer not null,
    groups text collate "C" not null,          -- whose members work on it, between commas; empty: every reviewer
    escalators uuid[] not null,                -- may not decide it, unless they are administrators
    voters uuid[] not null,                    -- have voted on it
    assigned_to uuid,
    lease_id uuid,
    holder uuid,
    session uuid,
    fencing_token integer,
    expires_at timestamptz,
    information_seconds integer not null,      -- for how long an open question keeps the item waiting
    asked_at timestamptz,                      -- of the open question
    waits_until timestamptz,                   -- for the submitter's answer
    deadline_at timestamptz,                   -- with the pause that an open question makes
    target_at timestamptz,                     -- likewise
    ready_at timestamptz generated always as (greatest(expires_at, waits_until)) stored,  -- null: ready now
    version integer not null,
    constraint queue_v2_pkey primary key (ledger_id, stream),
    constraint queue_v2_lease_whole check (num_nulls(lease_id, holder, session, fencing_token, expires_at) in (0, 5)),
    constraint queue_v2_question_whole check (num_nulls(asked_at, waits_until) in (0, 2))
);
create index queue_v2_order_idx on views.queue_v2 (ledger_id, rank, position);
-- What is ready, for those who may work on it, in order: nobody reads what others hold or are to do.
create index queue_v2_ready_idx on views.queue_v2 (ledger_id, groups, kind, rank, position)
    where ready_at is null and assigned_to is null;
-- What becomes ready by itself, when a lease ends or a question has waited for long enough.
create index queue_v2_later_idx on views.queue_v2 (ledger_id, ready_at) where ready_at is not null;
create index queue_v2_assigned_idx on views.queue_v2 (ledger_id, assigned_to, rank, position)
    where assigned_to is not null;
create index queue_v2_holder_idx on views.queue_v2 (ledger_id, holder, expires_at) where holder is not null;
create index queue_v2_session_idx on views.queue_v2 (ledger_id, session) where session is not null;

-- What somebody is about to claim, so that nobody else tries the same. Not the truth: the domain gives out the lease.
create table work.reservations (
    ledger_id integer not null,
    stream text collate "C" not null,
    reservation_id uuid not null,
    until timestamptz not null,                -- by the database's clock
    constraint reservations_pkey primary key (ledger_id, stream)
);
create index reservations_until_idx on work.reservations (ledger_id, until);

-- How far a reaction has seen to the log; it moves once what it had to write is written.
create table work.reactions (
    ledger_id integer not null,
    reaction text collate "C" not null,
    position bigint not null,
    constraint reactions_pkey primary key (ledger_id, reaction)
);
