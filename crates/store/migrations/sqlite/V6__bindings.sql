-- What operators write on a binding: a note, and labels as a JSON array of texts. profile is that of the claim; empty for older bindings.
ALTER TABLE bindings ADD COLUMN note TEXT NOT NULL DEFAULT '';
ALTER TABLE bindings ADD COLUMN labels TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(labels));
ALTER TABLE bindings ADD COLUMN profile TEXT NOT NULL DEFAULT '';
-- When a ban ends by itself.
ALTER TABLE bindings ADD COLUMN ban_expires_at INTEGER;
CREATE INDEX bindings_by_end_of_ban ON bindings (ban_expires_at) WHERE ban_expires_at IS NOT NULL;
