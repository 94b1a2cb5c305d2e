-- Who may write under a name. The clock is the server's, whatever those of the processes say.
CREATE TABLE "es".leases (
    name       text COLLATE "C" PRIMARY KEY CHECK (octet_length(name) BETWEEN 1 AND 512),
    owner      text COLLATE "C",          -- NULL: it was given back
    epoch      bigint      NOT NULL,      -- rises each time that it is taken anew
    expires_at timestamptz NOT NULL,
    -- Makes the epoch a part of a key. A commit locks the key: whoever takes the lease over waits for it, and who only renews
    -- the lease does not.
    UNIQUE (name, epoch)
) WITH (fillfactor = 50);

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
    error    text   NOT NULL,             -- of the last attempt
    attempts bigint NOT NULL,
    PRIMARY KEY (reader, position)
);

-- What orders a field of a row: numbers, then text by its bytes, as the function's results are ordered by theirs. True and
-- false are 1 and 0. NULL for what does not compare: null, arrays, objects, and numbers beyond those of double precision.
--
--     01 · the number as a float, its bits turned so that they order · what a whole number is above that float, plus 1024
--     02 · the text
--
-- An index holds the first 1024 bytes of text: substring(order_key(…) for 1025).
CREATE FUNCTION "es".order_key(data json, path text[]) RETURNS bytea
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
AS $$
DECLARE
    field    json := data;
    name     text;
    content  text;
    has_nul  boolean := strpos(data::text, E'\\u0000') > 0;
    mark     text;
    whole    numeric;
    nearest  double precision;
    above    integer := 0;
    bits     bigint;
BEGIN
    -- PostgreSQL cannot look into JSON with a NUL in it. A mark and `0` take its place, where no backslash stands before it, and
    -- a mark and `1` that of the mark. Written with E, as a session may read a backslash without it as an escape.
    IF has_nul THEN
        mark := chr(57345);
        field := replace(replace(replace(replace(replace(data::text, E'\\\\', E'\\u005c'),
                     mark, mark || '1'), E'\\ue001', mark || '1'), E'\\uE001', mark || '1'), E'\\u0000', mark || '0')::json;
    END IF;
    IF strpos(field::text, E'\\u') = 0 THEN
        FOREACH name IN ARRAY path LOOP
            field := field -> name;
        END LOOP;
        content := field #>> '{}';
    ELSE
        -- Half a surrogate pair is no text either. A block with a handler costs more than all else here.
        BEGIN
            FOREACH name IN ARRAY path LOOP
                field := field -> name;
            END LOOP;
            content := field #>> '{}';
        EXCEPTION WHEN untranslatable_character OR invalid_text_representation THEN
            RETURN NULL;
        END;
    END IF;
    CASE json_typeof(field)
    WHEN 'string' THEN
        IF has_nul AND strpos(content, mark) > 0 THEN
            RETURN (SELECT E'\\x02'::bytea || string_agg(convert_to(replace(p.part, mark || '1', mark), 'UTF8'), E'\\x00' ORDER BY p.number)
                      FROM unnest(string_to_array(content, mark || '0')) WITH ORDINALITY AS p(part, number));
        END IF;
        RETURN E'\\x02'::bytea || convert_to(content, 'UTF8');
    WHEN 'boolean' THEN
        nearest := CASE content WHEN 'true' THEN 1 ELSE 0 END;
    WHEN 'number' THEN
        IF content ~ '^-?[0-9]{1,18}$' THEN
            bits := content::bigint;
            nearest := bits;
            above := bits - nearest::bigint;
        ELSE
            -- Zero is added because there are two of them.
            IF content !~ '[eE]' AND length(content) < 300 THEN
                nearest := content::double precision + 0;
            ELSE
                BEGIN
                    nearest := content::double precision + 0;
                EXCEPTION WHEN numeric_value_out_of_range THEN
                    RETURN NULL;
                END;
            END IF;
            IF content ~ '^-?[0-9]{19}$' THEN
                whole := content::numeric;
                IF whole BETWEEN -9223372036854775808 AND 9223372036854775807 THEN
                    above := whole - CASE WHEN nearest < 9223372036854775808
                                          THEN nearest::bigint ELSE 9223372036854775808 END;
                END IF;
            END IF;
        END IF;
    ELSE
        RETURN NULL;
    END CASE;
    bits := ('x' || encode(float8send(nearest), 'hex'))::bit(64)::bigint;
    bits := CASE WHEN bits < 0 THEN ~bits ELSE bits # (1::bigint << 63) END;
    RETURN E'\\x01'::bytea || int8send(bits) || int2send((above + 1024)::smallint);
END $$;

