-- What a row stands for: from at to last_at. networks are those of the binding at that moment, separated by spaces.
ALTER TABLE intercept_logs
    ADD COLUMN last_at  timestamptz,
    ADD COLUMN networks text NOT NULL DEFAULT '',
    ADD COLUMN profile  text NOT NULL DEFAULT '',
    ADD COLUMN replica  text NOT NULL DEFAULT '';
UPDATE intercept_logs SET last_at = at;
ALTER TABLE intercept_logs ALTER COLUMN last_at SET NOT NULL;

-- A batch that is written again writes nothing twice.
DELETE FROM intercept_logs WHERE id NOT IN (SELECT min(id) FROM intercept_logs GROUP BY reference, at);
DROP INDEX intercept_logs_by_reference;
CREATE UNIQUE INDEX intercept_logs_once ON intercept_logs (reference, at);
