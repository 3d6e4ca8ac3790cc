"""EMQX's configuration."""

from healthsync_mqtt.broker.external.plan import Plan, Rendered, filled


def emqx(plan: Plan) -> dict[str, Rendered]:
    """``emqx.conf``."""
    return {"emqx.conf": Rendered(filled("emqx", "emqx.conf", plan), private=True)}
