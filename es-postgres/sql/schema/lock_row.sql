-- Makes the appends of this schema follow one another, up to the commit. Order does not rest on it but on the primary key of
-- recorded_events: without it appends would collide there, and be repeated.
CREATE OR REPLACE FUNCTION "es".lock_log() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER           -- who may append needs no right to change the row
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    PERFORM "es".is_ready_to_lock_log();
    PERFORM FROM "es".log FOR UPDATE;
END $$;
