"""PostgreSQL, whatever is kept there. What the log and the registry promise on it, and say of it, is theirs."""
