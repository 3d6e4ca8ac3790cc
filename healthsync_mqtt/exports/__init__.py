"""What is taken along: the events of a user as files that others read. Pure, but for where the bytes go."""
