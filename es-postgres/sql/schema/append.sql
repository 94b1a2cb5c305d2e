-- What became of one entry of a call of append().
CREATE TYPE "es".appended AS (
    entry       integer,
    -- appended    it is stored
    -- conflict    the stream is at `version`, which is not what was expected; nothing of the append is stored
    -- refused     another entry of the same append met a conflict; nothing of the append is stored
    -- untried     the append before it in its chain was not stored by this call; nothing of the append is stored
    -- repeated    an append with this id, or with this key and fingerprint, is stored since before: see stored(append_id)
    -- mismatched  the key is stored since before with another fingerprint; nothing is stored now
    outcome     text,
    append_id   uuid,       -- the append; of the first one, where this is a repetition
    events      integer,    -- how many events were appended to the stream
    version     bigint,     -- the version of the stream
    position    bigint,     -- of the last event appended to the stream, or of the last event of all where none was
    recorded_at timestamptz
);

-- Whether an argument of append(), if it is given, is a list of so many elements that begins at 1: elements are found by number.
CREATE FUNCTION "es".is_list(list anyarray, length integer) RETURNS boolean
LANGUAGE sql IMMUTABLE
AS $$
    SELECT list IS NULL
        OR cardinality(list) = length AND (length = 0 OR array_ndims(list) = 1 AND array_lower(list, 1) = 1)
$$;

-- Appends, for clients in every language: alone, or as the last statement of a transaction of your own. The lock that it takes
-- is held until that transaction ends, so end it at once.
--
--     SELECT * FROM es.append('{account}', '{alice}', '{exact}', '{withdrawn}', '{"{\"amount\":5}"}', expected => '{4}');
--
-- One call takes one append or many, and a conflict of one does not touch the others. An append is made of one entry for each
-- of its streams, and is stored as a whole or not at all. The entries of a stream are taken in order: each sees the one before.
-- Appends are a chain where each rests on the one before: it is tried only if this call has stored that one.
CREATE FUNCTION "es".append(
    -- for each entry
    categories     text[],
    stream_ids     text[],
    expectations   text[],                  -- any, none, exists, exact
    -- for each event, those of the first entry first
    names          text[],
    payloads       json[],
    -- for each entry
    expected       bigint[]  DEFAULT NULL,  -- the version for `exact`
    event_counts   integer[] DEFAULT NULL,  -- how many events; 0 to demand only. NULL: all events belong to the one entry
    entry_appends  integer[] DEFAULT NULL,  -- which append, as 1, 1, 2 …; NULL: all entries are one append
    -- for each event
    event_ids      uuid[]    DEFAULT NULL,
    shape_versions integer[] DEFAULT NULL,
    metadata       json[]    DEFAULT NULL,
    -- for each append: no id and no key may stand twice in one call
    append_ids     uuid[]    DEFAULT NULL,
    keys           text[]    DEFAULT NULL,  -- idempotency keys: the same key is appended once
    fingerprints   uuid[]    DEFAULT NULL,  -- of the content that a key stands for
    chained        boolean[] DEFAULT NULL,  -- whether it rests on the append before it; not the first
    by_clock       timestamptz DEFAULT NULL, -- what time it is; NULL: that of the server
    last_events    uuid[]    DEFAULT NULL   -- for each entry: the id of the event that the stream has to end with; NULL: of any
) RETURNS SETOF "es".appended
LANGUAGE plpgsql SECURITY DEFINER           -- who may append needs no right to write, and sees the true head of the log
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan    -- with array arguments every call would be planned again
SET enable_seqscan = off                    -- and the first plan, made for empty tables, is kept
SET jit = off                               -- which would take longer than the statements
AS $$
DECLARE
    entries  CONSTANT integer := cardinality(categories);
    total    CONSTANT integer := cardinality(names);
    appends  CONSTANT integer := coalesce(entry_appends[entries], 1);
    -- of a lone append
    head     bigint;
    now_at   timestamptz;
    stream   bigint;
    version  bigint;
    last     uuid;
    is_known boolean;                       -- whether the kind of its event is
    allowed  boolean;
    own_id   uuid;
    is_plain boolean := false;              -- there is no need to go from entry to entry
