"""Many users and devices at once, made through the registry: one command for each would take minutes."""

import time
from pathlib import Path

from healthsync_mqtt.identity.keys.store import KeyStore
from healthsync_mqtt.identity.login.tokens import TokenIssuer
from healthsync_mqtt.identity.registry import Registry
from tests.support.wire import Login

DAY_S = 86_400


def logins(data: Path, *, users: int, devices: int, named: str = "u") -> list[Login]:
    """``users`` users with ``devices`` devices each, registered in ``data``; their logins, by user, then device."""
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    registry = Registry.open(data / "registry.db")
    now = time.time()
    now_us = int(now * 1_000_000)
    issuer = TokenIssuer(KeyStore(data / "keys").keyring(now_us))
    made = []
    for user_number in range(users):
        user = f"{named}{user_number}"
        registry.add_user(user, "all", now_us)
        for device_number in range(devices):
            device = registry.add_device(user, f"d{device_number}", now_us)
            made.append(
                Login(
                    client_id=device.client_id,
                    token=issuer.issue(device.principal, lifetime_s=DAY_S, now=now).token,
                    topic=f"users/{user}/devices/{device.device_id}/events",
                    user=user,
                    device=device.device_id,
                )
            )
    registry.close()
    return made


def subscribers(data: Path, count: int) -> list[Login]:
    """So many subscribers of one user each; their topic is the filter on that user's canonical events."""
    registry = Registry.open(data / "registry.db")
    now = time.time()
    issuer = TokenIssuer(KeyStore(data / "keys").keyring(int(now * 1_000_000)))
    made = []
    for number in range(count):
        user = f"s{number}"
        principal = registry.add_subscriber(f"app-{number}", [user], "*", int(now * 1_000_000)).principal
        token = issuer.issue(principal, lifetime_s=DAY_S, now=now).token
        made.append(Login(client_id=principal.client_id, token=token, topic=f"users/{user}/canonical/+", user=user))
    registry.close()
    return made


def everybody(data: Path, count: int) -> list[Login]:
    """So many subscribers of all users and types: one grant, so that they may be one group."""
    registry = Registry.open(data / "registry.db")
    now = time.time()
    issuer = TokenIssuer(KeyStore(data / "keys").keyring(int(now * 1_000_000)))
    made = []
    for number in range(count):
        principal = registry.add_subscriber(f"all-{number}", None, "*", int(now * 1_000_000)).principal
        token = issuer.issue(principal, lifetime_s=DAY_S, now=now).token
        made.append(Login(client_id=principal.client_id, token=token, topic="users/+/canonical/+"))
    registry.close()
    return made
