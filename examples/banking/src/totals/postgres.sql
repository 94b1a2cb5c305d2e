CREATE TABLE totals (
    day      text PRIMARY KEY, -- in UTC
    opened   bigint NOT NULL,  -- accounts
    paid_in  bigint NOT NULL,  -- cents
    paid_out bigint NOT NULL   -- cents
);
