-- A lone append is planned once, as a batch is: planning five statements anew took a sixth of its time.

alter function ledger.append_one set plan_cache_mode = force_generic_plan;
