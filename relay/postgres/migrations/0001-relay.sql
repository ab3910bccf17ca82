CREATE TABLE owners (
	id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	key      bytea NOT NULL UNIQUE,
	day      bigint NOT NULL,             -- last seen, days since 1970: no more than is needed
	next_seq bigint NOT NULL DEFAULT 1,
	blobs    bigint NOT NULL DEFAULT 0,
	bytes    bigint NOT NULL DEFAULT 0
);

CREATE TABLE inboxes (
	id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	name       bytea NOT NULL UNIQUE,
	owner      bigint NOT NULL REFERENCES owners ON DELETE CASCADE,
	knock      boolean NOT NULL,
	token_hash bytea NOT NULL,
	blobs      bigint NOT NULL DEFAULT 0,
	bytes      bigint NOT NULL DEFAULT 0,
	bundle     bytea,
	handed_out bigint NOT NULL DEFAULT -1, -- the last one-time prekey that somebody got
	work       bigint NOT NULL DEFAULT 0   -- bits that open a knock inbox
);
CREATE INDEX inboxes_owner ON inboxes (owner);

CREATE TABLE knocks (
	id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	inbox      bigint NOT NULL REFERENCES inboxes ON DELETE CASCADE,
	token_hash bytea NOT NULL,
	expires    bigint NOT NULL,            -- ms
	blobs      bigint NOT NULL DEFAULT 0,  -- ever delivered with it
	bytes      bigint NOT NULL DEFAULT 0,
	prekeys    bigint NOT NULL DEFAULT 0,  -- one-time prekeys taken with it
	UNIQUE (inbox, token_hash)
);
CREATE INDEX knocks_expires ON knocks (expires);

CREATE TABLE mail (
	id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	inbox   bigint NOT NULL REFERENCES inboxes ON DELETE CASCADE,
	owner   bigint NOT NULL REFERENCES owners ON DELETE CASCADE,
	seq     bigint NOT NULL,
	hash    bytea NOT NULL,
	stored  bigint NOT NULL,               -- ms
	expires bigint NOT NULL,               -- ms
	size    bigint NOT NULL,
	body    bytea NOT NULL,
	UNIQUE (inbox, hash),
	UNIQUE (owner, seq)
);
CREATE INDEX mail_expires ON mail (expires);

CREATE TABLE one_time (
	id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	inbox  bigint NOT NULL REFERENCES inboxes ON DELETE CASCADE,
	number bigint NOT NULL,
	body   bytea NOT NULL,
	UNIQUE (inbox, number)
);

CREATE TABLE tokens (
	id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	hash    bytea NOT NULL UNIQUE,
	note    text NOT NULL,
	uses    bigint NOT NULL,               -- left
	created bigint NOT NULL,               -- s
	expires bigint NOT NULL                -- s
);

CREATE TABLE blocked (
	id  bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	key bytea NOT NULL UNIQUE,             -- an owner's or an inbox's name
	day bigint NOT NULL
);
