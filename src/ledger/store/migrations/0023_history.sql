-- What auditors look for by type, actor, trace and cause (ADR 0030): summaries of ranges of the table instead of an
-- entry for every event, so that an append pays nothing for them under the head's lock.
create index events_history_idx on ledger.events using brin (
    ledger_id,
    position int8_minmax_ops,
    type text_bloom_ops (n_distinct_per_range = 64),
    actor text_bloom_ops (n_distinct_per_range = 256),
    correlation_id text_bloom_ops (n_distinct_per_range = 1024),
    causation_id uuid_bloom_ops (n_distinct_per_range = 256)
) with (pages_per_range = 64, autosummarize = on);
