"""What an installation that has run must have: ``up`` makes new what is gone, and what hung on it is void."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from healthsync_mqtt.cli.doctor.finding import Finding, Grade
from healthsync_mqtt.config.paths import DataPaths
from healthsync_mqtt.errors import ConfigError
from healthsync_mqtt.identity.people.opening import place_of


class LostPart(NamedTuple):
    """A file that is not there, and what its loss means once ``up`` has made a new one."""

    path: Path
    loss: str


def missing(data: Path) -> list[LostPart]:
    """The parts that an installation has lost; none of one that has not run yet."""
    paths = DataPaths(root=data)
    lost = []
    if paths.has_run and not _on_server(data):
        lost += [
            LostPart(paths.registry_db, "the new one knows no user, device, consent or token"),
            LostPart(paths.audit_db, "who did what before is not known"),
        ]
    if paths.sessions_db.exists():  # it has run with the embedded broker
        lost += [
            LostPart(paths.keys / "keyring.json", "every token that was issued before is void"),
            LostPart(paths.certs / "ca.crt", "every client needs the new ca.crt"),
            LostPart(paths.certs / "server.key", "the server has a new certificate"),
        ]
    if paths.audit_db.exists():
        lost.append(LostPart(paths.audit_key, "pseudonyms of the audit log name nobody any more"))
    return [each for each in lost if not each.path.exists()]


def _on_server(data: Path) -> bool:
    try:
        return place_of(data) is not None
    except ConfigError:  # it is told of where the settings are looked at
        return False


def parts(data: Path) -> Iterator[Finding]:
    """One finding for each part that is gone; one if all are there; none of an installation that has not run yet."""
    if not DataPaths(root=data).has_run:
        return
    gone = missing(data)
    for each in gone:
        yield Finding(
            check="parts",
            grade=Grade.BAD,
            message=f"{each.path} is missing. If `healthsync up` makes it new: {each.loss}",
            fix=f"stop the service and put {each.path} back from a backup, before the next start",
        )
    if not gone:
        yield Finding(check="parts", grade=Grade.GOOD, message="registry, keys and certificates are there")
