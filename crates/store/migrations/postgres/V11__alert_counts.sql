-- What replicas count together when they share no Redis: how often something happened in each slice of a window. None of it outlives its
-- window, so nothing is lost with a server that crashes but a window's counts: these tables are empty then, both of them, as they have to be.
CREATE UNLOGGED TABLE alert_counts (
    window_ms  bigint      NOT NULL,
    name       text        COLLATE "C" NOT NULL,
    slice      bigint      NOT NULL,
    times      bigint      NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (window_ms, name, slice)
) WITH (fillfactor = 80);
CREATE INDEX alert_counts_by_expiry ON alert_counts (expires_at);

-- The number of the last batch of each replica's counters: a batch whose answer was lost is sent again, and counts once.
CREATE UNLOGGED TABLE alert_count_batches (
    replica    bigint      NOT NULL,
    window_ms  bigint      NOT NULL,
    number     bigint      NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (replica, window_ms)
) WITH (fillfactor = 80);
