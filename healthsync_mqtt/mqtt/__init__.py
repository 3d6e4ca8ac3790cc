"""The MQTT 3.1.1 wire format, without I/O: packet values, a strict incremental decoder and an encoder."""
