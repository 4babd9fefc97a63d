-- role: service
-- Decisions with the whole workflow in their rows. The release before this one goes on with views.decisions_v1.

create table views.decisions_v2 (
    ledger_id integer not null,
    stream text collate "C" not null,
    analysis_id text collate "C" not null,
    submission text not null,            -- the wire item as people are shown it, verbatim; never jsonb
    kind text collate "C" not null,
    kind_version integer not null,
    asked_priority text collate "C" not null,
    priority text collate "C" not null,
    created_at timestamptz not null,
    submitted_by uuid not null,
    on_behalf_of uuid,
    submitted_at timestamptz not null,
    information_seconds integer not null, -- for how long an open question may stop the clocks
    subject_digest text collate "C" not null,
    deadline_at timestamptz,
    target_at timestamptz,
    level integer not null,
    groups text not null,                -- JSON, as all texts below that hold more than one value
    assigned_to uuid,
    lease_id uuid,
    holder uuid,
    fencing_token integer,
    expires_at timestamptz,
    votes text,
    question text,
    is_resolved boolean not null,
    status text collate "C",             -- of the answer; null while there is none
    approved_actions text[],
    notes text,
    decided_by uuid,                     -- null when no person gave it
    decided_at timestamptz,
    escalation_reason text,
    changes text,
    default_outcome text collate "C",
    successor text collate "C",
    approved_digest text collate "C",    -- what may be redeemed; null: nothing
    override text,
    redeemed_at timestamptz,
    outcome text,
    evidence text,
    comments integer not null,
    version integer not null,
    constraint decisions_v2_pkey primary key (ledger_id, stream),
    constraint decisions_v2_lease_whole check (num_nulls(lease_id, holder, fencing_token, expires_at) in (0, 4)),
    constraint decisions_v2_answer_whole check (num_nulls(status, approved_actions, notes, decided_at) in (0, 4))
);
