-- Every stream that has an event. A row is never changed: its id may be kept in memory.
CREATE TABLE "es".streams (
    id        bigint PRIMARY KEY,         -- drawn from stream_ids; says nothing about order
    category  text COLLATE "C" NOT NULL CHECK (octet_length(category) BETWEEN 1 AND 512),   -- the aggregate's name
    stream_id text COLLATE "C" NOT NULL CHECK (octet_length(stream_id) BETWEEN 1 AND 2000), -- the instance's id, exactly as given
    UNIQUE (category, stream_id)
) WITH (autovacuum_analyze_threshold = 5000, autovacuum_vacuum_insert_threshold = 5000);
CREATE SEQUENCE "es".stream_ids OWNED BY "es".streams.id;

-- Every event, in commit order. Positions and the versions of a stream are 1, 2, 3 … without a gap: append() computes them
-- under a lock, and the two unique constraints hold even where the lock does nothing. Rows are never changed.
CREATE TABLE "es".recorded_events (
    position      bigint      PRIMARY KEY,
    stream        bigint      NOT NULL,   -- streams.id; no foreign key, which would lock a row of streams on every insert
    version       bigint      NOT NULL,
    recorded_at   timestamptz NOT NULL,   -- never goes back along positions
    event_id      uuid        NOT NULL,
    append_id     uuid        NOT NULL,
    shape_version integer     NOT NULL,
    append_size   integer     NOT NULL,   -- of the first event of an append: how many it has, at consecutive positions; else 0
    name          text COLLATE "C" NOT NULL,  -- its kind stands in event_types, where the length is checked
    payload       json        NOT NULL,   -- json keeps the bytes as they were given; payload::jsonb for queries
    metadata      json        NOT NULL,
    UNIQUE (stream, version)
-- A plan that was made when this was known to be a page or two scans the whole table, and is kept while it grows. As long as nobody
-- has looked, the server takes it for ten pages, and uses the indexes.
) WITH (autovacuum_analyze_threshold = 5000, autovacuum_vacuum_insert_threshold = 5000);

-- Finds an append by its id. One short entry an append, not an event.
CREATE UNIQUE INDEX recorded_events_append ON "es".recorded_events (append_id) WHERE append_size > 0;

-- Every stream that has an event, whether or not it has a name: by this one a name that is gone is missed. One entry a stream.
CREATE UNIQUE INDEX recorded_events_streams ON "es".recorded_events (stream) WHERE version = 1;

-- The results of those appends whose events do not tell them: some stream was only read, or there is no event at all.
CREATE TABLE "es".appends (
    append_id   uuid        PRIMARY KEY,
    recorded_at timestamptz NOT NULL,
    streams     json        NOT NULL      -- [{"category", "stream_id", "events", "version", "position"}, …]
);

-- Finds those without events where they stand in the log, for archives.
CREATE INDEX appends_position ON "es".appends (((streams -> 0 ->> 'position')::bigint), append_id);

-- Requests that are to be done once only. The scope of a key is this schema.
CREATE TABLE "es".idempotency_keys (
    append_id   uuid        PRIMARY KEY,
    key         text COLLATE "C" UNIQUE CHECK (octet_length(key) BETWEEN 1 AND 2000), -- NULL once it is forgotten
    fingerprint uuid        NOT NULL,     -- the content of the request
    recorded_at timestamptz NOT NULL
);

-- Forgets those of the next keys behind `after`, in their order, that were recorded before a time. Returns how many, and the last key
-- that was looked at; none at the end. A repetition of the append is still recognised by its id and the fingerprint.
CREATE FUNCTION "es".forget_keys(before timestamptz, after text, at_most bigint, OUT last text, OUT forgotten bigint)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off
AS $$
BEGIN
    SELECT max(n.key) INTO last
      FROM (SELECT k.key FROM "es".idempotency_keys AS k WHERE k.key > after ORDER BY k.key LIMIT at_most) AS n;
    UPDATE "es".idempotency_keys AS k SET key = NULL WHERE k.key > after AND k.key <= last AND k.recorded_at < before;
    GET DIAGNOSTICS forgotten = ROW_COUNT;
END $$;

REVOKE ALL ON FUNCTION "es".forget_keys FROM PUBLIC;

-- What is stored: every kind of event in every shape that was ever appended.
CREATE TABLE "es".event_types (
    category      text COLLATE "C" NOT NULL,
    name          text COLLATE "C" NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 512),
    shape_version integer          NOT NULL,
    PRIMARY KEY (category, name, shape_version)
);

-- The identity of this log. Give it a new epoch after a restore that lost events: checkpoints made before it are void then.
CREATE TABLE "es".log (
    one   boolean PRIMARY KEY DEFAULT true CHECK (one),
    epoch uuid    NOT NULL DEFAULT gen_random_uuid()
);
INSERT INTO "es".log DEFAULT VALUES;

-- The events as people read them.
CREATE VIEW "es".events AS
SELECT
    e.position,
    s.category || '/' || s.stream_id AS stream,
    e.version,
    e.name,
    e.shape_version,
    e.recorded_at,
    e.payload,
    e.metadata,
    e.event_id,
    e.append_id
FROM "es".recorded_events AS e
JOIN "es".streams AS s ON s.id = e.stream;
