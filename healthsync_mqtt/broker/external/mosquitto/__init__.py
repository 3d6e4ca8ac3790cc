"""Mosquitto's dynamic security."""
