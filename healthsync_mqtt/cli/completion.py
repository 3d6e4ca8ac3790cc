"""What the shell offers where a value is one of those that are there. Reads only; whatever fails offers nothing."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import get_args

import typer

from healthsync_mqtt.cli import known_names
from healthsync_mqtt.errors import HealthSyncError
from healthsync_mqtt.identity.consent.decisions import PURPOSES
from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.principal import Role
from healthsync_mqtt.model.reasons import Reason


def users(ctx: typer.Context, incomplete: str) -> list[str]:
    """Ids of users."""
    return _beginning(incomplete, known_names.users(_data(ctx)))


def devices(ctx: typer.Context, incomplete: str) -> list[str]:
    """Ids of the devices of the user that was written before; of all users' without one."""
    return _beginning(incomplete, known_names.devices(_data(ctx), ctx.params.get("user")))


def sources(ctx: typer.Context, incomplete: str) -> list[str]:
    """What measured for the user that was written before, or may."""
    return _beginning(incomplete, known_names.sources(_data(ctx), ctx.params.get("user")))


def subscribers(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of subscribers."""
    return _beginning(incomplete, known_names.subscribers(_data(ctx)))


def admins(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of admins."""
    return _beginning(incomplete, known_names.admins(_data(ctx)))


def webhooks(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of webhooks."""
    return _beginning(incomplete, known_names.webhooks(_data(ctx)))


def apps(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of the apps of the user that was written before."""
    return _beginning(incomplete, known_names.apps(_data(ctx), ctx.params.get("user")))


def clients(ctx: typer.Context, incomplete: str) -> list[str]:
    """Client ids of devices and subscribers."""
    return _beginning(incomplete, known_names.clients(_data(ctx)))


def sinks(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of sinks."""
    return _beginning(incomplete, known_names.sinks(_data(ctx)))


def formats(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of payload formats, with the mappings of the installation; without them where one is broken."""
    from healthsync_mqtt.formats.catalogue import FORMATS, declare

    try:
        declare(_data(ctx) / "formats")
    except (HealthSyncError, OSError):
        return _beginning(incomplete, FORMATS)
    return _beginning(incomplete, FORMATS)


def adapters(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of adapters, with those of the installation."""
    from healthsync_mqtt.adapters.catalogue import known

    return _beginning(incomplete, known(_data(ctx) / "adapters").adapters)


def insight_kinds(ctx: typer.Context, incomplete: str) -> list[str]:
    """Kinds of insights, with those of the installation."""
    from healthsync_mqtt.insights.catalogue import FOLDER, known
    from healthsync_mqtt.insights.wording import KIND as REPORT

    return _beginning(incomplete, [*known(_data(ctx) / FOLDER).insights, REPORT])


def answer_kinds(ctx: typer.Context, incomplete: str) -> list[str]:
    """Kinds of answers of the adapter that was written before."""
    from healthsync_mqtt.adapters.catalogue import known

    found = known(_data(ctx) / "adapters").adapters.get(ctx.params.get("provider") or "")
    return [] if found is None or found.mapping is None else _beginning(incomplete, found.mapping.kind_names)


def keys(ctx: typer.Context, incomplete: str) -> list[str]:
    """Ids of signing keys: their files' names."""
    return _beginning(incomplete, (file.stem for file in (_data(ctx) / "keys").glob("*.pem")))


def serials(ctx: typer.Context, incomplete: str) -> list[str]:
    """Serial numbers of certificates."""
    return _beginning(incomplete, known_names.serials(_data(ctx)))


def holders(ctx: typer.Context, incomplete: str) -> list[str]:
    """Who may have a certificate of the kind that was written before: users and then devices, or subscribers."""
    if ctx.params.get("kind") == Role.subscriber.value:
        return subscribers(ctx, incomplete)
    return sorted({*users(ctx, incomplete), *devices(ctx, incomplete)})


def passwords(ctx: typer.Context, incomplete: str) -> list[str]:
    """Client ids that have a password of their own."""
    return _beginning(incomplete, known_names.passwords(_data(ctx)))


def types(incomplete: str) -> list[str]:
    """Names of types."""
    return _beginning(incomplete, CATALOGUE)


def reasons(incomplete: str) -> list[str]:
    """Why an event may be refused."""
    return _beginning(incomplete, Reason)


def brokers(incomplete: str) -> list[str]:
    """Brokers that we write configuration for."""
    from healthsync_mqtt.broker.external.configuration import BROKERS

    return _beginning(incomplete, BROKERS)


def dialects(incomplete: str) -> list[str]:
    """Dialects of InfluxDB."""
    from healthsync_mqtt.sinks.config import Dialect

    return _beginning(incomplete, get_args(Dialect))


def mechanisms(incomplete: str) -> list[str]:
    """How one logs in to Kafka."""
    from healthsync_mqtt.sinks.config import KafkaConfig

    return _beginning(incomplete, get_args(KafkaConfig.model_fields["mechanism"].annotation))


def deletions(incomplete: str) -> list[str]:
    """What a sink may do with what was deleted."""
    from healthsync_mqtt.sinks.config import Deletes

    return _beginning(incomplete, get_args(Deletes))


def one_of(*words: str) -> Callable[[str], list[str]]:
    """These words."""

    def offered(incomplete: str) -> list[str]:
        return _beginning(incomplete, words)

    return offered


purposes = one_of(*PURPOSES, "all")
kinds = one_of(Role.device, Role.subscriber, "server")
roles = one_of(Role.device, Role.subscriber, Role.admin, "enroll")
provisioned = one_of("mosquitto")
log_places = one_of("now", "start")


def _data(ctx: typer.Context) -> Path:
    return Path(ctx.params.get("data") or os.environ.get("HEALTHSYNC_DATA") or "data")


def _beginning(incomplete: str, names: Iterable[str]) -> list[str]:
    """Those that begin so; of a list, its last one, behind what stands before."""
    before, comma, last = incomplete.rpartition(",")
    return sorted({f"{before}{comma}{name}" for name in names if name.startswith(last)})
