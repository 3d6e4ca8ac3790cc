"""InfluxDB and what speaks its line protocol."""
