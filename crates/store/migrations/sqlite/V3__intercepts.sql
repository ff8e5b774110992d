-- What a row stands for: from at to last_at. networks are those of the binding at that moment, separated by spaces.
ALTER TABLE intercept_logs ADD COLUMN last_at INTEGER NOT NULL DEFAULT 0;
UPDATE intercept_logs SET last_at = at;
ALTER TABLE intercept_logs ADD COLUMN networks TEXT NOT NULL DEFAULT '';
ALTER TABLE intercept_logs ADD COLUMN profile TEXT NOT NULL DEFAULT '';
ALTER TABLE intercept_logs ADD COLUMN replica TEXT NOT NULL DEFAULT '';

-- A batch that is written again writes nothing twice.
DELETE FROM intercept_logs WHERE id NOT IN (SELECT min(id) FROM intercept_logs GROUP BY reference, at);
DROP INDEX intercept_logs_by_reference;
CREATE UNIQUE INDEX intercept_logs_once ON intercept_logs (reference, at);
