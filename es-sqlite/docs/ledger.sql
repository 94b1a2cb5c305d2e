CREATE TABLE ledger_v1 (account TEXT, version INTEGER, cents INTEGER NOT NULL, PRIMARY KEY (account, version)) STRICT;
