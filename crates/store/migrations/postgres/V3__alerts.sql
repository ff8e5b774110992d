-- The outbox of the first schema was never used.
DROP TABLE alerts;

-- One row per alert, from its raising to its calm. record is the whole of it as JSON; the other columns are what is asked for.
CREATE TABLE alerts (
    id        bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name      text        NOT NULL UNIQUE,
    rule      text        NOT NULL,
    subject   text        NOT NULL,
    severity  text        NOT NULL,
    state     text        NOT NULL CHECK (state IN ('firing', 'updated', 'calmed')),
    sequence  bigint      NOT NULL CHECK (sequence >= 0),
    raised_at timestamptz NOT NULL,
    at        timestamptz NOT NULL,
    record    text        NOT NULL
);
-- Of all alerts of one rule on one subject at most one is open: this decides which replica raises it.
CREATE UNIQUE INDEX alerts_open ON alerts (rule, subject) WHERE state <> 'calmed';
CREATE INDEX alerts_open_by_time ON alerts (raised_at, id) WHERE state <> 'calmed';
CREATE INDEX alerts_calmed_by_time ON alerts (at, id) WHERE state = 'calmed';

-- Each alert as it was at each of its transitions: its history, and what is delivered.
CREATE TABLE alert_transitions (
    alert_id bigint NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
    sequence bigint NOT NULL,
    record   text   NOT NULL,
    PRIMARY KEY (alert_id, sequence)
);

-- One transition on its way to one channel.
CREATE TABLE alert_deliveries (
    id              bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    alert_id        bigint      NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
    sequence        bigint      NOT NULL,
    channel         text        NOT NULL,
    state           text        NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'dead')),
    attempts        bigint      NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    since           timestamptz NOT NULL,
    next_attempt_at timestamptz NOT NULL,
    ended_at        timestamptz,
    last_error      text,
    UNIQUE (alert_id, sequence, channel)
);
CREATE INDEX alert_deliveries_due ON alert_deliveries (channel, next_attempt_at, id) WHERE state = 'pending';
CREATE INDEX alert_deliveries_dead ON alert_deliveries (id) WHERE state = 'dead';
