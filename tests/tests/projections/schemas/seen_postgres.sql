CREATE TABLE seen (
    number   bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    position bigint NOT NULL
);
