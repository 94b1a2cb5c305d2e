-- Makes the appends of this schema follow one another, up to the commit. Order does not rest on it but on the primary key of
-- recorded_events: without it appends would collide there, and be repeated.
--
-- One expression, which the server writes into the statement that calls it: every append does. Most sessions of this crate are
-- ready, which saves the call.
CREATE OR REPLACE FUNCTION "es".lock_log() RETURNS void
LANGUAGE sql
AS $$
    SELECT CASE
        WHEN (current_setting('transaction_isolation') = 'read committed'
              AND current_setting('idle_in_transaction_session_timeout') NOT IN ('0', '0ms'))
            OR "es".is_ready_to_lock_log()
        THEN pg_advisory_xact_lock(hashtextextended('es-postgres/' || 'es', 0))
    END
$$;
