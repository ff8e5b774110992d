-- Who may use the admin API beside the configured account. second_factor is sealed: its key is not in here. recovery holds digests of
-- 32 bytes each, one after the other.
CREATE TABLE administrators (
    id                    bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name                  text        NOT NULL,
    role                  text        NOT NULL CHECK (role IN ('viewer', 'operator', 'owner')),
    password_hash         text        NOT NULL,
    is_disabled           boolean     NOT NULL,
    second_factor         bytea,
    second_factor_step    bigint      NOT NULL,
    recovery              bytea       NOT NULL,
    pending_second_factor bytea,
    created_at            timestamptz NOT NULL,
    last_sign_in_at       timestamptz
);
CREATE UNIQUE INDEX administrators_by_name ON administrators (lower(name COLLATE "C"));

-- Sessions that are not over. administrator_id is null for the configured account.
CREATE TABLE admin_sessions (
    number           bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id               text        NOT NULL UNIQUE,
    administrator_id bigint      REFERENCES administrators (id) ON DELETE CASCADE,
    account          text        NOT NULL,
    generation       bigint      NOT NULL,
    client_ip        inet        NOT NULL,
    user_agent       text        NOT NULL,
    created_at       timestamptz NOT NULL,
    refreshed_at     timestamptz NOT NULL,
    last_seen_at     timestamptz NOT NULL,
    expires_at       timestamptz NOT NULL
);
CREATE INDEX admin_sessions_by_administrator ON admin_sessions (administrator_id, last_seen_at);
CREATE INDEX admin_sessions_by_end ON admin_sessions (expires_at);

-- Tokens of programs: the digest of each, never the token.
CREATE TABLE api_tokens (
    id           bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name         text        NOT NULL,
    role         text        NOT NULL CHECK (role IN ('viewer', 'operator', 'owner')),
    hint         text        NOT NULL,
    digest       bytea       NOT NULL UNIQUE CHECK (length(digest) = 32),
    created_by   text        NOT NULL,
    created_at   timestamptz NOT NULL,
    expires_at   timestamptz,
    last_used_at timestamptz
);
