-- Pages of bindings in the order of their uses. Both columns say it coarsely, in steps of five minutes and of a sixteenth of a doubling, so that
-- most uses leave them, and with them every index, as they are; within a step a page sorts. The table is written anew, which can take longer
-- than a statement may by itself.
SET LOCAL statement_timeout = '1h';
ALTER TABLE bindings
    ADD COLUMN last_used_step bigint
        GENERATED ALWAYS AS (floor(extract(epoch FROM last_used_at AT TIME ZONE 'UTC') / 300)::bigint) STORED,
    ADD COLUMN use_count_step smallint NOT NULL
        GENERATED ALWAYS AS (floor(ln(use_count::float8 + 1) * 16 / ln(2::float8))::smallint) STORED;
CREATE INDEX bindings_by_last_use ON bindings (last_used_step, id);
CREATE INDEX bindings_by_use_count ON bindings (use_count_step, id);
CREATE INDEX bindings_by_profile ON bindings (profile, id);

-- Pages of the audit log of one reason or outcome. Whoever adds rows adds at the end of each.
CREATE INDEX intercept_logs_by_reason ON intercept_logs (reason, id);
CREATE INDEX intercept_logs_by_outcome ON intercept_logs (outcome, id);
