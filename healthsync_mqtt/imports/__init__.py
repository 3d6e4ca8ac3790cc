"""Archives of years as events: one file a kind, each a pure reader of what it is given, with bounded memory."""
