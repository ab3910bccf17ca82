ALTER TABLE inboxes ADD COLUMN work INTEGER NOT NULL DEFAULT 0; -- bits that open a knock inbox

CREATE TABLE tokens (
	id      INTEGER PRIMARY KEY,
	hash    BLOB NOT NULL UNIQUE,
	note    TEXT NOT NULL,
	uses    INTEGER NOT NULL,             -- left
	created INTEGER NOT NULL,             -- s
	expires INTEGER NOT NULL              -- s
) STRICT;

CREATE TABLE blocked (
	id  INTEGER PRIMARY KEY,
	key BLOB NOT NULL UNIQUE,             -- an owner's or an inbox's name
	day INTEGER NOT NULL
) STRICT;
