-- What the owner of a lease said of itself last.
CREATE TABLE "es".reports (
    lease       text COLLATE "C" PRIMARY KEY,
    epoch       bigint      NOT NULL, -- of the lease
    content     text        NOT NULL,
    reported_at timestamptz NOT NULL
) WITH (fillfactor = 50);

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

REVOKE ALL ON FUNCTION "es".report_lease FROM PUBLIC;
