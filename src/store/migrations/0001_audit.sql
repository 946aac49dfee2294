-- One row for each audited call. Times are microseconds since 1970 UTC; roles are a JSON array.
CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice, also after old rows were deleted
    at BIGINT NOT NULL,
    request_id TEXT NOT NULL,
    interface TEXT NOT NULL,
    version TEXT NOT NULL,
    principal_kind TEXT NOT NULL,
    principal TEXT NOT NULL,
    issuer TEXT,
    roles TEXT NOT NULL,
    ip TEXT,
    method TEXT NOT NULL,
    path TEXT NOT NULL,
    params TEXT,
    code TEXT NOT NULL,
    status INTEGER NOT NULL,
    row_count BIGINT NOT NULL,
    byte_count BIGINT NOT NULL,
    duration_us BIGINT NOT NULL,
    queue_us BIGINT,
    database_us BIGINT,
    cache TEXT,
    revision TEXT NOT NULL,
    kind TEXT NOT NULL,
    error TEXT,
    sql_fingerprint TEXT
);
CREATE INDEX audit_at ON audit (at);
CREATE INDEX audit_interface_at ON audit (interface, at);
CREATE INDEX audit_request_id ON audit (request_id);
