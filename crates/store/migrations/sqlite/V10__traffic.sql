-- How much went through, by minute, hour and day in UTC. measure is one of allowed, observed, bound, released, or the code of a reason to refuse.
CREATE TABLE traffic (
    span    TEXT    NOT NULL CHECK (span IN ('minute', 'hour', 'day')),
    at      INTEGER NOT NULL,
    measure TEXT    NOT NULL,
    count   INTEGER NOT NULL CHECK (count >= 0),
    PRIMARY KEY (span, at, measure)
) STRICT, WITHOUT ROWID;

-- Who was refused most. The subject '' stands for all that have no row of their own: count is how often they were refused, missed_max
-- the most that any one of them can have lost. A subject that comes later may have lost as much before.
CREATE TABLE top_refused (
    span       TEXT    NOT NULL CHECK (span IN ('hour', 'day')),
    at         INTEGER NOT NULL,
    kind       TEXT    NOT NULL CHECK (kind IN ('key', 'address')),
    subject    TEXT    NOT NULL,
    binding_id INTEGER,
    hint       TEXT,
    count      INTEGER NOT NULL CHECK (count >= 0),
    missed_max INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (span, at, kind, subject)
) STRICT, WITHOUT ROWID;

-- One row per process that served, from its start on. report is the number of its last report that was added to the traffic.
CREATE TABLE replicas (
    run            TEXT    PRIMARY KEY,
    name           TEXT    NOT NULL,
    version        TEXT    NOT NULL,
    report         INTEGER NOT NULL,
    started_at     INTEGER NOT NULL,
    seen_at        INTEGER NOT NULL,
    is_stopped     INTEGER NOT NULL CHECK (is_stopped IN (0, 1)),
    propagation_ms INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX replicas_by_time ON replicas (seen_at);
