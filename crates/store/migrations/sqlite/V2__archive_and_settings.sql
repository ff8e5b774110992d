-- When the archive first found the binding unused; a use or a change takes the mark away.
ALTER TABLE bindings ADD COLUMN archive_marked_at INTEGER;
CREATE INDEX bindings_marked ON bindings (archive_marked_at) WHERE archive_marked_at IS NOT NULL;

-- By the last sign of life, so that the archive finds the next ones to mark without looking at every binding.
CREATE INDEX bindings_by_last_sign ON bindings (max(bound_at, updated_at, coalesce(last_used_at, bound_at)))
    WHERE status = 'active' AND archive_marked_at IS NULL;

-- Grows with every change of the settings; 0 when nothing was ever changed.
CREATE TABLE settings_version (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    value    INTEGER NOT NULL
) STRICT;
INSERT INTO settings_version (only_row, value) SELECT 1, count(*) > 0 FROM settings;
