"""Where deliveries come from and the bridge's own messages go out: a source and an outlet each."""
