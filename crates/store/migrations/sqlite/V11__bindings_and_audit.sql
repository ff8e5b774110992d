-- What operators write on a binding: a note, and labels as a JSON array of texts. profile is that of the claim; empty for older bindings.
ALTER TABLE bindings ADD COLUMN note TEXT NOT NULL DEFAULT '';
ALTER TABLE bindings ADD COLUMN labels TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(labels));
ALTER TABLE bindings ADD COLUMN profile TEXT NOT NULL DEFAULT '';
-- When a ban ends by itself.
ALTER TABLE bindings ADD COLUMN ban_expires_at INTEGER;
CREATE INDEX bindings_by_end_of_ban ON bindings (ban_expires_at) WHERE ban_expires_at IS NOT NULL;

-- Each event carries the hash of the one before it, and its own over that and itself. Events from before the chain have none.
ALTER TABLE admin_events ADD COLUMN previous_hash BLOB CHECK (length(previous_hash) = 32);
ALTER TABLE admin_events ADD COLUMN hash BLOB CHECK (length(hash) = 32);
-- Where the chain ends, so that it is noticed when its end is taken away.
CREATE TABLE audit_chain (
    only_row    INTEGER PRIMARY KEY CHECK (only_row = 1),
    began_after INTEGER NOT NULL,
    length      INTEGER NOT NULL,
    last_id     INTEGER NOT NULL,
    hash        BLOB    NOT NULL CHECK (length(hash) = 32)
) STRICT;
INSERT INTO audit_chain SELECT 1, coalesce(max(id), 0), 0, coalesce(max(id), 0), zeroblob(32) FROM admin_events;

-- The binding that an event was about, so that a binding's history is found.
ALTER TABLE admin_events ADD COLUMN binding_id INTEGER;
UPDATE admin_events SET binding_id = json_extract(detail, '$.binding')
    WHERE json_valid(detail) AND json_type(detail, '$.binding') = 'integer';
CREATE INDEX admin_events_by_binding ON admin_events (binding_id, id) WHERE binding_id IS NOT NULL;
