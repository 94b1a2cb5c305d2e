SELECT a.pid, a.application_name, coalesce(a.state, 'unknown'),
       extract(epoch FROM clock_timestamp() - a.xact_start)::float8
  FROM pg_locks AS l
  JOIN pg_stat_activity AS a ON a.pid = l.pid
 WHERE l.granted
   AND a.pid <> pg_backend_pid()
   AND a.xact_start IS NOT NULL
   AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
   AND (
       (l.locktype = 'advisory' AND l.objsubid = 1
           AND (l.classid::bigint << 32 | l.objid::bigint) = hashtextextended('es-postgres/' || 'es', 0))
       OR (l.locktype = 'relation' AND l.mode = 'RowShareLock' AND l.relation = to_regclass('"es".log'))
   )
 ORDER BY a.xact_start
 LIMIT 1
