-- Marks the schema as a store of Key-IP Sentinel, so that no other program's database is ever taken for one.
CREATE TABLE sentinel_installation (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    program  text    NOT NULL CHECK (program = 'key-ip-sentinel')
);
INSERT INTO sentinel_installation (program) VALUES ('key-ip-sentinel');

-- One sequence for all bindings: of two copies of a row the one with the higher version is the newer.
CREATE SEQUENCE binding_version AS bigint;
-- Moves with every binding that is taken away, before that is committed. A claim that sees it move takes its version anew: its
-- row must be newer than the one that made way for it.
CREATE SEQUENCE binding_removals AS bigint;

-- last_active_on only says the day, so that most uses leave it, and with it every index, as it is. The room in each page is for them.
CREATE TABLE bindings (
    id               bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    fingerprint      bytea       NOT NULL UNIQUE CHECK (octet_length(fingerprint) = 32),
    hint             text        NOT NULL,
    status           text        NOT NULL CHECK (status IN ('active', 'banned')),
    policy           json        NOT NULL,
    version          bigint      NOT NULL,
    bound_at         timestamptz NOT NULL,
    updated_at       timestamptz NOT NULL,
    last_used_at     timestamptz,
    use_count        bigint      NOT NULL DEFAULT 0 CHECK (use_count >= 0),
    ban_reason       text        NOT NULL DEFAULT '',
    archive_marked_at timestamptz,
    last_active_on   date        NOT NULL
        GENERATED ALWAYS AS ((greatest(bound_at, updated_at, last_used_at) AT TIME ZONE 'UTC')::date) STORED
) WITH (fillfactor = 80);
CREATE INDEX bindings_by_status ON bindings (status, id);
-- The two steps of the archive.
CREATE INDEX bindings_unmarked ON bindings (last_active_on, id) WHERE status = 'active' AND archive_marked_at IS NULL;
CREATE INDEX bindings_marked ON bindings (archive_marked_at, id) WHERE archive_marked_at IS NOT NULL;

CREATE TABLE binding_networks (
    binding_id bigint   NOT NULL REFERENCES bindings (id) ON DELETE CASCADE,
    position   smallint NOT NULL,
    network    cidr     NOT NULL,
    PRIMARY KEY (binding_id, network)
);
-- Serves >>= (contains this address), <<= (lies in this network) and && (either).
CREATE INDEX binding_networks_by_network ON binding_networks USING gist (network inet_ops);

-- What a binding was when it was taken away; record is the whole of it, networks included.
CREATE TABLE archived_bindings (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    binding_id  bigint      NOT NULL,
    fingerprint bytea       NOT NULL CHECK (octet_length(fingerprint) = 32),
    record      json        NOT NULL,
    reason      text        NOT NULL,
    archived_at timestamptz NOT NULL
);
CREATE INDEX archived_bindings_by_fingerprint ON archived_bindings (fingerprint);
CREATE INDEX archived_bindings_by_time ON archived_bindings (archived_at);

-- One partition per day (UTC), made ahead and dropped whole; what has none goes to the default one, so that nothing is ever refused.
-- binding_id names no row for certain: the binding may be gone while its intercepts stay.
CREATE SEQUENCE intercept_logs_id AS bigint;
CREATE TABLE intercept_logs (
    id          bigint      NOT NULL DEFAULT nextval('intercept_logs_id'),
    reference   text        NOT NULL,
    at          timestamptz NOT NULL,
    reason      text        NOT NULL,
    outcome     text        NOT NULL CHECK (outcome IN ('refused', 'observed')),
    binding_id  bigint,
    fingerprint bytea       CHECK (octet_length(fingerprint) = 32),
    hint        text,
    client_ip   inet        NOT NULL,
    method      text        NOT NULL,
    path        text        NOT NULL,
    user_agent  text        NOT NULL,
    count       bigint      NOT NULL CHECK (count > 0),
    PRIMARY KEY (id, at)
) PARTITION BY RANGE (at);
ALTER SEQUENCE intercept_logs_id OWNED BY intercept_logs.id;
CREATE INDEX intercept_logs_by_reference ON intercept_logs (reference);
CREATE INDEX intercept_logs_by_time ON intercept_logs (at);
CREATE INDEX intercept_logs_by_binding ON intercept_logs (binding_id, id) WHERE binding_id IS NOT NULL;
CREATE INDEX intercept_logs_by_client ON intercept_logs (client_ip, id);
CREATE TABLE intercept_logs_default PARTITION OF intercept_logs DEFAULT;

-- The outbox of alerts: a row stays until it is delivered or given up.
CREATE TABLE alerts (
    id              bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind            text        NOT NULL,
    payload         json        NOT NULL,
    state           text        NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'dead')),
    attempts        integer     NOT NULL DEFAULT 0,
    created_at      timestamptz NOT NULL,
    next_attempt_at timestamptz NOT NULL,
    last_error      text        NOT NULL DEFAULT ''
);
CREATE INDEX alerts_due ON alerts (next_attempt_at) WHERE state = 'pending';

CREATE TABLE admin_events (
    id        bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at        timestamptz NOT NULL,
    actor     text        NOT NULL,
    client_ip inet,
    action    text        NOT NULL,
    detail    text        NOT NULL
);
CREATE INDEX admin_events_by_time ON admin_events (at);

CREATE TABLE settings (
    name       text        PRIMARY KEY,
    value      json        NOT NULL,
    updated_at timestamptz NOT NULL,
    updated_by text        NOT NULL
);
CREATE TABLE settings_version (
    only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    value    bigint  NOT NULL
);
INSERT INTO settings_version (value) VALUES (0);
