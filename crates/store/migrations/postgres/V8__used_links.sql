-- Links of alerts that were used: each works once. A row goes when its link would have expired anyway.
CREATE TABLE used_links (
    nonce      text        PRIMARY KEY,
    expires_at timestamptz NOT NULL
);
CREATE INDEX used_links_by_expiry ON used_links (expires_at);
