CREATE TABLE owners (
	id       INTEGER PRIMARY KEY,
	key      BLOB NOT NULL UNIQUE,
	day      INTEGER NOT NULL,            -- last seen, days since 1970: no more than is needed
	next_seq INTEGER NOT NULL DEFAULT 1,
	blobs    INTEGER NOT NULL DEFAULT 0,
	bytes    INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE inboxes (
	id         INTEGER PRIMARY KEY,
	name       BLOB NOT NULL UNIQUE,
	owner      INTEGER NOT NULL REFERENCES owners ON DELETE CASCADE,
	knock      INTEGER NOT NULL,
	token_hash BLOB NOT NULL,
	blobs      INTEGER NOT NULL DEFAULT 0,
	bytes      INTEGER NOT NULL DEFAULT 0,
	bundle     BLOB,
	handed_out INTEGER NOT NULL DEFAULT -1 -- the last one-time prekey that somebody got
) STRICT;
CREATE INDEX inboxes_owner ON inboxes (owner);

CREATE TABLE knocks (
	id         INTEGER PRIMARY KEY,
	inbox      INTEGER NOT NULL REFERENCES inboxes ON DELETE CASCADE,
	token_hash BLOB NOT NULL,
	expires    INTEGER NOT NULL,          -- ms
	blobs      INTEGER NOT NULL DEFAULT 0, -- ever delivered with it
	bytes      INTEGER NOT NULL DEFAULT 0,
	prekeys    INTEGER NOT NULL DEFAULT 0, -- one-time prekeys taken with it
	UNIQUE (inbox, token_hash)
) STRICT;
CREATE INDEX knocks_expires ON knocks (expires);

-- Rowid tables with short keys: see docs/spec/60-relay.md, section 6.8.
CREATE TABLE mail (
	id      INTEGER PRIMARY KEY,
	inbox   INTEGER NOT NULL REFERENCES inboxes ON DELETE CASCADE,
	owner   INTEGER NOT NULL REFERENCES owners ON DELETE CASCADE,
	seq     INTEGER NOT NULL,
	hash    BLOB NOT NULL,
	stored  INTEGER NOT NULL,             -- ms
	expires INTEGER NOT NULL,             -- ms
	size    INTEGER NOT NULL,
	body    BLOB NOT NULL,
	UNIQUE (inbox, hash),
	UNIQUE (owner, seq)
) STRICT;
CREATE INDEX mail_expires ON mail (expires);

CREATE TABLE one_time (
	id     INTEGER PRIMARY KEY,
	inbox  INTEGER NOT NULL REFERENCES inboxes ON DELETE CASCADE,
	number INTEGER NOT NULL,
	body   BLOB NOT NULL,
	UNIQUE (inbox, number)
) STRICT;
