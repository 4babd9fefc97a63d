-- The batch in which every append can be taken, which is nearly every batch (ADR 0035): judged and stored without
-- the joins, sorts and tables in between that append_batch needs to answer each of them on its own.

-- Append a batch to one ledger, all of it or nothing. Returns the last position before it, or null: one of them cannot
-- be taken as it stands, nothing was written, and append_batch says which and why.
-- e_* one element an event; e_version is the one it gets, e_prev the leaf hash before it for the first event of an
-- append (empty for a new stream) and null for those that follow it; e_ends holds two numbers an event, where its
-- envelope and where its payload end in in_bytes, which is salt, envelope and payload of each in turn.
-- in_sought are the first event ids that may be in the log already, r_* one element a read stream.
create function ledger.append_together(
    in_ledger_id integer, in_sought uuid[], r_stream text[], r_version integer[],
    e_stream text[], e_version integer[], e_prev bytea[], e_type text[], e_schema_version smallint[],
    e_event_id uuid[], e_recorded_at timestamptz[], e_actor text[], e_command_id uuid[], e_causation_id uuid[],
    e_correlation_id text[], e_ends integer[], in_bytes bytea
) returns bigint
language plpgsql security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan
as $$
declare
    _head bigint;
begin
    perform 1 from ledger.ledger_head h where h.ledger_id = in_ledger_id for update;
    if not found then
        raise exception 'unknown ledger %', in_ledger_id using errcode = 'foreign_key_violation';
    end if;

    -- A statement of its own: its snapshot is taken after the lock. Ranges and limits: as in append_batch.
    select coalesce((select max(e.position) from ledger.events e where e.ledger_id = in_ledger_id), 0) into _head
    where not exists (
        select from generate_series(1, cardinality(e_stream)) as i
        left join lateral (
            select e.version, e.leaf_hash from ledger.events e
            where e.ledger_id = in_ledger_id and e.stream = e_stream[i] and e_prev[i] is not null
            order by e.version desc limit 1
        ) last on true
        where case
            when e_prev[i] is null
                then e_stream[i] is distinct from e_stream[i - 1] or e_version[i] <> e_version[i - 1] + 1
            else e_version[i] <> coalesce(last.version, 0) + 1 or e_prev[i] <> coalesce(last.leaf_hash, ''::bytea)
        end
    ) and not exists (
        select from unnest(in_sought) as sought(event_id)
        cross join lateral (
            select e.event_id from ledger.events e
            where e.ledger_id = in_ledger_id and e.event_id >= sought.event_id
            order by e.event_id limit 1
        ) done
        where done.event_id = sought.event_id
    ) and not exists (
        select from unnest(r_stream, r_version) as r(stream, version)
        left join lateral (
            select e.version from ledger.events e
            where e.ledger_id = in_ledger_id and e.stream = r.stream
            order by e.version desc limit 1
        ) last on true
        where r.version <> coalesce(last.version, 0)
    );
    if _head is null then
        return null;
    end if;

    insert into ledger.events (
        ledger_id, position, stream, version, type, schema_version, event_id, recorded_at, actor,
        command_id, causation_id, correlation_id, salt, envelope, payload)
    select
        in_ledger_id, _head + i, e_stream[i], e_version[i], e_type[i], e_schema_version[i], e_event_id[i],
        e_recorded_at[i], e_actor[i], e_command_id[i], e_causation_id[i], e_correlation_id[i],
        substring(in_bytes from start + 1 for 16), substring(in_bytes from start + 17 for e_ends[2 * i - 1] - start - 16),
        substring(in_bytes from e_ends[2 * i - 1] + 1 for e_ends[2 * i] - e_ends[2 * i - 1])
    from generate_series(1, cardinality(e_stream)) as i
    cross join lateral (select coalesce(e_ends[2 * i - 2], 0)) as piece(start);
    perform pg_notify('ledger_appended', in_ledger_id::text);
    return _head;
end $$;

revoke all on function ledger.append_together from public;
