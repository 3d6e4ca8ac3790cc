"""VerneMQ's configuration."""

from healthsync_mqtt.broker.external.plan import Plan, Rendered, filled


def vernemq(plan: Plan) -> dict[str, Rendered]:
    """``vernemq.conf``."""
    return {"vernemq.conf": Rendered(filled("vernemq", "vernemq.conf", plan), private=True)}
