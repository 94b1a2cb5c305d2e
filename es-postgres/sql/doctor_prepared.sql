SELECT current_setting('max_prepared_transactions')::integer > 0,
       (SELECT string_agg(p.gid, ', ' ORDER BY p.prepared) FROM pg_prepared_xacts AS p WHERE p.database = current_database())
