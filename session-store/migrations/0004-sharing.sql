-- What the session of this store shares with others, in words of those who decide it; without a row, everything.
CREATE TABLE sharing (one INTEGER PRIMARY KEY CHECK (one = 1), level TEXT NOT NULL) STRICT;
