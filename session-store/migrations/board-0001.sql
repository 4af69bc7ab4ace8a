-- Times are milliseconds since 1970 (UTC).

-- `changes`: how often stores were written; `published`: how often figures were; `samples`: how often samples were told.
CREATE TABLE board (
    generation INTEGER NOT NULL,
    changes    INTEGER NOT NULL,
    published  INTEGER NOT NULL,
    samples    INTEGER NOT NULL
) STRICT;
CREATE TABLE leader (
    one    INTEGER PRIMARY KEY CHECK (one = 1),
    term   INTEGER NOT NULL,
    member TEXT NOT NULL,
    since  INTEGER NOT NULL,
    beats  INTEGER NOT NULL,
    -- Milliseconds since the system started.
    beat_at INTEGER NOT NULL
) STRICT;
CREATE TABLE member (
    id        TEXT PRIMARY KEY,
    accounts  TEXT NOT NULL,
    project   TEXT,
    active_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- Numbers are never given twice, also when the newest notice was removed.
CREATE TABLE notice (
    seq       INTEGER PRIMARY KEY AUTOINCREMENT,
    dedup     TEXT NOT NULL UNIQUE,
    kind      TEXT NOT NULL,
    account   TEXT NOT NULL,
    project   TEXT,
    "from"    TEXT NOT NULL,
    at        INTEGER NOT NULL,
    "window"  TEXT,
    resets_at INTEGER,
    text      TEXT NOT NULL,
    -- The event that was seen, and whose it is: id, role, since, conversation, agent.
    event     TEXT,
    role      INTEGER,
    since     INTEGER,
    conversation TEXT,
    agent     TEXT
) STRICT;
CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE figures (name TEXT PRIMARY KEY, at INTEGER NOT NULL, body BLOB NOT NULL, changes INTEGER NOT NULL) STRICT;
CREATE TABLE sample (
    account   TEXT NOT NULL,
    "window"  TEXT NOT NULL,
    source    TEXT NOT NULL,
    at        INTEGER NOT NULL,
    resets_at INTEGER,
    used      INTEGER,
    status    TEXT NOT NULL,
    PRIMARY KEY (account, "window", source, at)
) STRICT, WITHOUT ROWID;
CREATE TABLE line (
    conversation TEXT PRIMARY KEY,
    account      TEXT NOT NULL,
    at           INTEGER NOT NULL,
    mark         INTEGER NOT NULL,
    cost         INTEGER NOT NULL,
    window_end   INTEGER,
    cost_before  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE deed (name TEXT PRIMARY KEY, at INTEGER NOT NULL) STRICT, WITHOUT ROWID;
