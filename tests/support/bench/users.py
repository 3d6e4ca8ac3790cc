"""What a change of the registry and a login cost a service that knows 100 users, or 40,000."""

import time
from pathlib import Path

from healthsync_mqtt.identity.certificates.demand import Demand
from healthsync_mqtt.identity.keys.store import KeyStore, LiveKeys
from healthsync_mqtt.identity.login.credentials import CredentialStore
from healthsync_mqtt.identity.login.directory import Directory
from healthsync_mqtt.identity.login.logins import Logins
from healthsync_mqtt.identity.login.proof import Proof
from healthsync_mqtt.identity.login.tokens import TokenIssuer, TokenVerifier
from healthsync_mqtt.identity.registry import Registry
from tests.support.bench.result import Result
from tests.support.bench.setting import Setting, progress
from tests.support.crowd import add_crowd

_SIZES = (100, 40_000)


def users(setting: Setting) -> list[Result]:
    """A removal is seen, a consent is seen, and everything is read at the start; with few users and with many."""
    results = []
    for size in _SIZES:
        progress(f"  {size:,} users")
        path = setting.data(f"users-{size}") / "registry.db"
        with Registry.open(path) as registry, Registry.open(path) as own:
            add_crowd(registry, size)
            starts, removals, consents = [], [], []
            for _ in range(setting.repeats):
                began = time.perf_counter()
                with Registry.open(path) as fresh:
                    directory = Directory(fresh)
                starts.append(time.perf_counter() - began)
            directory = Directory(own)
            logins = _logins(path.parent, registry, directory)
            for number in range(max(10, setting.repeats)):
                registry.remove_device(f"crowd-{number}", "watch", time.time_ns() // 1000)
                began = time.perf_counter()
                assert directory.refresh() == {f"crowd-{number}-watch"}
                removals.append((time.perf_counter() - began) * 1000)
                registry.consent.withdraw(f"crowd-{number}", "*", time.time_ns() // 1000)
                began = time.perf_counter()
                directory.refresh()
                consents.append((time.perf_counter() - began) * 1000)
        for work, unit, values, limit in (
            ("everything is read", "s", starts, 1.5),
            ("a login is decided", "ms", logins, 1.0),
            ("a removal is seen", "ms", removals, 250.0),
            ("a withdrawal is seen", "ms", consents, 250.0),
        ):
            median = sorted(values)[len(values) // 2]
            results.append(
                Result(
                    row="users",
                    work=f"{work}, {size:,} users",
                    unit=unit,
                    values=values,
                    target=f"≤ {limit:g} {unit}",
                    met=median <= limit,
                )
            )
    return results


def _logins(data: Path, registry: Registry, directory: Directory) -> list[float]:
    """Milliseconds of logins of different devices with their tokens."""
    keys = LiveKeys(KeyStore(data / "keys"), time.time_ns() // 1000)
    issuer, now = TokenIssuer(keys), time.time()
    logins = Logins.of(directory, TokenVerifier(keys), CredentialStore(data / "credentials"))
    values = []
    for number in range(50):
        principal = directory.principal(f"crowd-{number}-watch")
        assert principal is not None
        epoch = registry.token_epoch(principal.client_id)
        token = issuer.issue(principal, lifetime_s=3600, now=now, epoch=epoch).token
        proof = Proof(principal.client_id, principal.client_id, token.encode(), None)
        began = time.perf_counter()
        assert logins.authenticate(proof, Demand.off, now).principal == principal
        values.append((time.perf_counter() - began) * 1000)
    return values


ROWS = {"users": users}
