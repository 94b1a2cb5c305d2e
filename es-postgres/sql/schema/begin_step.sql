SELECT pg_advisory_xact_lock(hashtextextended('es-postgres/schema/' || 'es', 0));
DO $$
BEGIN
    -- `IF NOT EXISTS` would ask for the right to create a schema that is there.
    IF to_regnamespace(quote_ident('es')) IS NULL THEN
        CREATE SCHEMA "es";
    END IF;
END $$;
CREATE TABLE IF NOT EXISTS "es".schema_steps (
    step     integer     PRIMARY KEY,
    name     text        NOT NULL,
    taken_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
