"""Routes about users and what is theirs, and about who administers or reads."""
