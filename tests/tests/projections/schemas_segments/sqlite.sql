CREATE TABLE sums_v1_totals (
    account TEXT PRIMARY KEY,
    cents   INTEGER NOT NULL,
    events  INTEGER NOT NULL
) STRICT;
CREATE TABLE sums_v1 (
    name   TEXT PRIMARY KEY,
    cents  INTEGER NOT NULL,
    events INTEGER NOT NULL
) STRICT;
