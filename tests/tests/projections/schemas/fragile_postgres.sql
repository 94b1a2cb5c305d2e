CREATE TABLE fragile (number bigint GENERATED ALWAYS AS IDENTITY, cents bigint NOT NULL CHECK (cents <> 14));
