-- First answers to requests that may come again. status is null while the request is served; digest is an HMAC of all that decides what
-- it does, so that no key in it can be found out from here.
CREATE TABLE idempotency_keys (
    account    text        NOT NULL,
    key        text        NOT NULL,
    digest     bytea       NOT NULL CHECK (octet_length(digest) = 32),
    begun_at   timestamptz NOT NULL,
    status     integer,
    media_type text        NOT NULL DEFAULT '',
    body       text        NOT NULL DEFAULT '',
    PRIMARY KEY (account, key)
);
CREATE INDEX idempotency_keys_by_time ON idempotency_keys (begun_at);
CREATE INDEX idempotency_keys_by_account ON idempotency_keys (account, begun_at);

-- Pages of the audit log of one actor or of one action.
CREATE INDEX admin_events_by_actor ON admin_events (actor, id);
CREATE INDEX admin_events_by_action ON admin_events (action, id);
