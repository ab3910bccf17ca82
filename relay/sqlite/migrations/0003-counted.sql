-- How much an owner and an inbox hold is counted from the mail when it is first
-- asked for, and kept in memory: a delivery changes neither row. The indexes hold
-- what is counted.
ALTER TABLE owners DROP COLUMN blobs;
ALTER TABLE owners DROP COLUMN bytes;
ALTER TABLE inboxes DROP COLUMN blobs;
ALTER TABLE inboxes DROP COLUMN bytes;

CREATE TABLE counted_mail (
	id      INTEGER PRIMARY KEY,
	inbox   INTEGER NOT NULL REFERENCES inboxes ON DELETE CASCADE,
	owner   INTEGER NOT NULL REFERENCES owners ON DELETE CASCADE,
	seq     INTEGER NOT NULL,
	hash    BLOB NOT NULL,
	stored  INTEGER NOT NULL,             -- ms
	expires INTEGER NOT NULL,             -- ms
	size    INTEGER NOT NULL,
	body    BLOB NOT NULL
) STRICT;
INSERT INTO counted_mail (id, inbox, owner, seq, hash, stored, expires, size, body)
	SELECT id, inbox, owner, seq, hash, stored, expires, size, body FROM mail;
DROP TABLE mail;
ALTER TABLE counted_mail RENAME TO mail;
CREATE INDEX mail_inbox ON mail (inbox, substr(hash, 1, 8), size);
CREATE INDEX mail_owner ON mail (owner, seq, size);
CREATE INDEX mail_expires ON mail (expires);
