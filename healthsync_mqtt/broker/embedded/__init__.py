"""The embedded broker: a front door that owns every listener and session, with amqtt behind it."""
