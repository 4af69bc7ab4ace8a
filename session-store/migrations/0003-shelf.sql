-- All checkpoints at the time they were last packed, in the order of their paths; `source` holds what is newer.
CREATE TABLE shelf (id INTEGER PRIMARY KEY CHECK (id = 1), checkpoints BLOB NOT NULL) STRICT;

-- What folders held when they were last listed. Only a hint: a folder that has changed is listed again.
CREATE TABLE listing (id INTEGER PRIMARY KEY CHECK (id = 1), folders BLOB NOT NULL) STRICT;
