-- People of the admin address, how they come in, and what they did. Times are seconds since 1970 UTC, but where a name says
-- otherwise; secrets are kept as hashes.
CREATE TABLE account (
    username TEXT PRIMARY KEY,
    password TEXT NOT NULL, -- argon2id, in the PHC form
    role TEXT NOT NULL,
    is_disabled INTEGER NOT NULL DEFAULT 0,
    created_at BIGINT NOT NULL,
    last_login_at BIGINT
);
CREATE TABLE session (
    id TEXT PRIMARY KEY,
    secret_hash TEXT NOT NULL UNIQUE,
    username TEXT NOT NULL REFERENCES account (username) ON DELETE CASCADE,
    csrf TEXT NOT NULL,
    ip TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
);
CREATE INDEX session_username ON session (username);
CREATE TABLE api_token (
    id TEXT PRIMARY KEY,
    secret_hash TEXT NOT NULL UNIQUE,
    username TEXT NOT NULL REFERENCES account (username) ON DELETE CASCADE,
    name TEXT NOT NULL,
    role TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT,
    last_used_at BIGINT
);
CREATE INDEX api_token_username ON api_token (username);
CREATE TABLE login (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at BIGINT NOT NULL,
    username TEXT NOT NULL,
    ip TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    is_ok INTEGER NOT NULL,
    reason TEXT NOT NULL
);
CREATE INDEX login_at ON login (at);
CREATE TABLE operation (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at BIGINT NOT NULL,
    username TEXT NOT NULL,
    ip TEXT NOT NULL,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    status INTEGER NOT NULL,
    duration_us BIGINT NOT NULL,
    summary TEXT NOT NULL
);
CREATE INDEX operation_at ON operation (at);
