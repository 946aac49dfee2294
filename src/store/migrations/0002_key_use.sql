-- The last use of each API key, in seconds since 1970 UTC.
CREATE TABLE key_use (
    consumer TEXT NOT NULL,
    key_id TEXT NOT NULL,
    at BIGINT NOT NULL,
    PRIMARY KEY (consumer, key_id)
);
