-- Everything sealed, in one table: the database must show no more than how many
-- rows of a kind there are. kind is client.Table; a rowid table, because rows
-- are appended far more often than found.
CREATE TABLE row (
	id    INTEGER PRIMARY KEY,
	kind  INTEGER NOT NULL,
	owner INTEGER NOT NULL,
	seq   INTEGER NOT NULL,
	state INTEGER NOT NULL,
	body  BLOB    NOT NULL
) STRICT;

CREATE UNIQUE INDEX row_place ON row (kind, owner, seq);

-- The database key, wrapped by the passphrase. At most one row.
CREATE TABLE header (
	id   INTEGER PRIMARY KEY CHECK (id = 1),
	body BLOB    NOT NULL
) STRICT;
