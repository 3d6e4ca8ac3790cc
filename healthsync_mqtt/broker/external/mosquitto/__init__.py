"""Mosquitto: dynamic security, and the plugin mosquitto-go-auth."""
