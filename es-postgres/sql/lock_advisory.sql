-- Makes the appends of this schema follow one another, up to the commit. Order does not rest on it but on the primary key of
-- recorded_events: without it appends would collide there, and be repeated.
CREATE OR REPLACE FUNCTION "es".lock_log() RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
    IF current_setting('transaction_isolation') NOT IN ('read committed', 'read uncommitted') THEN
        RAISE EXCEPTION 'an append needs READ COMMITTED, this transaction is %', upper(current_setting('transaction_isolation'))
            USING ERRCODE = 'invalid_transaction_state',
                  HINT = 'BEGIN ISOLATION LEVEL READ COMMITTED: under another level the transaction does not see the appends before it.';
    END IF;
    -- Nobody may hang with the lock in hand for long.
    IF current_setting('idle_in_transaction_session_timeout') IN ('0', '0ms') THEN
        PERFORM set_config('idle_in_transaction_session_timeout', '30s', true);
    END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('es-postgres/' || 'es', 0));
END $$;
