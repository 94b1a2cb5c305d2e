-- What append() does, one entry after the other: for appends over several streams, several appends to one stream, repetitions,
-- and arguments that make no sense. Called by append() alone, which holds the lock and has the rights and the settings.
CREATE FUNCTION "es".append_in_turn(
    categories     text[],
    stream_ids     text[],
    expectations   text[],
    names          text[],
    payloads       json[],
    expected       bigint[],
    event_counts   integer[],
    entry_appends  integer[],
    event_ids      uuid[],
    shape_versions integer[],
    metadata       json[],
    append_ids     uuid[],
    keys           text[],
    fingerprints   uuid[],
    chained        boolean[],
    by_clock       timestamptz,
    last_events    uuid[]
) RETURNS SETOF "es".appended
LANGUAGE plpgsql
AS $$
DECLARE
    entries   CONSTANT integer := cardinality(categories);
    total     CONSTANT integer := cardinality(names);
    head      bigint;
    now_at    timestamptz;
    looked_up record;
    -- the append at hand
    append_no integer := 0;
    first     integer;                      -- its first entry
    begun_at  bigint;                       -- the head before it
    starts    integer;                      -- its entry with its first event
    state     text;
    own_id    uuid;
    -- by entry
    outcomes  text[];
    ids       uuid[];
    counts    integer[];
    versions  bigint[];
    positions bigint[];
    befores   bigint[];                     -- the stream's version before the entry
    behind    uuid[];                       -- and its last event
    slots     integer[];                    -- the first entry of the same stream
    shifts    bigint[];                     -- from the number of an event in the call to its position
    rises     bigint[];                     -- and to its version
    sizes     integer[];                    -- of an append that starts here: how many events it has
    -- by slot
    currents  bigint[];                     -- the stream's version
    streams   bigint[];                     -- its id
    lasts     uuid[];                       -- its last event
    -- by event
    entry_of  integer[];
    created   integer[];                    -- slots of new streams
    tells_not uuid[];                       -- appends whose events do not tell their result
    done      integer := 0;                 -- events before the entry
    n         integer;
    i         integer := 0;
    slot      integer;
    version   bigint;
    allowed   boolean;
