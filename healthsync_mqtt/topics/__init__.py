"""The topic tree: grammar, registry of declared topics, access decisions and their AsyncAPI document."""
