"""EMQX."""
