-- "KIPS": marks the file as a store of Key-IP Sentinel, so that no other program's database is ever taken for one.
PRAGMA application_id = 1263095891;

-- One sequence for all bindings: of two copies of a row the one with the higher version is the newer.
CREATE TABLE binding_version (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    value    INTEGER NOT NULL
) STRICT;
INSERT INTO binding_version (only_row, value) VALUES (1, 0);

-- Times are milliseconds since 1970-01-01T00:00:00Z. AUTOINCREMENT: an id is never used again.
CREATE TABLE bindings (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    fingerprint  BLOB    NOT NULL UNIQUE CHECK (length(fingerprint) = 32),
    hint         TEXT    NOT NULL,
    status       TEXT    NOT NULL CHECK (status IN ('active', 'banned')),
    policy       TEXT    NOT NULL CHECK (json_valid(policy)),
    version      INTEGER NOT NULL UNIQUE,
    bound_at     INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    last_used_at INTEGER,
    use_count    INTEGER NOT NULL DEFAULT 0 CHECK (use_count >= 0),
    ban_reason   TEXT    NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX bindings_by_status ON bindings (status, id);

-- first_address and last_address are 16 bytes in network order (IPv4 as ::ffff:a.b.c.d), so that bytes compare as addresses do.
CREATE TABLE binding_networks (
    binding_id    INTEGER NOT NULL REFERENCES bindings (id) ON DELETE CASCADE,
    position      INTEGER NOT NULL,
    network       TEXT    NOT NULL,
    family        INTEGER NOT NULL CHECK (family IN (4, 6)),
    first_address BLOB    NOT NULL CHECK (length(first_address) = 16),
    last_address  BLOB    NOT NULL CHECK (length(last_address) = 16),
    PRIMARY KEY (binding_id, network)
) STRICT, WITHOUT ROWID;
CREATE INDEX binding_networks_by_address ON binding_networks (family, first_address, last_address, binding_id);

-- What a binding was when it was taken away; record is the whole of it as JSON, networks included.
CREATE TABLE archived_bindings (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    binding_id  INTEGER NOT NULL,
    fingerprint BLOB    NOT NULL CHECK (length(fingerprint) = 32),
    record      TEXT    NOT NULL CHECK (json_valid(record)),
    reason      TEXT    NOT NULL,
    archived_at INTEGER NOT NULL
) STRICT;
CREATE INDEX archived_bindings_by_fingerprint ON archived_bindings (fingerprint);
CREATE INDEX archived_bindings_by_time ON archived_bindings (archived_at);

-- binding_id names no row for certain: the binding may be gone while its intercepts stay.
CREATE TABLE intercept_logs (
    id          INTEGER PRIMARY KEY AUTOINCREMENT,
    reference   TEXT    NOT NULL,
    at          INTEGER NOT NULL,
    reason      TEXT    NOT NULL,
    outcome     TEXT    NOT NULL CHECK (outcome IN ('refused', 'observed')),
    binding_id  INTEGER,
    fingerprint BLOB    CHECK (length(fingerprint) = 32),
    hint        TEXT,
    client_ip   TEXT    NOT NULL,
    method      TEXT    NOT NULL,
    path        TEXT    NOT NULL,
    user_agent  TEXT    NOT NULL,
    count       INTEGER NOT NULL CHECK (count > 0)
) STRICT;
CREATE INDEX intercept_logs_by_reference ON intercept_logs (reference);
CREATE INDEX intercept_logs_by_time ON intercept_logs (at);
CREATE INDEX intercept_logs_by_binding ON intercept_logs (binding_id, id) WHERE binding_id IS NOT NULL;
CREATE INDEX intercept_logs_by_client ON intercept_logs (client_ip, id);

-- The outbox of alerts: a row stays until it is delivered or given up.
CREATE TABLE alerts (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    kind            TEXT    NOT NULL,
    payload         TEXT    NOT NULL CHECK (json_valid(payload)),
    state           TEXT    NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'dead')),
    attempts        INTEGER NOT NULL DEFAULT 0,
    created_at      INTEGER NOT NULL,
    next_attempt_at INTEGER NOT NULL,
    last_error      TEXT    NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX alerts_due ON alerts (next_attempt_at) WHERE state = 'pending';

CREATE TABLE admin_events (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    at        INTEGER NOT NULL,
    actor     TEXT    NOT NULL,
    client_ip TEXT,
    action    TEXT    NOT NULL,
    detail    TEXT    NOT NULL
) STRICT;
CREATE INDEX admin_events_by_time ON admin_events (at);

CREATE TABLE settings (
    name       TEXT    PRIMARY KEY,
    value      TEXT    NOT NULL CHECK (json_valid(value)),
    updated_at INTEGER NOT NULL,
    updated_by TEXT    NOT NULL
) STRICT, WITHOUT ROWID;