-- Takes a lease, and tells its epoch; NULL if another owner has it.
CREATE FUNCTION "es".take_lease(wanted text, taker text, micros bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    taken bigint;
BEGIN
    -- Whoever asks in vain writes nothing and waits for nobody.
    PERFORM FROM "es".leases AS l WHERE l.name = wanted AND l.owner <> taker AND l.expires_at > clock_timestamp();
    IF FOUND THEN
        RETURN NULL;
    END IF;
    INSERT INTO "es".leases (name, epoch, expires_at) VALUES (wanted, 0, '-infinity') ON CONFLICT DO NOTHING;
    UPDATE "es".leases AS l
       SET owner = taker,
           epoch = l.epoch + CASE WHEN l.owner IS DISTINCT FROM taker THEN 1 ELSE 0 END,
           expires_at = clock_timestamp() + micros * interval '1 microsecond'
     WHERE l.name = wanted AND (l.owner IS NULL OR l.owner = taker OR l.expires_at <= clock_timestamp())
    RETURNING l.epoch INTO taken;
    RETURN taken;
END $$;

-- Keeps a lease, and tells whether it was still there.
CREATE FUNCTION "es".renew_lease(held text, holder text, held_epoch bigint, micros bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    -- Nothing waits for the flush: a lease that was not renewed ends the sooner.
    PERFORM set_config('synchronous_commit', 'off', true);
    UPDATE "es".leases AS l SET expires_at = clock_timestamp() + micros * interval '1 microsecond'
     WHERE l.name = held AND l.owner = holder AND l.epoch = held_epoch;
    RETURN FOUND;
END $$;

-- Gives a lease back.
CREATE FUNCTION "es".release_lease(held text, holder text, held_epoch bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    UPDATE "es".leases AS l SET owner = NULL WHERE l.name = held AND l.owner = holder AND l.epoch = held_epoch;
END $$;

-- Whether the lease is held. It cannot be taken over until the transaction ends.
CREATE FUNCTION "es".hold_lease(held text, holder text, held_epoch bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM FROM "es".leases AS l WHERE l.name = held AND l.owner = holder AND l.epoch = held_epoch FOR KEY SHARE;
    RETURN FOUND;
END $$;

-- Whether there is a table of rows with that name. No other table has a name that ends so.
CREATE FUNCTION "es".has_rows(row_table text) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT row_table ~ '^[a-z][a-z0-9_-]{0,31}_v[0-9]{1,10}$' AND to_regclass(format('%I.%I', 'es', row_table)) IS NOT NULL
$$;

-- Whether a checkpoint may be moved under a lease. Nothing can change that until the transaction ends:
--
-- ready      it may
-- lost       another owner has the lease
-- elsewhere  it does not stand at `from_position`, but at `actual`
-- no_event   there is no event at `to_position`
-- other_log  the log was given a new epoch since
CREATE FUNCTION "es".check_checkpoint(
    of_reader text, held text, holder text, held_epoch bigint, from_position bigint, to_position bigint,
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
        WHEN to_position > 0
             AND NOT EXISTS (SELECT FROM "es".recorded_events AS e WHERE e.position = to_position) THEN 'no_event'
        ELSE 'ready' END;
END $$;

-- Moves a checkpoint under a lease, as a part of the transaction that did the events before it. Beside the outcomes of
-- check_checkpoint(), `moved`.
CREATE FUNCTION "es".move_checkpoint(
    of_reader text, held text, holder text, held_epoch bigint, from_position bigint, to_position bigint,
    OUT outcome text, OUT actual bigint
)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    SELECT k.outcome, k.actual INTO outcome, actual
      FROM "es".check_checkpoint(of_reader, held, holder, held_epoch, from_position, to_position) AS k;
    IF outcome <> 'ready' THEN
        RETURN;
    END IF;
    INSERT INTO "es".checkpoints AS c (reader, position, event_id, epoch, updated_at)
    SELECT of_reader, to_position, (SELECT e.event_id FROM "es".recorded_events AS e WHERE e.position = to_position),
           l.epoch, clock_timestamp()
      FROM "es".log AS l
        ON CONFLICT (reader) DO UPDATE
       SET position = excluded.position, event_id = excluded.event_id, epoch = excluded.epoch, updated_at = excluded.updated_at
     -- A first commit that came between is seen only now.
     WHERE c.position = from_position;
    outcome := CASE WHEN FOUND THEN 'moved' ELSE 'elsewhere' END;
    IF outcome = 'elsewhere' THEN
        SELECT c.position INTO actual FROM "es".checkpoints AS c WHERE c.reader = of_reader;
    END IF;
END $$;

-- Writes what a reader did with a stretch of the log. Beside the outcomes of check_checkpoint():
--
-- done        it is written
-- not_parked  an event that is to be parked no more is not: at `actual`
-- no_table    the table of the rows is not there
CREATE FUNCTION "es".commit_batch(
    of_reader text, held text, holder text, held_epoch bigint, from_position bigint, to_position bigint,
    row_table text, keys text[], data json[], positions bigint[], deleted text[],
    parked bigint[], parked_events uuid[], errors text[], attempts bigint[], unparked bigint[],
    OUT outcome text, OUT actual bigint
)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
BEGIN
    SELECT k.outcome, k.actual INTO outcome, actual
      FROM "es".check_checkpoint(of_reader, held, holder, held_epoch, from_position, to_position) AS k;
    IF outcome <> 'ready' THEN
        RETURN;
    END IF;
    -- Two commits that do the same parked event meet in its row, and the second one finds it gone.
    PERFORM FROM "es".parked AS p WHERE p.reader = of_reader AND p.position = ANY (unparked) ORDER BY p.position FOR UPDATE;
    SELECT u.position INTO actual
      FROM unnest(unparked) AS u(position)
     WHERE NOT EXISTS (SELECT FROM "es".parked AS p WHERE p.reader = of_reader AND p.position = u.position)
     ORDER BY 1 LIMIT 1;
    IF FOUND THEN
        outcome := 'not_parked';
        RETURN;
    END IF;
    IF row_table IS NOT NULL AND NOT "es".has_rows(row_table) THEN
        outcome := 'no_table';
        RETURN;
    END IF;
    SELECT m.outcome, m.actual INTO outcome, actual
      FROM "es".move_checkpoint(of_reader, held, holder, held_epoch, from_position, to_position) AS m;
    IF outcome <> 'moved' THEN
        RETURN;
    END IF;
    outcome := 'done';
    IF cardinality(keys) > 0 THEN
        EXECUTE format('INSERT INTO %I.%I (key, data, position) SELECT * FROM unnest($1, $2, $3) '
                       'ON CONFLICT (key) DO UPDATE SET data = excluded.data, position = excluded.position', 'es', row_table)
          USING keys, data, positions;
    END IF;
    IF cardinality(deleted) > 0 THEN
        EXECUTE format('DELETE FROM %I.%I WHERE key = ANY ($1)', 'es', row_table) USING deleted;
    END IF;
    DELETE FROM "es".parked AS p WHERE p.reader = of_reader AND p.position = ANY (unparked);
    INSERT INTO "es".parked (reader, position, event_id, error, attempts)
    SELECT of_reader, u.* FROM unnest(parked, parked_events, errors, attempts) AS u
        ON CONFLICT (reader, position) DO UPDATE
       SET event_id = excluded.event_id, error = excluded.error, attempts = excluded.attempts;
END $$;

-- Lets a reader begin anew.
CREATE FUNCTION "es".forget_reader(of_reader text, held text, holder text, held_epoch bigint, row_table text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT "es".hold_lease(held, holder, held_epoch) THEN
        RETURN 'lost';
    END IF;
    IF row_table IS NOT NULL THEN
        IF NOT "es".has_rows(row_table) THEN
            RETURN 'no_table';
        END IF;
        EXECUTE format('DELETE FROM %I.%I', 'es', row_table);
    END IF;
    DELETE FROM "es".checkpoints AS c WHERE c.reader = of_reader;
    DELETE FROM "es".parked AS p WHERE p.reader = of_reader;
    RETURN 'done';
END $$;

-- Creates the table of a version of a projection, with an index on each path (names as the text of an array), as far as it is
-- missing. The tables belong to the owner of this function; who has one made may read it.
CREATE FUNCTION "es".create_rows(row_table text, index_names text[], paths text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF row_table !~ '^[a-z][a-z0-9_-]{0,31}_v[0-9]{1,10}$' THEN
        RAISE EXCEPTION '% cannot name a table of rows', row_table USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF "es".has_rows(row_table)
        AND NOT EXISTS (SELECT FROM unnest(index_names) AS n(name) WHERE to_regclass(format('%I.%I', 'es', n.name)) IS NULL) THEN
        RETURN;
    END IF;
    -- `IF NOT EXISTS` does not wait for those that create the same at this moment.
    PERFORM pg_advisory_xact_lock(hashtextextended('es-postgres/rows/' || 'es', 0));
    EXECUTE format('CREATE TABLE IF NOT EXISTS %I.%I (key text COLLATE "C" PRIMARY KEY, data json NOT NULL, position bigint NOT NULL) '
                   'WITH (fillfactor = 80)', 'es', row_table);
    IF session_user <> current_user THEN
        EXECUTE format('GRANT SELECT ON %I.%I TO %I', 'es', row_table, session_user);
    END IF;
    FOR i IN 1 .. coalesce(cardinality(index_names), 0) LOOP
        EXECUTE format('CREATE INDEX IF NOT EXISTS %I ON %I.%I (substring(%I.order_key(data, %L) FOR 1025), key)',
                       index_names[i], 'es', row_table, 'es', paths[i]::text[]);
    END LOOP;
END $$;

REVOKE ALL ON FUNCTION "es".take_lease, "es".renew_lease, "es".release_lease, "es".hold_lease, "es".has_rows,
    "es".check_checkpoint, "es".move_checkpoint, "es".commit_batch, "es".forget_reader, "es".create_rows FROM PUBLIC;
