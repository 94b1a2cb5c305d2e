-- What became of each stream by an append, if it is stored.
CREATE FUNCTION "es".stored(wanted uuid)
RETURNS TABLE (category text, stream_id text, events integer, version bigint, "position" bigint, recorded_at timestamptz)
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT t.category, t.stream_id, t.events, t.version, t.position, a.recorded_at
      FROM "es".appends AS a,
           json_to_recordset(a.streams) AS t(category text, stream_id text, events integer, version bigint, position bigint)
     WHERE a.append_id = wanted
    UNION ALL
    -- Each event is looked up by itself: how many follow in a range the server would only guess, and it guesses many.
    (SELECT s.category, s.stream_id, t.events, t.version, t.position, t.recorded_at
      FROM (SELECT e.stream, count(*)::integer AS events, max(e.version) AS version, min(e.position) AS first, max(e.position) AS position,
                   max(e.recorded_at) AS recorded_at
              FROM "es".recorded_events AS f
             CROSS JOIN generate_series(f.position, f.position + f.append_size - 1) AS place
             CROSS JOIN LATERAL (SELECT * FROM "es".recorded_events AS e WHERE e.position = place LIMIT 1) AS e
             WHERE f.append_id = wanted AND f.append_size > 0
               AND NOT EXISTS (SELECT FROM "es".appends AS a WHERE a.append_id = wanted)
             GROUP BY e.stream) AS t
     CROSS JOIN LATERAL (SELECT * FROM "es".streams AS s WHERE s.id = t.stream LIMIT 1) AS s
     ORDER BY t.first)
$$;

-- The same, definitely: waits for appends that are being committed.
CREATE FUNCTION "es".resolve(wanted uuid)
RETURNS TABLE (category text, stream_id text, events integer, version bigint, "position" bigint, recorded_at timestamptz)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM "es".lock_log();
    RETURN QUERY SELECT * FROM "es".stored(wanted);
END $$;

REVOKE ALL ON FUNCTION "es".stored, "es".resolve FROM PUBLIC;
