-- Inline projections: what they do with an event is a part of the transaction that appends it.

-- Whether a reader has taken in every event of these categories below `until`, or all of them if that is NULL, and has its mark.
CREATE FUNCTION "es".is_level(of_reader text, of_mark text, of_categories text[], until bigint) RETURNS boolean
LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET jit = off                               -- which the cost of a scan that is switched off would call for, each time
AS $$
DECLARE
    at       bigint;
    of_event uuid;
    of_log   uuid;
BEGIN
    PERFORM FROM "es".checkpoints AS c WHERE c.reader = of_mark;
    IF NOT FOUND THEN
        RETURN false;
    END IF;
    SELECT c.position, c.event_id, c.epoch INTO at, of_event, of_log FROM "es".checkpoints AS c WHERE c.reader = of_reader;
    at := coalesce(at, 0);
    -- A checkpoint of another log says nothing of this one.
    IF at > 0 AND NOT EXISTS (SELECT FROM "es".recorded_events AS e, "es".log AS l
                               WHERE e.position = at AND e.event_id = of_event AND l.epoch = of_log) THEN
        RETURN false;
    END IF;
    -- An index probe for each event behind it, of which there are few.
    RETURN NOT EXISTS (
        SELECT FROM (SELECT e.stream FROM "es".recorded_events AS e
                      WHERE e.position > at AND e.position < coalesce(until, 9223372036854775807) OFFSET 0) AS e
         WHERE (SELECT s.category FROM "es".streams AS s WHERE s.id = e.stream) = ANY (of_categories));
END $$;

-- Moves the checkpoint of a reader to the event at `last`, unless it stands at `first` or behind that.
CREATE FUNCTION "es".stand_at(of_reader text, first bigint, last bigint) RETURNS boolean
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    INSERT INTO "es".checkpoints AS c (reader, position, event_id, epoch, updated_at)
    SELECT of_reader, last, e.event_id, l.epoch, clock_timestamp()
      FROM "es".recorded_events AS e, "es".log AS l WHERE e.position = last
        ON CONFLICT (reader) DO UPDATE
       SET position = excluded.position, event_id = excluded.event_id, epoch = excluded.epoch, updated_at = excluded.updated_at
     WHERE c.position < first;
    RETURN FOUND;
END $$;

-- Moves the checkpoint of an inline projection over the events from `first` to `last`, which this transaction has appended, and
-- tells whether it could: whether nothing that the projection needs lies between. The lock of the append is held.
CREATE FUNCTION "es".take_in(of_reader text, of_mark text, of_categories text[], first bigint, last bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- Waits for a commit of the projection's own task, whose outcome the next statement sees.
    PERFORM FROM "es".checkpoints AS c WHERE c.reader = of_reader FOR NO KEY UPDATE;
    RETURN "es".is_level(of_reader, of_mark, of_categories, first) AND "es".stand_at(of_reader, first, last);
END $$;

-- Locks the log and a projection of rows until the transaction ends, for appends that change rows with these keys, and returns the
-- rows: nobody else changes them from then on. Reads none unless the projection is level.
CREATE FUNCTION "es".lock_rows(
    of_reader text, of_mark text, of_categories text[], row_table text, wanted text[],
    OUT level boolean, OUT keys text[], OUT data json[]
)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
BEGIN
    PERFORM "es".lock_log();
    IF NOT "es".has_rows(row_table) THEN
        RAISE EXCEPTION 'there is no table % of rows', row_table USING ERRCODE = 'undefined_table';
    END IF;
    -- In the order in which forget_reader() does: first the table, then the checkpoint, at which the projection's own task waits.
    EXECUTE format('LOCK TABLE %I.%I IN ROW EXCLUSIVE MODE', 'es', row_table);
    PERFORM FROM "es".checkpoints AS c WHERE c.reader = of_reader FOR NO KEY UPDATE;
    level := "es".is_level(of_reader, of_mark, of_categories, NULL);
    IF level THEN
        EXECUTE format('SELECT array_agg(t.key), array_agg(t.data) FROM %I.%I AS t WHERE t.key = ANY ($1)', 'es', row_table)
           INTO keys, data USING wanted;
    END IF;
    PERFORM set_config('es.rows_are_locked', 'true', true);
END $$;

-- Writes rows that lock_rows() has locked, as the events of this transaction change them, and moves the checkpoint of the projection
-- to the last of those.
CREATE FUNCTION "es".take_in_rows(
    of_reader text, last bigint, row_table text, keys text[], data json[], positions bigint[], deleted text[]
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
BEGIN
    PERFORM "es".write_rows(row_table, keys, data, positions, deleted);
    PERFORM "es".stand_at(of_reader, last, last);
END $$;

REVOKE ALL ON FUNCTION "es".is_level, "es".stand_at, "es".take_in, "es".lock_rows, "es".take_in_rows FROM PUBLIC;
