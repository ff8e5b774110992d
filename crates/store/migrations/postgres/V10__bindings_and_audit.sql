-- What operators write on a binding; profile is that of the claim, empty for older bindings; ban_expires_at is when a ban ends by itself.
ALTER TABLE bindings
    ADD COLUMN note           text   NOT NULL DEFAULT '',
    ADD COLUMN labels         text[] NOT NULL DEFAULT '{}',
    ADD COLUMN profile        text   NOT NULL DEFAULT '',
    ADD COLUMN ban_expires_at timestamptz;
-- Serves @> (has this label).
CREATE INDEX bindings_by_label ON bindings USING gin (labels);
CREATE INDEX bindings_by_end_of_ban ON bindings (ban_expires_at) WHERE ban_expires_at IS NOT NULL;

-- Each event carries the hash of the one before it, and its own over that and itself. Events from before the chain have none.
ALTER TABLE admin_events
    ADD COLUMN previous_hash bytea CHECK (octet_length(previous_hash) = 32),
    ADD COLUMN hash          bytea CHECK (octet_length(hash) = 32);
-- Where the chain ends, so that it is noticed when its end is taken away. Whoever writes an event holds the row: the chain never forks.
CREATE TABLE audit_chain (
    only_row    boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    began_after bigint  NOT NULL,
    length      bigint  NOT NULL,
    last_id     bigint  NOT NULL,
    hash        bytea   NOT NULL CHECK (octet_length(hash) = 32)
);
INSERT INTO audit_chain (began_after, length, last_id, hash)
    SELECT coalesce(max(id), 0), 0, coalesce(max(id), 0), decode(repeat('00', 32), 'hex') FROM admin_events;

-- The binding that an event was about, so that a binding's history is found.
ALTER TABLE admin_events ADD COLUMN binding_id bigint;
UPDATE admin_events SET binding_id = substring(detail FROM '"binding": ?([0-9]{1,18})[,}]')::bigint WHERE detail LIKE '{%';
CREATE INDEX admin_events_by_binding ON admin_events (binding_id, id) WHERE binding_id IS NOT NULL;
