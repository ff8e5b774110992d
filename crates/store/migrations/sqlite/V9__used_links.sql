-- Links of alerts that were used: each works once. A row goes when its link would have expired anyway.
CREATE TABLE used_links (
    nonce      TEXT    PRIMARY KEY,
    expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX used_links_by_expiry ON used_links (expires_at);
