"""RabbitMQ's configuration."""

from healthsync_mqtt.broker.external.plan import Plan, Rendered, filled


def rabbitmq(plan: Plan) -> dict[str, Rendered]:
    """``rabbitmq.conf`` and the list of plugins."""
    plugins = b"[rabbitmq_mqtt,rabbitmq_auth_backend_http,rabbitmq_management].\n"
    return {
        "rabbitmq.conf": Rendered(filled("rabbitmq", "rabbitmq.conf", plan), private=True),
        "enabled_plugins": Rendered(plugins),
    }
