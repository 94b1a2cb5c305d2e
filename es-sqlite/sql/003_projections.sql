-- What is kept for readers of the log. Written so that it can be run again: a writer that was open since before this step may
-- set the version of the schema back.

-- Who may write under a name. The clock is that of SQLite, whatever those of the processes say.
CREATE TABLE IF NOT EXISTS leases (
    name       TEXT PRIMARY KEY,
    owner      TEXT,             -- NULL: it was given back
    epoch      INTEGER NOT NULL, -- rises each time that it is taken anew
    expires_at INTEGER NOT NULL  -- microseconds since 1970-01-01T00:00:00Z
) STRICT, WITHOUT ROWID;

-- How far each reader has come.
CREATE TABLE IF NOT EXISTS checkpoints (
    reader     TEXT PRIMARY KEY,
    position   INTEGER NOT NULL,
    event_id   BLOB,             -- the event at that position, by which a restored file is noticed; NULL at position 0
    updated_at INTEGER NOT NULL  -- microseconds since 1970-01-01T00:00:00Z
) STRICT, WITHOUT ROWID;

-- Events that a reader could not handle.
CREATE TABLE IF NOT EXISTS parked (
    reader   TEXT    NOT NULL,
    position INTEGER NOT NULL,
    event_id BLOB    NOT NULL,
    error    TEXT    NOT NULL,   -- of the last attempt
    attempts INTEGER NOT NULL,
    PRIMARY KEY (reader, position)
) STRICT, WITHOUT ROWID;
