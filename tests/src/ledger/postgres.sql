CREATE TABLE ledger (
    account text PRIMARY KEY,
    cents   bigint NOT NULL,
    events  bigint NOT NULL
);
