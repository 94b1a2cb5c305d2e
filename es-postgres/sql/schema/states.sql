-- The latest change of each entity. Rows are changed all the time, so they have room to stay where they are.
CREATE TABLE "es".states (
    namespace text COLLATE "C" NOT NULL CHECK (octet_length(namespace) BETWEEN 1 AND 512),
    kind      text COLLATE "C" NOT NULL CHECK (octet_length(kind) BETWEEN 1 AND 512),
    id        text COLLATE "C" NOT NULL CHECK (octet_length(id) BETWEEN 1 AND 512),
    sequence  bigint           NOT NULL CHECK (sequence > 0),
    change    smallint         NOT NULL CHECK (change BETWEEN 0 AND 2), -- 0: created, 1: changed, 2: deleted
    shape     bigint           NOT NULL,                                -- of the payload: 64 bits
    payload   json CHECK ((payload IS NULL) = (change = 2)),
    saved_at  timestamptz      NOT NULL,
    PRIMARY KEY (namespace, kind, id)
) WITH (fillfactor = 80);

-- Saves changes, each of another entity: all of them or none. Demands that each is the next one, or the same again; or else leaves out
-- those that are not newer. A change that does not fit is an error ES001 with its number, from 1 on, and the kept sequence in the detail.
CREATE FUNCTION "es".save_states(
    namespaces text[], kinds text[], ids text[], sequences bigint[], changes smallint[], shapes bigint[], payloads json[],
    next boolean, by_clock timestamptz
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    saved   bigint;
    misfit  record;
BEGIN
    IF current_setting('synchronous_commit') = 'off' THEN
        PERFORM set_config('synchronous_commit', 'on', true);
    END IF;
    -- In a statement of its own, so that the next one sees what a purge that was waited for has removed.
    LOCK TABLE "es".states IN ROW EXCLUSIVE MODE;
    INSERT INTO "es".states AS kept (namespace, kind, id, sequence, change, shape, payload, saved_at)
    SELECT n.namespace, n.kind, n.id, n.sequence, n.change, n.shape, n.payload, coalesce(by_clock, clock_timestamp())
      FROM unnest(namespaces, kinds, ids, sequences, changes, shapes, payloads)
           AS n(namespace, kind, id, sequence, change, shape, payload)
     WHERE NOT next OR n.sequence = 1
        OR EXISTS (SELECT FROM "es".states AS k WHERE k.namespace = n.namespace AND k.kind = n.kind AND k.id = n.id)
     -- One order, so that savers of the same entities wait for each other and not in a circle.
     ORDER BY n.namespace COLLATE "C", n.kind COLLATE "C", n.id COLLATE "C"
        ON CONFLICT (namespace, kind, id) DO UPDATE
       SET sequence = excluded.sequence, change = excluded.change, shape = excluded.shape, payload = excluded.payload,
           saved_at = CASE WHEN kept.sequence = excluded.sequence THEN kept.saved_at ELSE excluded.saved_at END
     WHERE CASE WHEN NOT next THEN kept.sequence < excluded.sequence
                ELSE kept.sequence = excluded.sequence - 1
                  OR (kept.sequence = excluded.sequence AND kept.change = excluded.change AND kept.shape = excluded.shape
                      AND kept.payload::text IS NOT DISTINCT FROM excluded.payload::text) END;
    GET DIAGNOSTICS saved = ROW_COUNT;
    IF NOT next OR saved = cardinality(ids) THEN
        RETURN;
    END IF;
    -- What was written above stands as it was sent. An entity that was not there then may be there now, from another saver: as it was to
    -- be saved, or at another sequence. It was not there when the statement began.
    SELECT n.number, coalesce(k.sequence, 0) AS kept, n.sequence AS given INTO misfit
      FROM unnest(namespaces, kinds, ids, sequences, changes, shapes, payloads) WITH ORDINALITY
           AS n(namespace, kind, id, sequence, change, shape, payload, number)
      LEFT JOIN "es".states AS k ON k.namespace = n.namespace AND k.kind = n.kind AND k.id = n.id
     WHERE k.sequence IS DISTINCT FROM n.sequence OR k.change <> n.change OR k.shape <> n.shape
        OR k.payload::text IS DISTINCT FROM n.payload::text
     ORDER BY n.number LIMIT 1;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    RAISE EXCEPTION 'a state does not follow on the one that is kept'
        USING ERRCODE = 'ES001',
              DETAIL = misfit.number || ' ' || CASE WHEN misfit.kept = misfit.given - 1 THEN 0 ELSE misfit.kept END;
END $$;

-- Removes entities, and tells how many. Savers wait for it: none of them is to find an entity that is gone when it writes.
CREATE FUNCTION "es".purge_states(namespaces text[], kinds text[], ids text[]) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    purged bigint;
BEGIN
    LOCK TABLE "es".states IN SHARE ROW EXCLUSIVE MODE;
    DELETE FROM "es".states AS k
     USING unnest(namespaces, kinds, ids) AS n(namespace, kind, id)
     WHERE k.namespace = n.namespace AND k.kind = n.kind AND k.id = n.id;
    GET DIAGNOSTICS purged = ROW_COUNT;
    RETURN purged;
END $$;

-- The same of up to so many deleted entities of a namespace, whose deletion was saved before a time.
CREATE FUNCTION "es".purge_deleted_states(of_namespace text, before timestamptz, at_most bigint) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    purged bigint;
BEGIN
    LOCK TABLE "es".states IN SHARE ROW EXCLUSIVE MODE;
    DELETE FROM "es".states AS k
     USING (SELECT d.namespace, d.kind, d.id FROM "es".states AS d
             WHERE d.namespace = of_namespace AND d.change = 2 AND d.saved_at < before LIMIT at_most) AS n
     WHERE k.namespace = n.namespace AND k.kind = n.kind AND k.id = n.id;
    GET DIAGNOSTICS purged = ROW_COUNT;
    RETURN purged;
END $$;
