-- Another number whenever a command has said something else of a link: who has copied the row before is late then.
ALTER TABLE links ADD COLUMN orders INTEGER NOT NULL DEFAULT 0;
