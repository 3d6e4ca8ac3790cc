"""Where events go after the log: time series databases, each fed by its own cursor."""
