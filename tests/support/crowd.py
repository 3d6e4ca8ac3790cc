"""Many users with a device each, registered quickly."""

from healthsync_mqtt.identity.registry import Registry

_COUNT = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < ? - 1)"


def add_crowd(registry: Registry, size: int) -> None:
    """``crowd-0`` to ``crowd-<size - 1>``, who agree to everything, each with a ``watch``."""
    name, client = "'crowd-' || i", "'crowd-' || i || '-watch'"
    with registry.write():
        execute = registry._tables.execute
        execute(f"{_COUNT} INSERT INTO users (id, created_us) SELECT {name}, 1 FROM n", size)
        execute(f"{_COUNT} INSERT INTO principals (client_id, role) SELECT {client}, 'device' FROM n", size)
        execute(
            f"{_COUNT} INSERT INTO devices (user_id, device_id, client_id, created_us, not_before_s)"
            f" SELECT {name}, 'watch', {client}, 1, 0 FROM n",
            size,
        )
        for purpose in ("store", "share", "insights"):
            execute(
                f"{_COUNT} INSERT INTO consent_decisions (user_id, action, purpose, types, decided_us, recorded_by)"
                f" SELECT {name}, 'grant', '{purpose}', '*', 1, 'test' FROM n",
                size,
            )
