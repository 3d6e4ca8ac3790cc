-- registry.db, version 17: whose word a webhook goes by. Without a number an admin's; else that of the tokens which its
-- subscriber had when it was made: with those it ends.

ALTER TABLE webhooks ADD COLUMN holder_epoch INTEGER;
