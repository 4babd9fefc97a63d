-- The log: append-only by grant, ordered by one row lock a batch, exact bytes (ADR 0001, 0003, 0009).
-- ledger_id leads every key, so that one schema serves one machine or many.

create schema views;
create schema views_build;
create schema views_old;
create schema work;

-- A row here is only ever locked, never updated: it is what makes appends to one ledger take turns.
create table ledger.ledger_head (
    ledger_id integer not null,
    constraint ledger_head_pkey primary key (ledger_id)
);

-- Made once, never rotated, never exported.
create table ledger.ledger_identity (
    ledger_id integer not null,
    namespace uuid not null,     -- stream names are uuid5(namespace, id chosen by a client)
    request_key bytea not null,  -- key of the digests that recognise a repeated request
    created_at timestamptz not null default now(),
    constraint ledger_identity_pkey primary key (ledger_id),
    constraint ledger_identity_request_key_length check (octet_length(request_key) = 32)
);

create table ledger.events (
    ledger_id integer not null,
    position bigint not null,
    stream text collate "C" not null,
    version integer not null,
    type text collate "C" not null,
    schema_version smallint not null,
    event_id uuid not null,
    recorded_at timestamptz not null,
    actor text collate "C" not null,
    command_id uuid not null,
    causation_id uuid,
    correlation_id text collate "C" not null,
    envelope bytea not null,
    leaf_hash bytea not null generated always as (sha256('\x00'::bytea || envelope)) stored, -- RFC 6962, section 2.1
    salt bytea not null,
    payload bytea not null,
    constraint events_pkey primary key (ledger_id, position),
    constraint events_stream_version_key unique (ledger_id, stream, version),
    constraint events_event_id_key unique (ledger_id, event_id),
    constraint events_position_positive check (position >= 1),
    constraint events_version_positive check (version >= 1),
    constraint events_salt_length check (octet_length(salt) = 16)
);
create index events_recorded_at_idx on ledger.events (ledger_id, recorded_at);
-- Compressing large payloads would happen under the head's lock, at several times the cost of writing them.
alter table ledger.events alter column payload set storage external;

-- For people: the stored bytes as JSON. Never hash or compare this; jsonb does not keep bytes.
create view ledger.events_readable as
select
    ledger_id, position, stream, version, type, schema_version, event_id, recorded_at, actor, command_id,
    causation_id, correlation_id, convert_from(envelope, 'UTF8')::jsonb as envelope,
    encode(leaf_hash, 'hex') as leaf_hash, convert_from(payload, 'UTF8')::jsonb as payload
from ledger.events;

-- Statuses of an append: 0 appended, 1 conflict on its own stream, 2 duplicate command, 3 conflict on a
-- stream it read, 4 its first envelope does not continue the stream's chain of hashes.

