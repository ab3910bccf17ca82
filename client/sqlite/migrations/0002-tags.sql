-- A message is found by its id: tag is a keyed hash of it, 0 for rows without
-- one, so that the ids stay sealed.
ALTER TABLE row ADD COLUMN tag INTEGER NOT NULL DEFAULT 0;

CREATE INDEX row_tag ON row (tag) WHERE tag <> 0;