BEGIN
    SELECT e.position, e.recorded_at INTO head, now_at FROM "es".recorded_events AS e ORDER BY e.position DESC LIMIT 1;
    head := coalesce(head, 0);
    now_at := greatest(now_at, coalesce(by_clock, clock_timestamp()));

    -- Sub-selects of one row each, not joins: an index probe for each entry, whatever the statistics say.
    FOR looked_up IN
        SELECT a.*, v.version, v.event_id
          FROM (SELECT u.no::integer AS entry, u.expectation, u.version AS expected,
                       min(u.no) OVER (PARTITION BY u.category COLLATE "C", u.stream_id COLLATE "C")::integer AS slot,
                       (SELECT s.id FROM "es".streams AS s
                         WHERE s.category = u.category AND s.stream_id = u.stream_id) AS stream,
                       coalesce(
                           (SELECT e.append_id FROM "es".recorded_events AS e
                             WHERE e.append_id = append_ids[coalesce(u.append, 1)] AND e.append_size > 0),
                           (SELECT p.append_id FROM "es".appends AS p
                             WHERE p.append_id = append_ids[coalesce(u.append, 1)])
                       ) AS stored
                  FROM unnest(categories, stream_ids, expectations, expected, entry_appends)
                       WITH ORDINALITY AS u(category, stream_id, expectation, version, append, no)
                 OFFSET 0) AS a
          LEFT JOIN LATERAL (SELECT e.version, e.event_id FROM "es".recorded_events AS e
                              WHERE e.stream = a.stream ORDER BY e.version DESC LIMIT 1) AS v ON true
         ORDER BY a.entry
    LOOP
        i := i + 1;
        IF looked_up.entry <> i THEN
            RAISE EXCEPTION 'the server gave entry % instead of %', looked_up.entry, i USING ERRCODE = 'internal_error';
        END IF;
        n := CASE WHEN event_counts IS NULL THEN total ELSE event_counts[i] END;
        IF (n >= 0) IS NOT TRUE THEN
            RAISE EXCEPTION 'entry % counts % events', i, n USING ERRCODE = 'invalid_parameter_value';
        END IF;

        IF append_no <> coalesce(entry_appends[i], 1) THEN
            append_no := append_no + 1;
            IF append_no <> coalesce(entry_appends[i], 1) THEN
                RAISE EXCEPTION 'entry_appends must be 1, 1, 2 …: entry % is of append %', i, entry_appends[i]
                    USING ERRCODE = 'invalid_parameter_value';
            END IF;
            first := i;
            begun_at := head;
            starts := NULL;
            own_id := coalesce(append_ids[append_no], gen_random_uuid());
            IF chained[append_no] AND state <> 'appended' THEN
                state := 'untried';
            ELSIF looked_up.stored IS NOT NULL THEN
                state := 'repeated';
            ELSIF keys[append_no] IS NOT NULL THEN
                SELECT CASE WHEN k.fingerprint = coalesce(fingerprints[append_no], k.fingerprint)
                            THEN 'repeated' ELSE 'mismatched' END, k.append_id
                  INTO state, own_id
                  FROM "es".idempotency_keys AS k WHERE k.key = keys[append_no];
                IF NOT FOUND THEN
                    state := 'appended';
                    own_id := coalesce(append_ids[append_no], gen_random_uuid());
                END IF;
            ELSE
                state := 'appended';
            END IF;
        END IF;

        slot := looked_up.slot;
        IF slot = i THEN
            currents[slot] := coalesce(looked_up.version, 0);
            streams[slot] := looked_up.stream;
            lasts[slot] := looked_up.event_id;
        END IF;
        version := currents[slot];

        allowed := CASE looked_up.expectation
            WHEN 'any' THEN true
            WHEN 'none' THEN version = 0
            WHEN 'exists' THEN version > 0
            WHEN 'exact' THEN version = looked_up.expected
        END;
        IF allowed IS NULL THEN
            RAISE EXCEPTION 'entry % expects `%` at version %', i, looked_up.expectation, looked_up.expected
                USING ERRCODE = 'invalid_parameter_value', HINT = 'Expectations are any, none, exists and exact, the last with a version.';
        END IF;
        allowed := allowed AND (last_events[i] IS NULL OR lasts[slot] IS NOT DISTINCT FROM last_events[i]);
        IF state = 'appended' AND NOT allowed THEN
            outcomes[i] := 'conflict';
            -- What was decided for the entries before it is undone, from the last to the first.
            FOR j IN REVERSE i - 1 .. first LOOP
                currents[slots[j]] := befores[j];
                lasts[slots[j]] := behind[j];
                outcomes[j] := 'refused';
                sizes[j] := NULL;
            END LOOP;
            head := begun_at;
            state := 'refused';
        ELSE
            outcomes[i] := state;
        END IF;

        ids[i] := own_id;
        counts[i] := n;
        slots[i] := slot;
        befores[i] := version;
        behind[i] := lasts[slot];
        IF state = 'appended' THEN
            shifts[i] := head - done;
            rises[i] := version - done;
            head := head + n;
            version := version + n;
            currents[slot] := version;
            IF n > 0 THEN
                lasts[slot] := event_ids[done + n];
                starts := coalesce(starts, i);
                sizes[starts] := coalesce(sizes[starts], 0) + n;
                IF streams[slot] IS NULL THEN
                    streams[slot] := nextval('"es".stream_ids');
                    created := array_append(created, slot);
                END IF;
            ELSIF tells_not[cardinality(tells_not)] IS DISTINCT FROM own_id THEN
                tells_not := array_append(tells_not, own_id);
            END IF;
        END IF;
        versions[i] := version;
        positions[i] := head;
        FOR j IN 1 .. n LOOP
            entry_of := array_append(entry_of, i);
        END LOOP;
        done := done + n;
    END LOOP;

    IF done IS DISTINCT FROM total OR append_no = 0 THEN
        RAISE EXCEPTION 'append() got % events for % entries that count %', total, entries, done
            USING ERRCODE = 'invalid_parameter_value';
    END IF;

    IF created IS NOT NULL THEN
        INSERT INTO "es".streams (id, category, stream_id)
        SELECT streams[s.slot], categories[s.slot], stream_ids[s.slot]
          FROM unnest(created) AS s(slot)
         WHERE currents[s.slot] > 0;        -- not those of appends that were refused in the end
    END IF;
    INSERT INTO "es".recorded_events
           (position, stream, version, recorded_at, event_id, append_id, shape_version, append_size, name, payload, metadata)
    SELECT e.no + shifts[e.entry], streams[slots[e.entry]], e.no + rises[e.entry], now_at,
           coalesce(e.id, gen_random_uuid()), ids[e.entry], coalesce(e.shape_version, 1),
           CASE WHEN e.no + shifts[e.entry] = positions[e.entry] - counts[e.entry] + 1
                THEN coalesce(sizes[e.entry], 0) ELSE 0 END,
           e.name, e.payload, coalesce(e.metadata, '{}')
      FROM unnest(entry_of, event_ids, shape_versions, names, payloads, metadata)
           WITH ORDINALITY AS e(entry, id, shape_version, name, payload, metadata, no)
     WHERE outcomes[e.entry] = 'appended';
    -- Most appends bring nothing new. For one event, which is the most common, this is seen without a set.
    IF FOUND AND (total > 1 OR NOT EXISTS (
        SELECT FROM "es".event_types AS t
         WHERE t.category = categories[1] AND t.name = names[1] AND t.shape_version = coalesce(shape_versions[1], 1))) THEN
        INSERT INTO "es".event_types (category, name, shape_version)
        SELECT DISTINCT categories[e.entry], e.name, coalesce(e.shape_version, 1)
          FROM unnest(entry_of, names, shape_versions) AS e(entry, name, shape_version)
         WHERE outcomes[e.entry] = 'appended'
            ON CONFLICT DO NOTHING;
    END IF;

    IF tells_not IS NOT NULL THEN
        INSERT INTO "es".appends (append_id, recorded_at, streams)
        SELECT a.id, now_at,
               json_agg(json_build_object('category', categories[a.no], 'stream_id', stream_ids[a.no], 'events', counts[a.no],
                                          'version', versions[a.no], 'position', positions[a.no]) ORDER BY a.no)
          FROM unnest(ids, outcomes) WITH ORDINALITY AS a(id, outcome, no)
          JOIN unnest(tells_not) AS t(id) ON t.id = a.id
         WHERE a.outcome = 'appended'
         GROUP BY a.id;
    END IF;
    IF keys IS NOT NULL THEN
        INSERT INTO "es".idempotency_keys (key, fingerprint, append_id, recorded_at)
        SELECT k.key, coalesce(k.fingerprint, '00000000-0000-0000-0000-000000000000'), a.id, now_at
          FROM (SELECT DISTINCT coalesce(e.append, 1) AS no, e.id
                  FROM unnest(entry_appends, ids, outcomes) AS e(append, id, outcome)
                 WHERE e.outcome = 'appended') AS a
          JOIN unnest(keys, fingerprints) WITH ORDINALITY AS k(key, fingerprint, no) ON k.no = a.no
         WHERE k.key IS NOT NULL;
    END IF;

    RETURN QUERY
    SELECT r.no::integer, r.outcome, r.id, r.events, r.version, r.position, now_at
      FROM unnest(outcomes, ids, counts, versions, positions)
           WITH ORDINALITY AS r(outcome, id, events, version, position, no);
END $$;

REVOKE ALL ON FUNCTION "es".append_in_turn FROM PUBLIC;
