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

-- Moves the checkpoint of an inline projection over the events from `first` to `last`, which this transaction has appended, and
-- tells whether it could: whether nothing that the projection needs lies between. The lock of the append is held.
CREATE FUNCTION "es".take_in(of_reader text, of_mark text, of_categories text[], first bigint, last bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- Waits for a commit of the projection's own task, whose outcome the next statement sees.
    PERFORM FROM "es".checkpoints AS c WHERE c.reader = of_reader FOR NO KEY UPDATE;
    IF NOT "es".is_level(of_reader, of_mark, of_categories, first) THEN
        RETURN false;
    END IF;
    INSERT INTO "es".checkpoints AS c (reader, position, event_id, epoch, updated_at)
    SELECT of_reader, last, e.event_id, l.epoch, clock_timestamp()
      FROM "es".recorded_events AS e, "es".log AS l WHERE e.position = last
        ON CONFLICT (reader) DO UPDATE
       SET position = excluded.position, event_id = excluded.event_id, epoch = excluded.epoch, updated_at = excluded.updated_at
     WHERE c.position < first;
    RETURN FOUND;
END $$;

-- Locks the rows with these keys until the transaction ends, in the order of their keys, for an append that changes them: appends
-- that meet in a row wait here, and each sees what the one before has left. Reads nothing unless the projection is level.
CREATE FUNCTION "es".lock_rows(
    of_reader text, of_mark text, of_categories text[], row_table text, wanted text[],
    OUT level boolean, OUT keys text[], OUT data json[]
)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
BEGIN
    level := "es".is_level(of_reader, of_mark, of_categories, NULL);
    IF NOT "es".has_rows(row_table) THEN
        RAISE EXCEPTION 'there is no table % of rows', row_table USING ERRCODE = 'undefined_table';
    END IF;
    IF level AND cardinality(wanted) > 0 THEN
        EXECUTE format('SELECT array_agg(r.key), array_agg(r.data) FROM ('
                       'SELECT t.key, t.data FROM %I.%I AS t WHERE t.key = ANY ($1) ORDER BY t.key FOR UPDATE) AS r', 'es', row_table)
           INTO keys, data USING wanted;
    END IF;
END $$;

-- Does what take_in() does, and writes the rows that the events change. Each was either locked by lock_rows(), or not found by it,
-- and is `missing`:
--
-- done    it is written
-- behind  the projection has not taken in all that was appended before
-- stale   one of the missing rows is there by now, or the table is not
CREATE FUNCTION "es".take_in_rows(
    of_reader text, of_mark text, of_categories text[], first bigint, last bigint,
    row_table text, keys text[], data json[], positions bigint[], deleted text[], missing text[]
) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
DECLARE
    is_there boolean := false;
BEGIN
    -- From here on nobody else writes rows: appends wait for the log, and the projection's own task for its checkpoint.
    IF NOT "es".take_in(of_reader, of_mark, of_categories, first, last) THEN
        RETURN 'behind';
    END IF;
    IF NOT "es".has_rows(row_table) THEN
        RETURN 'stale';
    END IF;
    IF cardinality(missing) > 0 THEN
        EXECUTE format('SELECT EXISTS (SELECT FROM %I.%I AS t WHERE t.key = ANY ($1))', 'es', row_table) INTO is_there USING missing;
    END IF;
    IF is_there THEN
        RETURN 'stale';
    END IF;
    PERFORM "es".write_rows(row_table, keys, data, positions, deleted);
    RETURN 'done';
END $$;

REVOKE ALL ON FUNCTION "es".is_level, "es".take_in, "es".lock_rows, "es".take_in_rows FROM PUBLIC;
