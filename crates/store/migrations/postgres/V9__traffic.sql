-- How much went through, by minute, hour and day in UTC. measure is one of allowed, observed, bound, released, or the code of a reason to refuse.
-- The rows of now are changed every few seconds: with room beside them they stay on their pages, and their index alone.
CREATE TABLE traffic (
    span    text        NOT NULL CHECK (span IN ('minute', 'hour', 'day')),
    at      timestamptz NOT NULL,
    measure text        NOT NULL,
    count   bigint      NOT NULL CHECK (count >= 0),
    PRIMARY KEY (span, at, measure)
) WITH (fillfactor = 50);

-- Who was refused most. The subject '' stands for all that have no row of their own: count is how often they were refused, missed_max
-- the most that any one of them can have lost. A subject that comes later may have lost as much before.
CREATE TABLE top_refused (
    span       text        NOT NULL CHECK (span IN ('hour', 'day')),
    at         timestamptz NOT NULL,
    kind       text        NOT NULL CHECK (kind IN ('key', 'address')),
    subject    text        NOT NULL,
    binding_id bigint,
    hint       text,
    count      bigint      NOT NULL CHECK (count >= 0),
    missed_max bigint      NOT NULL DEFAULT 0,
    PRIMARY KEY (span, at, kind, subject)
) WITH (fillfactor = 50);

-- One row per process that served, from its start on. report is the number of its last report that was added to the traffic.
CREATE TABLE replicas (
    run            text        PRIMARY KEY,
    name           text        NOT NULL,
    version        text        NOT NULL,
    report         bigint      NOT NULL,
    started_at     timestamptz NOT NULL,
    seen_at        timestamptz NOT NULL,
    is_stopped     boolean     NOT NULL,
    propagation_ms bigint
) WITH (fillfactor = 50);
