"""External brokers: the bridge's connection to one, what it can promise there, its configuration and access hooks."""
