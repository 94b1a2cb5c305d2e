CREATE TABLE ledger_v1 (
    account TEXT PRIMARY KEY,
    cents   INTEGER NOT NULL,
    events  INTEGER NOT NULL
) STRICT;
