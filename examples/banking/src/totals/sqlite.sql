CREATE TABLE totals_v2 (
    day      TEXT PRIMARY KEY, -- in UTC
    opened   INTEGER NOT NULL, -- accounts
    paid_in  INTEGER NOT NULL, -- cents
    paid_out INTEGER NOT NULL  -- cents
) STRICT;
