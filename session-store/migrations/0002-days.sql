-- Sources are kept in the order of their paths.
ALTER TABLE source RENAME TO source_by_number;
CREATE TABLE source (
    path        BLOB PRIMARY KEY,
    conversation TEXT,
    agent       TEXT,
    device      INTEGER NOT NULL,
    inode       INTEGER NOT NULL,
    size        INTEGER NOT NULL,
    modified_ns INTEGER NOT NULL,
    "offset"    INTEGER NOT NULL,
    since       INTEGER,
    turn_open   INTEGER NOT NULL,
    fingerprint INTEGER NOT NULL,
    problems    TEXT
) STRICT, WITHOUT ROWID;
INSERT INTO source SELECT path, conversation, agent, device, inode, size, modified_ns, "offset", since, turn_open,
                          fingerprint, problems
                   FROM source_by_number;
DROP TABLE source_by_number;

-- Sums of turns by quarter hour, conversation, model and price class, those of one day (since 1970, UTC) in one row.
-- The program packs the sums that stand in cell_by_quarter and drops it.
ALTER TABLE cell RENAME TO cell_by_quarter;
CREATE TABLE cell (day INTEGER PRIMARY KEY, sums BLOB NOT NULL) STRICT;

-- Holds a row once the store takes nothing more: what it held has gone, or is going, to another one.
CREATE TABLE closed (id INTEGER PRIMARY KEY CHECK (id = 1)) STRICT;
