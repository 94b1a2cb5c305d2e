CREATE TABLE totals (day text PRIMARY KEY, cents bigint NOT NULL);
