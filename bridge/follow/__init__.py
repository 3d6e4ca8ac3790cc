"""What follows the log, each with a cursor of its own: canonical topics, sinks, retention."""
