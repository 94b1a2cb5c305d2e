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

REVOKE ALL ON FUNCTION "es".is_level, "es".take_in FROM PUBLIC;
