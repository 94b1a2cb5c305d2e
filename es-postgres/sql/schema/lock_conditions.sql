-- Makes a transaction fit for the lock of the log, or says why it is not.
CREATE OR REPLACE FUNCTION "es".is_ready_to_lock_log() RETURNS boolean
LANGUAGE plpgsql
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
    RETURN true;
END $$;
