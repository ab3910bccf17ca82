-- Names are blinded keys, records are sealed: no owner, no address, no reader.
CREATE TABLE records (
	blinded BLOB    NOT NULL UNIQUE CHECK (length(blinded) = 32),
	sealed  BLOB    NOT NULL,
	expires INTEGER NOT NULL -- Unix seconds
) STRICT;
CREATE INDEX records_expires ON records (expires);

-- The number of records, so that a limit costs no scan.
CREATE TABLE total (n INTEGER NOT NULL) STRICT;
INSERT INTO total VALUES (0);
CREATE TRIGGER records_inserted AFTER INSERT ON records BEGIN UPDATE total SET n = n + 1; END;
CREATE TRIGGER records_deleted AFTER DELETE ON records BEGIN UPDATE total SET n = n - 1; END;
