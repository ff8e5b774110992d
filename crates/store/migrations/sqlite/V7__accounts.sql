-- Who may use the admin API beside the configured account. second_factor is sealed: its key is not in here. recovery holds digests of
-- 32 bytes each, one after the other.
CREATE TABLE administrators (
    id                    INTEGER PRIMARY KEY AUTOINCREMENT,
    name                  TEXT    NOT NULL,
    role                  TEXT    NOT NULL CHECK (role IN ('viewer', 'operator', 'owner')),
    password_hash         TEXT    NOT NULL,
    is_disabled           INTEGER NOT NULL CHECK (is_disabled IN (0, 1)),
    second_factor         BLOB,
    second_factor_step    INTEGER NOT NULL,
    recovery              BLOB    NOT NULL,
    pending_second_factor BLOB,
    created_at            INTEGER NOT NULL,
    last_sign_in_at       INTEGER
) STRICT;
CREATE UNIQUE INDEX administrators_by_name ON administrators (name COLLATE NOCASE);

-- Sessions that are not over. administrator_id is null for the configured account.
CREATE TABLE admin_sessions (
    number           INTEGER PRIMARY KEY AUTOINCREMENT,
    id               TEXT    NOT NULL UNIQUE,
    administrator_id INTEGER REFERENCES administrators (id) ON DELETE CASCADE,
    account          TEXT    NOT NULL,
    generation       INTEGER NOT NULL,
    client_ip        TEXT    NOT NULL,
    user_agent       TEXT    NOT NULL,
    created_at       INTEGER NOT NULL,
    refreshed_at     INTEGER NOT NULL,
    last_seen_at     INTEGER NOT NULL,
    expires_at       INTEGER NOT NULL
) STRICT;
CREATE INDEX admin_sessions_by_administrator ON admin_sessions (administrator_id, last_seen_at);
CREATE INDEX admin_sessions_by_end ON admin_sessions (expires_at);

-- Tokens of programs: the digest of each, never the token.
CREATE TABLE api_tokens (
    id           INTEGER PRIMARY KEY AUTOINCREMENT,
    name         TEXT    NOT NULL,
    role         TEXT    NOT NULL CHECK (role IN ('viewer', 'operator', 'owner')),
    hint         TEXT    NOT NULL,
    digest       BLOB    NOT NULL UNIQUE CHECK (length(digest) = 32),
    created_by   TEXT    NOT NULL,
    created_at   INTEGER NOT NULL,
    expires_at   INTEGER,
    last_used_at INTEGER
) STRICT;
