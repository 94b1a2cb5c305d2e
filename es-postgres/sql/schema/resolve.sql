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
    (SELECT s.category, s.stream_id, count(*)::integer, max(e.version), max(e.position), max(e.recorded_at)
      FROM "es".recorded_events AS f
      JOIN "es".recorded_events AS e ON e.position BETWEEN f.position AND f.position + f.append_size - 1
      JOIN "es".streams AS s ON s.id = e.stream
     WHERE f.append_id = wanted AND f.append_size > 0
       AND NOT EXISTS (SELECT FROM "es".appends AS a WHERE a.append_id = wanted)
     GROUP BY s.id
     ORDER BY min(e.position))
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