-- Append a batch of independent appends to one ledger; each is taken or refused on its own.
-- a_* one element an append, r_* one element a read stream, e_* one element an event;
-- r_append and e_append count appends from 1, e_ordinal counts events of one append from 1.
create function ledger.append_batch(
    in_ledger_id integer,
    a_stream text[], a_expected integer[], a_prev bytea[], a_count integer[], a_recorded_at timestamptz[],
    a_actor text[], a_command_id uuid[], a_causation_id uuid[], a_correlation_id text[], a_first_event uuid[],
    r_append integer[], r_stream text[], r_version integer[],
    e_append integer[], e_ordinal integer[], e_type text[], e_schema_version smallint[], e_event_id uuid[],
    e_envelope bytea[], e_salt bytea[], e_payload bytea[]
) returns table (append integer, status smallint, first_position bigint, version integer, stream text)
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan  -- a custom plan for every call costs more than it saves
as $$
#variable_conflict use_column
begin
    perform 1 from ledger.ledger_head h where h.ledger_id = in_ledger_id for update;
    if not found then  -- a missing row locks nothing
        raise exception 'unknown ledger %', in_ledger_id using errcode = 'foreign_key_violation';
    end if;
    -- A statement of its own: its snapshot is taken after the lock.
    return query
    with head as materialized (
        select coalesce((select max(e.position) from ledger.events e where e.ledger_id = in_ledger_id), 0) as position
    ), asked as materialized (
        select
            a.append::integer as append, a.stream, a.expected, a.count, a.recorded_at, a.actor, a.command_id,
            a.causation_id, a.correlation_id, a.prev,
            coalesce(last.version, 0) as current, coalesce(last.leaf_hash, ''::bytea) as current_leaf,
            done.position as done_position, done.stream as done_stream, done.version as done_version,
            done.command_id as done_command
        from unnest(a_stream, a_expected, a_prev, a_count, a_recorded_at, a_actor, a_command_id,
                    a_causation_id, a_correlation_id, a_first_event)
            with ordinality as a(stream, expected, prev, count, recorded_at, actor, command_id,
                                 causation_id, correlation_id, first_event, append)
        left join lateral (
            select e.version, e.leaf_hash from ledger.events e
            where e.ledger_id = in_ledger_id and e.stream = a.stream
            order by e.version desc limit 1
        ) last on true
        left join lateral (
            -- A range and a limit, not an equality: a generic plan made while the table is still empty would join
            -- by ledger_id alone and read the whole log for every batch, until somebody analyzes the table.
            select e.event_id, e.position, e.stream, e.version, e.command_id from ledger.events e
            where e.ledger_id = in_ledger_id and e.event_id >= a.first_event
            order by e.event_id limit 1
        ) done on done.event_id = a.first_event
    ), stale as materialized (
        select distinct on (r.append) r.append, r.stream, coalesce(last.version, 0) as actual
        from unnest(r_append, r_stream, r_version) as r(append, stream, version)
        left join lateral (
            select e.version from ledger.events e
            where e.ledger_id = in_ledger_id and e.stream = r.stream
            order by e.version desc limit 1
        ) last on true
        where r.version <> coalesce(last.version, 0)
        order by r.append, r.stream
    ), judged as materialized (
        select
            asked.*, stale.stream as stale_stream, stale.actual,
            case
                when asked.done_position is not null then 2
                when asked.expected <> asked.current then 1
                when stale.stream is not null then 3
                when asked.prev <> asked.current_leaf then 4
                else 0
            end as verdict
        from asked left join stale on stale.append = asked.append
    ), taken as materialized (
        select
            judged.*,
            head.position + sum(judged.count) over (order by judged.append) - judged.count as base
        from judged cross join head
        where judged.verdict = 0
    ), stored as (
        insert into ledger.events (
            ledger_id, position, stream, version, type, schema_version, event_id, recorded_at, actor,
            command_id, causation_id, correlation_id, envelope, salt, payload)
        select
            in_ledger_id, taken.base + e.ordinal, taken.stream, taken.current + e.ordinal, e.type,
            e.schema_version, e.event_id, taken.recorded_at, taken.actor, taken.command_id,
            taken.causation_id, taken.correlation_id, e.envelope, e.salt, e.payload
        from unnest(e_append, e_ordinal, e_type, e_schema_version, e_event_id, e_envelope, e_salt, e_payload)
            as e(append, ordinal, type, schema_version, event_id, envelope, salt, payload)
        join taken on taken.append = e.append
    )
    select
        judged.append, judged.verdict::smallint,
        coalesce(judged.done_position, taken.base + 1)::bigint,
        case judged.verdict
            when 0 then judged.current + judged.count
            when 2 then (
                select max(e.version) from ledger.events e
                where e.ledger_id = in_ledger_id and e.stream = judged.done_stream
                  and e.version >= judged.done_version and e.command_id = judged.done_command)
            when 3 then judged.actual
            else judged.current
        end,
        case judged.verdict when 2 then judged.done_stream when 3 then judged.stale_stream else judged.stream end
    from judged left join taken on taken.append = judged.append
    order by judged.append;
    perform pg_notify('ledger_appended', in_ledger_id::text);  -- once a batch: one an append costs most of the throughput
