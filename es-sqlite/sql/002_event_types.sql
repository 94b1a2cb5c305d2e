-- What is stored: every kind of event in every shape that was ever appended. A row is never changed: it may be kept in memory.
-- Written so that it can be run again: a writer that was open since before this step may set the version of the schema back.
CREATE TABLE IF NOT EXISTS event_types (
    category      TEXT    NOT NULL,
    name          TEXT    NOT NULL,
    shape_version INTEGER NOT NULL,
    PRIMARY KEY (category, name, shape_version)
) STRICT, WITHOUT ROWID;

INSERT OR IGNORE INTO event_types (category, name, shape_version)
SELECT DISTINCT s.category, e.name, e.shape_version
FROM recorded_events AS e CROSS JOIN streams AS s ON s.id = e.stream;

-- In which version of its shape an event may be written at most, while older builds run.
CREATE TABLE IF NOT EXISTS write_caps (
    category TEXT    NOT NULL,
    name     TEXT    NOT NULL,
    highest  INTEGER NOT NULL,
    PRIMARY KEY (category, name)
) STRICT, WITHOUT ROWID;
