-- As version 17 of registry.db: whose word a webhook goes by.

ALTER TABLE webhooks ADD COLUMN holder_epoch bigint;