end $$;

-- The same for a single append: a lone client does not pay for the machinery of a batch.
create function ledger.append_one(
    in_ledger_id integer,
    a_stream text, a_expected integer, a_prev bytea, a_recorded_at timestamptz,
    a_actor text, a_command_id uuid, a_causation_id uuid, a_correlation_id text,
    r_stream text[], r_version integer[],
    e_type text[], e_schema_version smallint[], e_event_id uuid[],
    e_envelope bytea[], e_salt bytea[], e_payload bytea[],
    out append integer, out status smallint, out first_position bigint, out version integer, out stream text
) language plpgsql security definer
set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
declare
    _head bigint;
    _current integer;
    _current_leaf bytea;
    _stale_stream text;
    _actual integer;
    _done record;
begin
    append := 1;
    perform 1 from ledger.ledger_head h where h.ledger_id = in_ledger_id for update;
    if not found then
        raise exception 'unknown ledger %', in_ledger_id using errcode = 'foreign_key_violation';
    end if;

    select e.position, e.stream, e.version, e.command_id into _done
    from ledger.events e
    where e.ledger_id = in_ledger_id and e.event_id >= e_event_id[1] and e.event_id <= e_event_id[1]
    order by e.event_id limit 1;  -- as in append_batch
    if found then
        status := 2;
        first_position := _done.position;
        stream := _done.stream;
        select max(e.version) into version from ledger.events e
        where e.ledger_id = in_ledger_id and e.stream = _done.stream
          and e.version >= _done.version and e.command_id = _done.command_id;
        return;
    end if;

    select e.version, e.leaf_hash into _current, _current_leaf
    from ledger.events e where e.ledger_id = in_ledger_id and e.stream = a_stream
    order by e.version desc limit 1;
    _current := coalesce(_current, 0);
    stream := a_stream;
    version := _current;
    if a_expected <> _current then
        status := 1;
        return;
    end if;

    select r.stream, coalesce(last.version, 0) into _stale_stream, _actual
    from unnest(r_stream, r_version) as r(stream, version)
    left join lateral (
        select e.version from ledger.events e
        where e.ledger_id = in_ledger_id and e.stream = r.stream
        order by e.version desc limit 1
    ) last on true
    where r.version <> coalesce(last.version, 0)
    order by r.stream limit 1;
    if found then
        status := 3;
        stream := _stale_stream;
        version := _actual;
        return;
    end if;
    if a_prev <> coalesce(_current_leaf, ''::bytea) then
        status := 4;
        return;
    end if;

    _head := coalesce((select max(e.position) from ledger.events e where e.ledger_id = in_ledger_id), 0);
    insert into ledger.events (
        ledger_id, position, stream, version, type, schema_version, event_id, recorded_at, actor,
        command_id, causation_id, correlation_id, envelope, salt, payload)
    select
        in_ledger_id, _head + e.ordinal, a_stream, _current + e.ordinal::integer, e.type, e.schema_version,
        e.event_id, a_recorded_at, a_actor, a_command_id, a_causation_id, a_correlation_id, e.envelope,
        e.salt, e.payload
    from unnest(e_type, e_schema_version, e_event_id, e_envelope, e_salt, e_payload)
        with ordinality as e(type, schema_version, event_id, envelope, salt, payload, ordinal);
    status := 0;
    first_position := _head + 1;
    version := _current + cardinality(e_event_id);
    perform pg_notify('ledger_appended', in_ledger_id::text);
end $$;

revoke all on function ledger.append_batch from public;
revoke all on function ledger.append_one from public;

insert into ledger.ledger_head (ledger_id) values (1);
insert into ledger.ledger_identity (ledger_id, namespace, request_key)
values (1, gen_random_uuid(), uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));
