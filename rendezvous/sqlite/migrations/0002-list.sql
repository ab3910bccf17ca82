-- The public list: people who chose to be found by anybody.
CREATE TABLE listed (
	identity BLOB    NOT NULL UNIQUE CHECK (length(identity) = 32),
	fold     BLOB    NOT NULL, -- the name as it is searched for, UTF-8
	entry    BLOB    NOT NULL,
	expires  INTEGER NOT NULL, -- Unix seconds
	seen     INTEGER NOT NULL  -- Unix seconds
) STRICT;
CREATE UNIQUE INDEX listed_order ON listed (fold, identity);
CREATE INDEX listed_expires ON listed (expires);

CREATE TABLE listed_total (n INTEGER NOT NULL) STRICT;
INSERT INTO listed_total VALUES (0);
CREATE TRIGGER listed_inserted AFTER INSERT ON listed BEGIN UPDATE listed_total SET n = n + 1; END;
CREATE TRIGGER listed_deleted AFTER DELETE ON listed BEGIN UPDATE listed_total SET n = n - 1; END;
