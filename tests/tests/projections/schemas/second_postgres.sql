CREATE TABLE totals (cents bigint NOT NULL);
