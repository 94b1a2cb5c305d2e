SELECT coalesce(
    (SELECT CASE WHEN isfinite(e.recorded_at) THEN extract(epoch FROM e.recorded_at - clock_timestamp())::float8 END
       FROM "es".recorded_events AS e ORDER BY e.position DESC LIMIT 1),
    0)
