CREATE TABLE careless (number bigint GENERATED ALWAYS AS IDENTITY, cents bigint NOT NULL);
