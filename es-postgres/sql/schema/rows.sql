-- Whether there is a table of rows with that name. No other table has a name that ends so. Rows that are built anew are in a table of
-- their own, beside those that are shown: `balances_v1_new` beside `balances_v1`.
CREATE FUNCTION "es".has_rows(row_table text) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT row_table ~ '^[a-z][a-z0-9_-]{0,31}_v[0-9]{1,10}(_new)?$'
       AND to_regclass(format('%I.%I', 'es', row_table)) IS NOT NULL
$$;

-- Creates the table of a version of a projection, with an index on each path (names as the text of an array), as far as it is
-- missing. The tables belong to the owner of this function; who has one made may read it.
CREATE FUNCTION "es".create_rows(row_table text, index_names text[], paths text[]) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF row_table !~ '^[a-z][a-z0-9_-]{0,31}_v[0-9]{1,10}(_new)?$' THEN
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

-- Puts rows in the place of those with the same keys, and removes others.
CREATE FUNCTION "es".write_rows(row_table text, keys text[], data json[], positions bigint[], deleted text[]) RETURNS void
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
BEGIN
    IF cardinality(keys) > 0 THEN
        EXECUTE format('INSERT INTO %I.%I (key, data, position) SELECT * FROM unnest($1, $2, $3) '
                       'ON CONFLICT (key) DO UPDATE SET data = excluded.data, position = excluded.position', 'es', row_table)
          USING keys, data, positions;
    END IF;
    IF cardinality(deleted) > 0 THEN
        EXECUTE format('DELETE FROM %I.%I WHERE key = ANY ($1)', 'es', row_table) USING deleted;
    END IF;
END $$;

-- Writes what a reader did with a stretch of the log. Beside the outcomes of check_checkpoint():
--
-- done        it is written
-- not_parked  an event that is to be parked no more is not: at `actual`
-- no_table    the table of the rows is not there
CREATE FUNCTION "es".commit_batch(
    of_reader text, held text, holder text, held_epoch bigint, from_position bigint, to_position bigint, to_event uuid,
    row_table text, keys text[], data json[], positions bigint[], deleted text[],
    parked bigint[], parked_events uuid[], reasons text[], errors text[], attempts bigint[], unparked bigint[],
    OUT outcome text, OUT actual bigint
)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
BEGIN
    SELECT k.outcome, k.actual INTO outcome, actual
      FROM "es".check_checkpoint(of_reader, held, holder, held_epoch, from_position) AS k;
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
      FROM "es".move_checkpoint(of_reader, held, holder, held_epoch, from_position, to_position, to_event) AS m;
    IF outcome <> 'moved' THEN
        RETURN;
    END IF;
    outcome := 'done';
    PERFORM "es".write_rows(row_table, keys, data, positions, deleted);
    DELETE FROM "es".parked AS p WHERE p.reader = of_reader AND p.position = ANY (unparked);
    INSERT INTO "es".parked (reader, position, event_id, reason, error, attempts)
    SELECT of_reader, u.* FROM unnest(parked, parked_events, reasons, errors, attempts) AS u
        ON CONFLICT (reader, position) DO UPDATE
       SET event_id = excluded.event_id, reason = excluded.reason, error = excluded.error, attempts = excluded.attempts;
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
        -- Waits for appends that write rows: what they have not committed yet, the next statement would not see.
        EXECUTE format('LOCK TABLE %I.%I IN EXCLUSIVE MODE', 'es', row_table);
        EXECUTE format('DELETE FROM %I.%I', 'es', row_table);
    END IF;
    DELETE FROM "es".checkpoints AS c WHERE c.reader = of_reader;
    DELETE FROM "es".parked AS p WHERE p.reader = of_reader;
    RETURN 'done';
END $$;

-- Drops the table of a version of a projection, if it is there, and forgets those that wrote it.
CREATE FUNCTION "es".drop_rows(readers text[], held text, holder text, held_epoch bigint, row_table text) RETURNS text
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT "es".hold_lease(held, holder, held_epoch) THEN
        RETURN 'lost';
    END IF;
    IF "es".has_rows(row_table) THEN
        EXECUTE format('DROP TABLE %I.%I', 'es', row_table);
    END IF;
    DELETE FROM "es".checkpoints AS c WHERE c.reader = ANY (readers);
    DELETE FROM "es".parked AS p WHERE p.reader = ANY (readers);
    RETURN 'done';
END $$;

-- Puts what was built beside in the place of what is shown: rows, checkpoint and parked events. Only rows that differ are
-- written. Beside the outcomes of check_checkpoint():
--
-- done      it is replaced
-- behind    the checkpoint of what was built beside stands elsewhere: at `actual`
-- no_table  one of the tables is not there
CREATE FUNCTION "es".replace_rows(
    of_reader text, by_reader text, held text, holder text, held_epoch bigint, from_position bigint, to_position bigint,
    row_table text, by_table text,
    OUT outcome text, OUT actual bigint
)
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
AS $$
BEGIN
    SELECT k.outcome, k.actual INTO outcome, actual
      FROM "es".check_checkpoint(by_reader, held, holder, held_epoch, to_position) AS k;
    IF outcome <> 'ready' THEN
        outcome := CASE outcome WHEN 'elsewhere' THEN 'behind' ELSE outcome END;
        RETURN;
    END IF;
    IF NOT "es".has_rows(row_table) OR NOT "es".has_rows(by_table) THEN
        outcome := 'no_table';
        RETURN;
    END IF;
    SELECT m.outcome, m.actual INTO outcome, actual
      FROM "es".move_checkpoint(of_reader, held, holder, held_epoch, from_position, to_position,
                                (SELECT c.event_id FROM "es".checkpoints AS c WHERE c.reader = by_reader)) AS m;
    IF outcome <> 'moved' THEN
        RETURN;
    END IF;
    outcome := 'done';
    EXECUTE format('DELETE FROM %1$I.%2$I AS r WHERE NOT EXISTS (SELECT FROM %1$I.%3$I AS n WHERE n.key = r.key)',
                   'es', row_table, by_table);
    EXECUTE format('INSERT INTO %1$I.%2$I AS r (key, data, position) SELECT n.key, n.data, n.position FROM %1$I.%3$I AS n '
                   'WHERE NOT EXISTS (SELECT FROM %1$I.%2$I AS o WHERE o.key = n.key AND o.position = n.position '
                   '                  AND o.data::text = n.data::text) '
                   'ON CONFLICT (key) DO UPDATE SET data = excluded.data, position = excluded.position',
                   'es', row_table, by_table);
    DELETE FROM "es".parked AS p WHERE p.reader = of_reader;
    UPDATE "es".parked AS p SET reader = of_reader WHERE p.reader = by_reader;
    DELETE FROM "es".checkpoints AS c WHERE c.reader = by_reader;
    EXECUTE format('DROP TABLE %I.%I', 'es', by_table);
END $$;

REVOKE ALL ON FUNCTION "es".has_rows, "es".create_rows, "es".write_rows, "es".commit_batch, "es".forget_reader, "es".drop_rows, "es".replace_rows FROM PUBLIC;
