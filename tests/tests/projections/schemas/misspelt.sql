CREATE TABLE misspelt (cents bigint NOT NULL);
CREATE TABEL misspelt_too (cents bigint NOT NULL);
