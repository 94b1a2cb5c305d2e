-- In which version of its shape an event may be written at most, while older builds run. Clients read it when they start: set a
-- cap before the first new build does.
CREATE TABLE "es".write_caps (
    category text COLLATE "C" NOT NULL CHECK (octet_length(category) BETWEEN 1 AND 512),
    name     text COLLATE "C" NOT NULL CHECK (octet_length(name) BETWEEN 1 AND 512),
    highest  integer          NOT NULL,
    PRIMARY KEY (category, name)
);
