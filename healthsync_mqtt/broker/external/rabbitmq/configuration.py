"""RabbitMQ's configuration."""

from healthsync_mqtt.broker.external.plan import Plan, Rendered, filled


def rabbitmq(plan: Plan) -> dict[str, Rendered]:
    """``rabbitmq.conf``, what only ``advanced.config`` can say to every release, and the list of plugins."""
    plugins = b"[rabbitmq_mqtt,rabbitmq_auth_backend_http,rabbitmq_management].\n"
    return {
        "rabbitmq.conf": Rendered(filled("rabbitmq", "rabbitmq.conf", plan), private=True),
        "advanced.config": Rendered(filled("rabbitmq", "advanced.config", plan)),
        "enabled_plugins": Rendered(plugins),
    }
