-- How far each reader has come. Rows are changed all the time, so they have room to stay where they are.
CREATE TABLE "es".checkpoints (
    reader     text COLLATE "C" PRIMARY KEY CHECK (octet_length(reader) BETWEEN 1 AND 512),
    position   bigint      NOT NULL,
    event_id   uuid,                      -- the event at that position, by which a restored log is noticed; NULL at position 0
    epoch      uuid        NOT NULL,      -- of the log
    updated_at timestamptz NOT NULL
) WITH (fillfactor = 50);

-- Events that a reader could not handle.
CREATE TABLE "es".parked (
    reader   text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    event_id uuid   NOT NULL,
    reason   text   NOT NULL,             -- failed, behind (another parked event) or ended_processes
    error    text   NOT NULL,             -- of the last attempt
    attempts bigint NOT NULL,
    PRIMARY KEY (reader, position)
);

-- Whether a checkpoint may be moved under a lease. Nothing can change that until the transaction ends:
--
-- ready      it may
-- lost       another owner has the lease
-- elsewhere  it does not stand at `from_position`, but at `actual`
-- other_log  the log was given a new epoch since
CREATE FUNCTION "es".check_checkpoint(
    of_reader text, held text, holder text, held_epoch bigint, from_position bigint,
    OUT outcome text, OUT actual bigint
)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    of_log   uuid;
    of_point uuid;
BEGIN
    IF NOT "es".hold_lease(held, holder, held_epoch) THEN
        outcome := 'lost';
        RETURN;
    END IF;
    SELECT l.epoch INTO of_log FROM "es".log AS l;
    -- Two commits of one owner meet in this row, and the second one finds it moved.
    SELECT c.position, c.epoch INTO actual, of_point
      FROM "es".checkpoints AS c WHERE c.reader = of_reader FOR NO KEY UPDATE;
    actual := coalesce(actual, 0);
    outcome := CASE
        WHEN actual <> from_position THEN 'elsewhere'
        WHEN of_point <> of_log AND from_position > 0 THEN 'other_log'
        ELSE 'ready' END;
END $$;

-- Moves a checkpoint under a lease, as a part of the transaction that did the events before it. Beside the outcomes of
-- check_checkpoint(), `moved`.
CREATE FUNCTION "es".move_checkpoint(
    of_reader text, held text, holder text, held_epoch bigint, from_position bigint, to_position bigint, to_event uuid,
    OUT outcome text, OUT actual bigint
)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    SELECT k.outcome, k.actual INTO outcome, actual
      FROM "es".check_checkpoint(of_reader, held, holder, held_epoch, from_position) AS k;
    IF outcome <> 'ready' THEN
        RETURN;
    END IF;
    INSERT INTO "es".checkpoints AS c (reader, position, event_id, epoch, updated_at)
    SELECT of_reader, to_position, to_event, l.epoch, clock_timestamp() FROM "es".log AS l
        ON CONFLICT (reader) DO UPDATE
       SET position = excluded.position, event_id = excluded.event_id, epoch = excluded.epoch, updated_at = excluded.updated_at
     -- A first commit that came between is seen only now.
     WHERE c.position = from_position;
    outcome := CASE WHEN FOUND THEN 'moved' ELSE 'elsewhere' END;
    IF outcome = 'elsewhere' THEN
        SELECT c.position INTO actual FROM "es".checkpoints AS c WHERE c.reader = of_reader;
    END IF;
END $$;

REVOKE ALL ON FUNCTION "es".check_checkpoint, "es".move_checkpoint FROM PUBLIC;
