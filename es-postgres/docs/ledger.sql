CREATE TABLE ledger (account text, version bigint, cents bigint NOT NULL, PRIMARY KEY (account, version));
