-- registry.db, version 16: what a device is called by people. Its id stays what it is everywhere else.

ALTER TABLE devices ADD COLUMN title TEXT;
