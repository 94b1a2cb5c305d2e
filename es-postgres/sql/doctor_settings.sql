SELECT current_setting('fsync') AS fsync,
       current_setting('full_page_writes') AS full_page_writes,
       current_setting('synchronous_commit') AS synchronous_commit,
       (SELECT 'set for the ' || s.source FROM pg_settings AS s WHERE s.name = 'synchronous_commit') AS origin,
       pg_encoding_to_char(d.encoding) AS encoding,
       -- What a new transaction of another client would begin with: ours are set right.
       (SELECT upper(s.reset_val) FROM pg_settings AS s
         WHERE s.name = 'default_transaction_isolation' AND s.reset_val NOT IN ('read committed', 'read uncommitted')) AS isolation,
       (r.rolsuper OR r.rolbypassrls) AS bypasses
  FROM pg_database AS d, pg_roles AS r
 WHERE d.datname = current_database() AND r.rolname = current_user
