-- Times are milliseconds since 1970 (UTC), counts are tokens, texts are as Claude Code wrote them.

CREATE TABLE source (
    id          INTEGER PRIMARY KEY,
    path        BLOB NOT NULL UNIQUE,
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
) STRICT;

CREATE TABLE conversation (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE model (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;

-- One row for each reply; class holds fast mode (1), US inference (2) and under-reported output (4).
CREATE TABLE turn (
    id             TEXT PRIMARY KEY,
    at             INTEGER NOT NULL,
    role           INTEGER NOT NULL,
    since          INTEGER NOT NULL,
    conversation   INTEGER NOT NULL,
    agent          TEXT,
    model          INTEGER NOT NULL,
    class          INTEGER NOT NULL,
    input          INTEGER NOT NULL,
    output         INTEGER NOT NULL,
    cache_write_5m INTEGER NOT NULL,
    cache_write_1h INTEGER NOT NULL,
    cache_read     INTEGER NOT NULL,
    web_searches   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Everything else that happened, with its body as JSON.
CREATE TABLE fact (
    id           TEXT PRIMARY KEY,
    kind         TEXT NOT NULL,
    at           INTEGER NOT NULL,
    role         INTEGER NOT NULL,
    since        INTEGER NOT NULL,
    conversation INTEGER NOT NULL,
    agent        TEXT,
    body         TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Sums of turns by quarter hour since 1970; class holds fast mode (1), US inference (2) and the prompt's band (4, 8).
CREATE TABLE cell (
    quarter        INTEGER NOT NULL,
    conversation   INTEGER NOT NULL,
    model          INTEGER NOT NULL,
    class          INTEGER NOT NULL,
    messages       INTEGER NOT NULL,
    under_reported INTEGER NOT NULL,
    input          INTEGER NOT NULL,
    output         INTEGER NOT NULL,
    cache_write_5m INTEGER NOT NULL,
    cache_write_1h INTEGER NOT NULL,
    cache_read     INTEGER NOT NULL,
    web_searches   INTEGER NOT NULL,
    PRIMARY KEY (quarter, conversation, model, class)
) STRICT, WITHOUT ROWID;
