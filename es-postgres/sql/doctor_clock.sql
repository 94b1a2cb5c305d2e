SELECT coalesce(
    (SELECT extract(epoch FROM e.recorded_at - clock_timestamp())::float8
       FROM "es".recorded_events AS e ORDER BY e.position DESC LIMIT 1),
    0)
