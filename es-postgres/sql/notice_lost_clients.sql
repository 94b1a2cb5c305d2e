-- So that the server gives up a client that vanished, with the lock that it may hold, within half a minute instead of hours.
-- An engine that has no such setting is left alone; the last one is an error on some systems.
SELECT set_config(s.name, s.value, false)
  FROM (VALUES ('tcp_keepalives_idle', '15'),
               ('tcp_keepalives_interval', '5'),
               ('tcp_keepalives_count', '3'),
               ('client_connection_check_interval', '10s')) AS s(name, value)
 WHERE current_setting(s.name, true) IS NOT NULL
   AND (s.name <> 'client_connection_check_interval' OR version() LIKE '%linux%')
