-- Pages of bindings of one profile, and in the order of their uses; one that was never used has -1 for its last use, as the API has it.
CREATE INDEX bindings_by_profile ON bindings (profile, id);
CREATE INDEX bindings_by_last_use ON bindings (coalesce(last_used_at, -1), id);
CREATE INDEX bindings_by_use_count ON bindings (use_count, id);

-- Pages of the audit log of one reason or outcome.
CREATE INDEX intercept_logs_by_reason ON intercept_logs (reason, id);
CREATE INDEX intercept_logs_by_outcome ON intercept_logs (outcome, id);
