-- What ended before this moment, in milliseconds since 1970 (UTC), is not kept: it was deleted, and is refused when a
-- transcript tells of it again.
CREATE TABLE horizon (one INTEGER PRIMARY KEY CHECK (one = 1), before INTEGER NOT NULL) STRICT;
