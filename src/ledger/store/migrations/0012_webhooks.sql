-- role: service
-- Webhooks: where to, signed with what, how far the log was followed; what waits to be sent and what came of it
-- (ADR 0019). The log says who had it so; these rows are written in the transactions of those events.

create table work.webhooks (
    ledger_id integer not null,
    webhook_id uuid not null,
    url text not null,
    description text not null,
    salt bytea not null,                     -- of the log's commitment to URL and description
    topics text[] not null,                  -- none: all of them
    submitter uuid,                          -- only of what this one submitted; null: of everything
    state text collate "C" not null,
    secret bytea not null,                   -- AES-256-GCM, bound to the webhook
    key_id text collate "C" not null,        -- which key sealed it
    previous_secret bytea,                   -- signs too, until then
    previous_key_id text collate "C",
    previous_until timestamptz,
    created_at timestamptz not null,
    position bigint not null,                -- messages were made of everything up to here
    failures integer not null default 0,     -- attempts that failed since the last one that did not
    open_until timestamptz,                  -- the circuit breaker: nothing is sent before
    constraint webhooks_pkey primary key (ledger_id, webhook_id),
    constraint webhooks_state check (state in ('active', 'paused', 'disabled')),
    constraint webhooks_salt_length check (octet_length(salt) = 32),
    constraint webhooks_previous check (
        (previous_secret is null) = (previous_key_id is null) and (previous_secret is null) = (previous_until is null))
) with (fillfactor = 50);  -- rows change with every attempt: room for them to change in place

create table work.webhook_messages (
    ledger_id integer not null,
    message_id uuid not null,                -- uuid5 of webhook and event: a receiver knows a repeat by it
    webhook_id uuid not null,
    position bigint,                         -- of the event it tells of; null: a ping
    topic text collate "C" not null,
    body bytea,                              -- null once it has arrived
    state text collate "C" not null,
    attempts integer not null default 0,     -- since it was queued, or replayed
    tried integer not null default 0,        -- ever
    created_at timestamptz not null,
    due_at timestamptz not null,
    give_up_at timestamptz not null,
    lease uuid,                              -- of the worker that sends it, while "leased_until" lies ahead
    leased_until timestamptz,                -- by the clock of the database
    last_attempt_at timestamptz,
    last_status integer,                     -- what the receiver answered; null: nothing
    last_error text,
    ended_at timestamptz,
    constraint webhook_messages_pkey primary key (ledger_id, message_id),
    constraint webhook_messages_webhook_fkey foreign key (ledger_id, webhook_id)
        references work.webhooks on delete cascade,
    constraint webhook_messages_state check (state in ('waiting', 'delivered', 'dead')),
    constraint webhook_messages_lease check ((lease is null) = (leased_until is null)),
    constraint webhook_messages_ended check ((state = 'waiting') = (ended_at is null)),
    constraint webhook_messages_body check (state = 'delivered' or body is not null)
);
create index webhook_messages_due_idx on work.webhook_messages (ledger_id, webhook_id, due_at) where state = 'waiting';
create index webhook_messages_leased_idx on work.webhook_messages (ledger_id, webhook_id) where lease is not null;
create index webhook_messages_give_up_idx on work.webhook_messages (ledger_id, give_up_at) where state = 'waiting';
create index webhook_messages_dead_idx on work.webhook_messages (ledger_id, webhook_id) where state = 'dead';
create index webhook_messages_listed_idx on work.webhook_messages (ledger_id, webhook_id, created_at, message_id);
create index webhook_messages_ended_idx on work.webhook_messages (ledger_id, ended_at) where state <> 'waiting';

create table work.webhook_attempts (
    ledger_id integer not null,
    message_id uuid not null,
    number integer not null,
    began_at timestamptz not null,
    milliseconds integer not null,
    status integer,                          -- what the receiver answered; null: nothing
    error text,                              -- null: it arrived
    constraint webhook_attempts_pkey primary key (ledger_id, message_id, number),
    constraint webhook_attempts_message_fkey foreign key (ledger_id, message_id)
        references work.webhook_messages on delete cascade
);
