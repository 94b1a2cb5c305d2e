-- The log

-- Every stream that has an event. A row is never changed: its id may be kept in memory.
CREATE TABLE streams (
    id        INTEGER PRIMARY KEY,
    category  TEXT NOT NULL,        -- the aggregate's name
    stream_id TEXT NOT NULL,        -- the instance's id, exactly as given
    UNIQUE (category, stream_id)
) STRICT;

-- Every event, in commit order. Positions and the versions of a stream are 1, 2, 3 … without a gap.
CREATE TABLE recorded_events (
    position      INTEGER PRIMARY KEY,
    stream        INTEGER NOT NULL REFERENCES streams (id),
    version       INTEGER NOT NULL,
    event_id      BLOB    NOT NULL, -- UUID, 16 bytes
    recorded_at   INTEGER NOT NULL, -- microseconds since 1970-01-01T00:00:00Z; never goes back along positions
    name          TEXT    NOT NULL,
    shape_version INTEGER NOT NULL,
    metadata      TEXT    NOT NULL, -- JSON
    payload       ANY     NOT NULL, -- TEXT if the bytes are UTF-8, so that JSON functions take it; else BLOB
    checksum      INTEGER,          -- of all columns and the name of the stream: two CRC-32. NULL if another program wrote the event
    UNIQUE (stream, version)
) STRICT;

-- Every append that was done: what a repetition of it is answered with.
CREATE TABLE appends (
    append_id       BLOB PRIMARY KEY, -- UUID, 16 bytes
    recorded_at     INTEGER NOT NULL,
    first_position  INTEGER,          -- its events are those from here …
    last_position   INTEGER,          -- … to here; NULL if it has none
    streams         TEXT,             -- the result in JSON, where the events do not tell it: some stream got none
    idempotency_key TEXT,             -- the request, if it is to be done once only; NULL again once it is forgotten …
    fingerprint     BLOB              -- … and its content: UUID, 16 bytes. It stays
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX appends_by_key ON appends (idempotency_key) WHERE idempotency_key IS NOT NULL;

-- What is stored: every kind of event in every shape that was ever appended. A row is never changed: it may be kept in memory.
CREATE TABLE event_types (
    category      TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    shape_version INTEGER NOT NULL,
    PRIMARY KEY (category, name, shape_version)
) STRICT, WITHOUT ROWID;

-- The events as people read them.
CREATE VIEW events AS
SELECT
    e.position,
    s.category || '/' || s.stream_id AS stream,
    e.version,
    e.name,
    e.shape_version,
    strftime('%Y-%m-%dT%H:%M:%S', (e.recorded_at - (e.recorded_at % 1000000 + 1000000) % 1000000) / 1000000, 'unixepoch')
        || printf('.%06dZ', (e.recorded_at % 1000000 + 1000000) % 1000000) AS recorded_at,
    e.payload,
    e.metadata,
    lower(
        substr(hex(e.event_id), 1, 8) || '-' || substr(hex(e.event_id), 9, 4) || '-' || substr(hex(e.event_id), 13, 4)
        || '-' || substr(hex(e.event_id), 17, 4) || '-' || substr(hex(e.event_id), 21)
    ) AS event_id
FROM recorded_events AS e
JOIN streams AS s ON s.id = e.stream;

-- Write caps

-- States

-- The latest change of each entity. Not without row ids: a search compares whole rows then, and payloads may be long.
CREATE TABLE states (
    number    INTEGER PRIMARY KEY,
    namespace TEXT    NOT NULL,
    kind      TEXT    NOT NULL,
    id        TEXT    NOT NULL,
    sequence  INTEGER NOT NULL, -- of the change: 1, 2, 3 …
    change    INTEGER NOT NULL, -- 0: created, 1: changed, 2: deleted
    shape     INTEGER NOT NULL, -- of the payload: 64 bits
    saved_at  INTEGER NOT NULL, -- microseconds since 1970-01-01T00:00:00Z
    checksum  INTEGER NOT NULL, -- of all columns from namespace to payload: CRC-32
    payload   TEXT,             -- JSON; NULL: deleted
    UNIQUE (namespace, kind, id)
) STRICT;

-- Leases

-- Who may write under a name. The clock is that of SQLite, whatever those of the processes say.
CREATE TABLE leases (
    name       TEXT PRIMARY KEY,
    owner      TEXT,             -- NULL: it was given back
    epoch      INTEGER NOT NULL, -- rises each time that it is taken anew
    expires_at INTEGER NOT NULL, -- microseconds since 1970-01-01T00:00:00Z
    length     INTEGER NOT NULL  -- in microseconds. A lease that ends further ahead was given before the clock was set back
) STRICT, WITHOUT ROWID;

-- What the owner of a lease said of itself last.
CREATE TABLE reports (
    lease       TEXT PRIMARY KEY,
    epoch       INTEGER NOT NULL, -- of the lease
    text        TEXT    NOT NULL,
    reported_at INTEGER NOT NULL  -- microseconds since 1970-01-01T00:00:00Z
) STRICT, WITHOUT ROWID;

-- Checkpoints

-- How far each reader has come.
CREATE TABLE checkpoints (
    reader     TEXT PRIMARY KEY,
    position   INTEGER NOT NULL,
    event_id   BLOB,             -- the event at that position, by which a restored file is noticed; NULL at position 0
    updated_at INTEGER NOT NULL  -- microseconds since 1970-01-01T00:00:00Z
) STRICT, WITHOUT ROWID;

-- Events that a reader could not handle.
CREATE TABLE parked (
    reader   TEXT    NOT NULL,
    position INTEGER NOT NULL,
    event_id BLOB    NOT NULL,
    reason   TEXT    NOT NULL,   -- failed, behind (another parked event) or ended_processes
    error    TEXT    NOT NULL,   -- of the last attempt
    attempts INTEGER NOT NULL,
    PRIMARY KEY (reader, position)
) STRICT, WITHOUT ROWID;

-- Projections

-- Those that keep tables of their own.
CREATE TABLE projection_schemas (
    name        TEXT PRIMARY KEY, -- such as totals_v1
    fingerprint BLOB NOT NULL,    -- of the statements that created the tables
    tables      TEXT NOT NULL     -- their names: a JSON array
) STRICT, WITHOUT ROWID;
