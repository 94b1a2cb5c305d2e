-- What the owner of a lease said of itself last. Written so that it can be run again, like the step before.
CREATE TABLE IF NOT EXISTS reports (
    lease       TEXT PRIMARY KEY,
    epoch       INTEGER NOT NULL, -- of the lease
    text        TEXT    NOT NULL,
    reported_at INTEGER NOT NULL  -- microseconds since 1970-01-01T00:00:00Z
) STRICT, WITHOUT ROWID;
