-- The outbox of the first schema was never used.
DROP TABLE alerts;

-- One row per alert, from its raising to its calm. record is the whole of it as JSON; the other columns are what is asked for.
CREATE TABLE alerts (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    name      TEXT    NOT NULL UNIQUE,
    rule      TEXT    NOT NULL,
    subject   TEXT    NOT NULL,
    severity  TEXT    NOT NULL,
    state     TEXT    NOT NULL CHECK (state IN ('firing', 'updated', 'calmed')),
    sequence  INTEGER NOT NULL CHECK (sequence >= 0),
    raised_at INTEGER NOT NULL,
    at        INTEGER NOT NULL,
    record    TEXT    NOT NULL CHECK (json_valid(record))
) STRICT;
-- Of all alerts of one rule on one subject at most one is open: this decides who raises it.
CREATE UNIQUE INDEX alerts_open ON alerts (rule, subject) WHERE state <> 'calmed';
CREATE INDEX alerts_open_by_time ON alerts (raised_at, id) WHERE state <> 'calmed';
CREATE INDEX alerts_calmed_by_time ON alerts (at, id) WHERE state = 'calmed';

-- Each alert as it was at each of its transitions: its history, and what is delivered.
CREATE TABLE alert_transitions (
    alert_id INTEGER NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
    sequence INTEGER NOT NULL,
    record   TEXT    NOT NULL CHECK (json_valid(record)),
    PRIMARY KEY (alert_id, sequence)
) STRICT, WITHOUT ROWID;

-- One transition on its way to one channel.
CREATE TABLE alert_deliveries (
    id              INTEGER PRIMARY KEY AUTOINCREMENT,
    alert_id        INTEGER NOT NULL REFERENCES alerts (id) ON DELETE CASCADE,
    sequence        INTEGER NOT NULL,
    channel         TEXT    NOT NULL,
    state           TEXT    NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'delivered', 'dead')),
    attempts        INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    since           INTEGER NOT NULL,
    next_attempt_at INTEGER NOT NULL,
    ended_at        INTEGER,
    last_error      TEXT,
    UNIQUE (alert_id, sequence, channel)
) STRICT;
CREATE INDEX alert_deliveries_due ON alert_deliveries (channel, next_attempt_at, id) WHERE state = 'pending';
CREATE INDEX alert_deliveries_dead ON alert_deliveries (id) WHERE state = 'dead';
