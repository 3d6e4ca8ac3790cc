"""The gateway: HTTP for everything that does not speak MQTT. It publishes and reads like any client."""
