"""HiveMQ's configuration, and every client's rights as a list for an extension to read."""

import json
from dataclasses import asdict

from healthsync_mqtt.broker.external.plan import Plan, Rendered, filled


def hivemq(plan: Plan) -> dict[str, Rendered]:
    """``config.xml`` and ``hivemq-rights.json``."""
    rights = {client_id: asdict(grants) for client_id, grants in sorted(plan.grants.items())}
    return {
        "config.xml": Rendered(filled("hivemq", "hivemq.xml", plan)),
        "hivemq-rights.json": Rendered(json.dumps(rights, indent=2).encode() + b"\n", private=True),
    }
