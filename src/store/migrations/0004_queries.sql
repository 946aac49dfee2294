-- One row for each query that a person ran by hand. Times are microseconds since 1970 UTC; parameters are a JSON object.
CREATE TABLE query_log (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- never used twice, also after old rows were deleted
    at BIGINT NOT NULL,
    username TEXT NOT NULL,
    datasource TEXT NOT NULL,
    sql TEXT NOT NULL,
    params TEXT,
    state TEXT NOT NULL,
    error TEXT,
    row_count BIGINT NOT NULL,
    duration_us BIGINT NOT NULL
);
CREATE INDEX query_log_at ON query_log (at);
CREATE INDEX query_log_username_at ON query_log (username, at);
