-- What operators write on a binding; profile is that of the claim, empty for older bindings; ban_expires_at is when a ban ends by itself.
ALTER TABLE bindings
    ADD COLUMN note           text   NOT NULL DEFAULT '',
    ADD COLUMN labels         text[] NOT NULL DEFAULT '{}',
    ADD COLUMN profile        text   NOT NULL DEFAULT '',
    ADD COLUMN ban_expires_at timestamptz;
-- Serves @> (has this label).
CREATE INDEX bindings_by_label ON bindings USING gin (labels);
CREATE INDEX bindings_by_end_of_ban ON bindings (ban_expires_at) WHERE ban_expires_at IS NOT NULL;
