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

-- What the owner of a lease said of itself last.
CREATE TABLE "es".reports (
    lease       text COLLATE "C" PRIMARY KEY,
    epoch       bigint      NOT NULL, -- of the lease
    content     text        NOT NULL,
    reported_at timestamptz NOT NULL
) WITH (fillfactor = 50);

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

-- Keeps what the owner of a lease says of itself. False if it is the owner no more.
CREATE FUNCTION "es".report_lease(held text, holder text, held_epoch bigint, said text) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF NOT "es".hold_lease(held, holder, held_epoch) THEN
        RETURN false;
    END IF;
    INSERT INTO "es".reports (lease, epoch, content, reported_at) VALUES (held, held_epoch, said, clock_timestamp())
        ON CONFLICT (lease) DO UPDATE
       SET epoch = excluded.epoch, content = excluded.content, reported_at = excluded.reported_at;
    RETURN true;
END $$;

REVOKE ALL ON FUNCTION "es".take_lease, "es".renew_lease, "es".release_lease, "es".hold_lease, "es".report_lease FROM PUBLIC;
