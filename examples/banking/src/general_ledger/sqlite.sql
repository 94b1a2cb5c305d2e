CREATE TABLE ledger_v1 (
    number  INTEGER PRIMARY KEY, -- in the order in which they were entered
    account TEXT    NOT NULL,
    line    INTEGER NOT NULL,    -- the version of the account
    cents   INTEGER NOT NULL,    -- that were paid in; below zero, out
    balance INTEGER NOT NULL,    -- of the account, in cents, after it
    UNIQUE (account, line)
) STRICT;
