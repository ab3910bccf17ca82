-- Names are blinded keys, records are sealed: no owner, no address, no reader.
CREATE TABLE records (
	blinded bytea  PRIMARY KEY CHECK (length(blinded) = 32),
	sealed  bytea  NOT NULL,
	expires bigint NOT NULL -- Unix seconds
);
CREATE INDEX records_expires ON records (expires);

-- The public list: people who chose to be found by anybody. fold is UTF-8.
CREATE TABLE listed (
	identity bytea  PRIMARY KEY CHECK (length(identity) = 32),
	fold     bytea  NOT NULL,
	entry    bytea  NOT NULL,
	expires  bigint NOT NULL,
	seen     bigint NOT NULL
);
CREATE UNIQUE INDEX listed_order ON listed (fold, identity);
CREATE INDEX listed_expires ON listed (expires);

-- Which process reaches which name now. Lost in a crash, as the connections are.
CREATE UNLOGGED TABLE nodes (
	node text   PRIMARY KEY,
	seen bigint NOT NULL -- Unix seconds, by the database's clock
);
CREATE UNLOGGED TABLE online (
	name    bytea  PRIMARY KEY,
	node    text   NOT NULL REFERENCES nodes ON DELETE CASCADE,
	expires bigint NOT NULL
);
CREATE INDEX online_node ON online (node);
