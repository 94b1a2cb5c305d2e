-- Rows are built anew in a table of their own, beside those that are shown: `balances_v1_new` beside `balances_v1`.
CREATE OR REPLACE FUNCTION "es".has_rows(row_table text) RETURNS boolean
LANGUAGE sql STABLE
SET search_path = pg_catalog, pg_temp
AS $$
    SELECT row_table ~ '^[a-z][a-z0-9_-]{0,31}_v[0-9]{1,10}(_new)?$'
       AND to_regclass(format('%I.%I', 'es', row_table)) IS NOT NULL
$$;

CREATE OR REPLACE FUNCTION "es".create_rows(row_table text, index_names text[], paths text[]) RETURNS void
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
      FROM "es".check_checkpoint(by_reader, held, holder, held_epoch, to_position, to_position) AS k;
    IF outcome <> 'ready' THEN
        outcome := CASE outcome WHEN 'elsewhere' THEN 'behind' ELSE outcome END;
        RETURN;
    END IF;
    IF NOT "es".has_rows(row_table) OR NOT "es".has_rows(by_table) THEN
        outcome := 'no_table';
        RETURN;
    END IF;
    SELECT m.outcome, m.actual INTO outcome, actual
      FROM "es".move_checkpoint(of_reader, held, holder, held_epoch, from_position, to_position) AS m;
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

REVOKE ALL ON FUNCTION "es".drop_rows, "es".replace_rows FROM PUBLIC;