BEGIN
    IF (entries > 0 AND "es".is_list(categories, entries) AND "es".is_list(stream_ids, entries)
            AND "es".is_list(expectations, entries) AND "es".is_list(expected, entries)
            AND "es".is_list(event_counts, entries) AND "es".is_list(entry_appends, entries)
            AND "es".is_list(names, total) AND "es".is_list(payloads, total) AND "es".is_list(event_ids, total)
            AND "es".is_list(shape_versions, total) AND "es".is_list(metadata, total)
            AND "es".is_list(append_ids, appends) AND "es".is_list(keys, appends) AND "es".is_list(fingerprints, appends)
            AND "es".is_list(chained, appends) AND chained[1] IS NOT TRUE AND "es".is_list(last_events, entries)
            AND stream_ids IS NOT NULL AND expectations IS NOT NULL AND payloads IS NOT NULL
            AND (event_counts IS NOT NULL OR entries = 1)) IS NOT TRUE THEN
        RAISE EXCEPTION 'the arguments of append() differ in length, or are not plain lists that begin at 1'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    -- Also the infinite are beyond what is read.
    IF by_clock NOT BETWEEN '0001-01-01 00:00:00+00' AND '9999-12-31 23:59:59.999999+00' THEN
        RAISE EXCEPTION 'by_clock is not within the years 1 to 9999' USING ERRCODE = 'invalid_parameter_value';
    END IF;

    PERFORM "es".lock_log();
    -- From here on each statement sees all appends that were ever committed.

    -- One event for a stream that is there, of a kind that is known: the most common append, and one statement. It does nothing
    -- where anything is otherwise, and what follows finds out what.
    IF entries = 1 AND total = 1 AND keys[1] IS NULL THEN
        RETURN QUERY
        INSERT INTO "es".recorded_events AS stored
               (position, stream, version, recorded_at, event_id, append_id, shape_version, append_size, name, payload, metadata)
        SELECT l.position + 1, s.id, v.version + 1, greatest(l.recorded_at, coalesce(by_clock, clock_timestamp())),
               coalesce(event_ids[1], gen_random_uuid()), coalesce(append_ids[1], gen_random_uuid()), coalesce(shape_versions[1], 1), 1,
               names[1], payloads[1], coalesce(append.metadata[1], '{}')
          FROM "es".streams AS s,
               LATERAL (SELECT e.version, e.event_id FROM "es".recorded_events AS e
                         WHERE e.stream = s.id ORDER BY e.version DESC LIMIT 1) AS v,
               (SELECT e.position, e.recorded_at FROM "es".recorded_events AS e ORDER BY e.position DESC LIMIT 1) AS l
         WHERE s.category = categories[1] AND s.stream_id = stream_ids[1]
           AND CASE expectations[1] WHEN 'exact' THEN v.version = expected[1] WHEN 'exists' THEN true WHEN 'any' THEN true END
           AND coalesce(v.event_id = last_events[1], true)
           AND coalesce(event_counts[1], 1) = 1 AND coalesce(entry_appends[1], 1) = 1
           AND EXISTS (
               SELECT FROM "es".event_types AS t
                WHERE t.category = categories[1] AND t.name = names[1] AND t.shape_version = coalesce(shape_versions[1], 1))
           AND NOT EXISTS (SELECT FROM "es".recorded_events AS e WHERE e.append_id = append_ids[1] AND e.append_size > 0)
           AND NOT EXISTS (SELECT FROM "es".appends AS a WHERE a.append_id = append_ids[1])
        RETURNING 1, 'appended', stored.append_id, 1, stored.version, stored.position, stored.recorded_at;
        IF FOUND THEN
            RETURN;
        END IF;
    END IF;

    -- One append to one stream.
    IF entries = 1 AND total > 0 AND keys[1] IS NULL THEN
        SELECT l.position, l.recorded_at, s.id,
               v.version, v.event_id,
               coalesce(event_counts[1], total) = total AND coalesce(entry_appends[1], 1) = 1
                   AND NOT EXISTS (SELECT FROM "es".recorded_events AS e WHERE e.append_id = append_ids[1] AND e.append_size > 0)
                   AND NOT EXISTS (SELECT FROM "es".appends AS a WHERE a.append_id = append_ids[1]),
               total = 1 AND EXISTS (
                   SELECT FROM "es".event_types AS t
                    WHERE t.category = categories[1] AND t.name = names[1] AND t.shape_version = coalesce(shape_versions[1], 1))
          INTO head, now_at, stream, version, last, is_plain, is_known
          FROM (VALUES (1)) AS one
          LEFT JOIN (SELECT e.position, e.recorded_at FROM "es".recorded_events AS e ORDER BY e.position DESC LIMIT 1) AS l ON true
          LEFT JOIN "es".streams AS s ON s.category = categories[1] AND s.stream_id = stream_ids[1]
          LEFT JOIN LATERAL (SELECT e.version, e.event_id FROM "es".recorded_events AS e
                              WHERE e.stream = s.id ORDER BY e.version DESC LIMIT 1) AS v ON true;
        head := coalesce(head, 0);
        version := coalesce(version, 0);
        allowed := CASE expectations[1]
            WHEN 'any' THEN true
            WHEN 'none' THEN version = 0
            WHEN 'exists' THEN version > 0
            WHEN 'exact' THEN version = expected[1]
        END;
        -- Not where it is unknown: such an expectation makes no sense, whatever the last event is.
        IF allowed THEN
            allowed := last_events[1] IS NULL OR last IS NOT DISTINCT FROM last_events[1];
        END IF;
        IF is_plain AND allowed THEN
            own_id := coalesce(append_ids[1], gen_random_uuid());
            now_at := greatest(now_at, coalesce(by_clock, clock_timestamp()));
            IF stream IS NULL THEN
                stream := nextval('"es".stream_ids');
                INSERT INTO "es".streams (id, category, stream_id) VALUES (stream, categories[1], stream_ids[1]);
            END IF;
            INSERT INTO "es".recorded_events
                   (position, stream, version, recorded_at, event_id, append_id, shape_version, append_size, name, payload, metadata)
            SELECT head + e.no, stream, version + e.no, now_at, coalesce(e.id, gen_random_uuid()), own_id, coalesce(e.shape_version, 1),
                   CASE e.no WHEN 1 THEN total ELSE 0 END, e.name, e.payload, coalesce(e.metadata, '{}')
              FROM unnest(event_ids, shape_versions, names, payloads, metadata)
                   WITH ORDINALITY AS e(id, shape_version, name, payload, metadata, no);
            IF NOT is_known THEN
                INSERT INTO "es".event_types (category, name, shape_version)
                SELECT DISTINCT categories[1], e.name, coalesce(e.shape_version, 1)
                  FROM unnest(names, shape_versions) AS e(name, shape_version)
                    ON CONFLICT DO NOTHING;
            END IF;
            RETURN NEXT (1, 'appended', own_id, total, version + total, head + total, now_at)::"es".appended;
            RETURN;
        ELSIF is_plain AND NOT allowed THEN
            RETURN NEXT (1, 'conflict', coalesce(append_ids[1], gen_random_uuid()), total, version, head,
                         greatest(now_at, coalesce(by_clock, clock_timestamp())))::"es".appended;
            RETURN;
        END IF;
        is_plain := false;
    END IF;

    -- Many appends, each to a stream of its own and none of a chain. None of them is stored since before.
    IF entries > 1 OR keys[1] IS NOT NULL THEN
        SELECT count(*) = entries AND bool_and(stream.fits) AND sum(stream.events) = total
               AND (true = ANY (chained)) IS NOT TRUE
               AND NOT EXISTS (SELECT FROM "es".recorded_events AS e WHERE e.append_id = ANY (append_ids) AND e.append_size > 0)
               AND NOT EXISTS (SELECT FROM "es".appends AS a WHERE a.append_id = ANY (append_ids))
               AND NOT EXISTS (SELECT FROM "es".idempotency_keys AS k WHERE k.key = ANY (keys))
          INTO is_plain
          FROM (SELECT sum(u.events) AS events,
                       bool_and((u.append = u.no AND u.events > 0
                           AND (u.expectation IN ('any', 'none', 'exists') OR u.expectation = 'exact' AND u.version IS NOT NULL)) IS TRUE) AS fits
                  FROM unnest(categories, stream_ids, expectations, expected, event_counts, entry_appends)
                       WITH ORDINALITY AS u(category, stream_id, expectation, version, events, append, no)
                 GROUP BY u.category COLLATE "C", u.stream_id COLLATE "C") AS stream;
    END IF;
    IF is_plain THEN
        RETURN QUERY
        WITH log AS MATERIALIZED (
            SELECT coalesce(max(l.position), 0) AS head, greatest(max(l.recorded_at), coalesce(by_clock, clock_timestamp())) AS now_at
              FROM (SELECT e.position, e.recorded_at FROM "es".recorded_events AS e ORDER BY e.position DESC LIMIT 1) AS l
        ),
        -- Sub-selects of one row each, not joins: an index probe for each entry, whatever the statistics say.
        looked_up AS (
            SELECT a.*, coalesce(v.version, 0) AS version, a.last IS NULL OR v.event_id IS NOT DISTINCT FROM a.last AS is_last
              FROM (SELECT u.*, (SELECT s.id FROM "es".streams AS s
                                  WHERE s.category = u.category AND s.stream_id = u.stream_id) AS stream
                      FROM unnest(categories, stream_ids, expectations, expected, event_counts, append_ids, keys, fingerprints, last_events)
                           WITH ORDINALITY AS u(category, stream_id, expectation, expected, events, append_id, key, fingerprint, last, no)
                    OFFSET 0) AS a
              LEFT JOIN LATERAL (SELECT e.version, e.event_id FROM "es".recorded_events AS e
                                  WHERE e.stream = a.stream ORDER BY e.version DESC LIMIT 1) AS v ON true
            OFFSET 0
        ),
        decided AS (
            SELECT l.*,
                   CASE l.expectation
                       WHEN 'any' THEN true
                       WHEN 'none' THEN l.version = 0
                       WHEN 'exists' THEN l.version > 0
                       ELSE l.version = l.expected
                   END AND l.is_last AS allowed
              FROM looked_up AS l
            OFFSET 0
        ),
        placed AS MATERIALIZED (
            SELECT d.no, d.category, d.stream_id, d.events, d.version, d.key, d.fingerprint, d.allowed, d.stream IS NULL AS is_new,
                   CASE WHEN d.allowed AND d.stream IS NULL THEN nextval('"es".stream_ids') ELSE d.stream END AS stream,
                   coalesce(d.append_id, gen_random_uuid()) AS append_id,
                   sum(d.events) OVER up_to_here - d.events AS before,
                   g.head + coalesce(sum(d.events) FILTER (WHERE d.allowed) OVER up_to_here, 0) AS position
              FROM decided AS d, log AS g
            WINDOW up_to_here AS (ORDER BY d.no)
        ),
        new_streams AS (
            INSERT INTO "es".streams (id, category, stream_id)
            SELECT p.stream, p.category, p.stream_id FROM placed AS p WHERE p.allowed AND p.is_new
        ),
        new_events AS (
            SELECT p.category, p.stream, p.append_id, p.version + i AS version, p.position - p.events + i AS position,
                   CASE i WHEN 1 THEN p.events ELSE 0 END AS append_size,
                   e.id, coalesce(e.shape_version, 1) AS shape_version, e.name, e.payload, e.metadata
              FROM placed AS p, generate_series(1, p.events) AS i,
                   unnest(event_ids, shape_versions, names, payloads, metadata)
                   WITH ORDINALITY AS e(id, shape_version, name, payload, metadata, no)
             WHERE p.allowed AND e.no = p.before + i
        ),
        inserted AS (
            INSERT INTO "es".recorded_events
                   (position, stream, version, recorded_at, event_id, append_id, shape_version, append_size, name, payload, metadata)
            SELECT e.position, e.stream, e.version, g.now_at, coalesce(e.id, gen_random_uuid()), e.append_id, e.shape_version,
                   e.append_size, e.name, e.payload, coalesce(e.metadata, '{}')
              FROM new_events AS e, log AS g
        ),
        new_types AS (
            INSERT INTO "es".event_types (category, name, shape_version)
            SELECT DISTINCT e.category, e.name, e.shape_version FROM new_events AS e
                ON CONFLICT DO NOTHING
        ),
        new_keys AS (
            INSERT INTO "es".idempotency_keys (key, fingerprint, append_id, recorded_at)
            SELECT p.key, coalesce(p.fingerprint, '00000000-0000-0000-0000-000000000000'), p.append_id, g.now_at
              FROM placed AS p, log AS g WHERE p.allowed AND p.key IS NOT NULL
        )
        SELECT p.no::integer, CASE WHEN p.allowed THEN 'appended' ELSE 'conflict' END, p.append_id, p.events,
               CASE WHEN p.allowed THEN p.version + p.events ELSE p.version END, p.position::bigint, g.now_at
          FROM placed AS p, log AS g
         ORDER BY p.no;
        RETURN;
    END IF;

    RETURN QUERY SELECT * FROM "es".append_in_turn(
        categories, stream_ids, expectations, names, payloads, expected, event_counts, entry_appends, event_ids, shape_versions,
        metadata, append_ids, keys, fingerprints, chained, by_clock, last_events);
END $$;

REVOKE ALL ON FUNCTION "es".lock_log(), "es".append FROM PUBLIC;
