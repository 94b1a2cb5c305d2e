CREATE TABLE ledger (
    number  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, -- in the order in which they were entered
    account text   NOT NULL,
    line    bigint NOT NULL,    -- the version of the account
    cents   bigint NOT NULL,    -- that were paid in; below zero, out
    balance bigint NOT NULL,    -- of the account, in cents, after it
    UNIQUE (account, line)
);
