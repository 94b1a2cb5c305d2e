CREATE TABLE totals (
    account text PRIMARY KEY,
    cents   bigint NOT NULL,
    events  bigint NOT NULL
);
CREATE TABLE sums (
    name   text PRIMARY KEY,
    cents  bigint NOT NULL,
    events bigint NOT NULL
);
