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
    UNIQUE (stream, version)
) STRICT;

-- Every append that was done: what a repetition of it is answered with.
CREATE TABLE appends (
    append_id       BLOB PRIMARY KEY, -- UUID, 16 bytes
    recorded_at     INTEGER NOT NULL,
    first_position  INTEGER,          -- its events are those from here …
    last_position   INTEGER,          -- … to here; NULL if it has none
    streams         TEXT,             -- the result in JSON, where the events do not tell it: some stream got none
    idempotency_key TEXT,             -- the request, if it is to be done once only …
    fingerprint     BLOB              -- … and its content: UUID, 16 bytes
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX appends_by_key ON appends (idempotency_key) WHERE idempotency_key IS NOT NULL;

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
