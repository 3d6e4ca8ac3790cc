"""How bridge and gateway reach the external broker of the settings, and what the bridge subscribes to there."""

import ssl
from typing import Final

from healthsync_mqtt.broker.external.identities import bridge_client_id
from healthsync_mqtt.config.sections import ExternalSettings
from healthsync_mqtt.config.server_address import THIS_MACHINE
from healthsync_mqtt.config.settings import Settings
from healthsync_mqtt.errors import ConfigError
from healthsync_mqtt.identity.login.credentials import CredentialStore
from healthsync_mqtt.mqtt.codec.packets import Will
from healthsync_mqtt.mqtt.links.port import MAX_PACKET, Address, ClientLogin, LastWill, Target
from healthsync_mqtt.mqtt.links.tls import tls_context
from healthsync_mqtt.topics.registry import TopicRegistry

VERSIONS: Final = {"5": (5,), "3.1.1": (4,), "auto": (5, 4)}
"""The versions of MQTT that are tried, by the setting ``external.protocol``."""
NO_CREDENTIAL = "make it and tell the broker: healthsync broker provision mosquitto, or: healthsync broker credentials"
"""What to do where a bridge or the gateway has no credential."""


def external_tls(external: ExternalSettings) -> ssl.SSLContext | None:
    """The bridge's TLS, with its own certificate where there is one. ConfigError for unreadable files.

    None only for a broker on this machine; ConfigError where it would be spoken to in the clear over a network.
    """
    if not external.tls:
        if external.host not in THIS_MACHINE:
            raise ConfigError("external.tls = false is for this machine only", hint="set external.tls = true")
        return None
    context = tls_context(external.ca_file)
    if external.cert_file is not None:
        try:
            context.load_cert_chain(external.cert_file, external.key_file)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"the certificate {external.cert_file} cannot be used: {error.__class__.__name__}",
                hint="set external.cert_file and external.key_file to a pair that belongs together",
            ) from None
    return context


def external_address(settings: Settings) -> Address:
    """The broker for small conversations. A canary has no certificate: it must be turned away or logged in without."""
    external = settings.external
    return Address(host=external.host, port=external.port, tls=external_tls(external))


def external_target(settings: Settings, store: CredentialStore, version: int, will: LastWill) -> Target:
    """The bridge's own connection. NotFoundError without a credential."""
    external = settings.external
    client_id = bridge_client_id(settings.bridge.id)
    return Target(
        address=Address(host=external.host, port=external.port, tls=external_tls(external), timeout=10.0),
        account=ClientLogin(client_id=client_id, username=client_id, password=store.need(client_id, NO_CREDENTIAL)),
        version=version,
        will=Will(will.topic, will.payload, 1, retain=True),
        keep_alive=external.keep_alive_s,
        receive_maximum=external.receive_maximum,
        max_packet=settings.limits.max_packet + 1_024,
        longest=MAX_PACKET,  # else the broker drops what is longer, and nobody hears of it
        session_expiry_s=external.session_expiry_s,
    )


def gateway_target(settings: Settings, store: CredentialStore, name: str, version: int) -> Target:
    """The connection of the gateway of that client id. NotFoundError without a credential."""
    external = settings.external
    return Target(
        address=Address(host=external.host, port=external.port, tls=external_tls(external), timeout=10.0),
        account=ClientLogin(client_id=name, username=name, password=store.need(name, NO_CREDENTIAL)),
        version=version,
        clean=True,
        keep_alive=external.keep_alive_s,
        in_flight=settings.gateway.in_flight,
    )


def expect_all_here(settings: Settings, shard: str = "") -> None:
    """ConfigError where a gateway would not find every user, log and key in its data directory.

    ``shard`` is the part of the users that its bridge works for, where the command said so.
    """
    external = settings.external
    if (shard or external.shard) and not settings.storage.shared:
        raise ConfigError(
            "the bridge here works for a part of the users: of all others a gateway would find nothing",
            hint="let all bridges write one log on PostgreSQL (storage.shared = true), or run one bridge for all users",
        )
    registry, own = external.registry_file, settings.paths.registry_db
    if registry is not None and registry.absolute() != own.absolute():
        raise ConfigError(
            f"this data directory has a registry elsewhere ({registry}), and a gateway needs the keys beside it",
            hint=f"run the gateway on the installation's data directory: --data {registry.parent}",
        )


def subscriptions(topics: TopicRegistry, external: ExternalSettings, *, one_log: bool) -> list[str]:
    """The bridge's filters, as one of a group where it shares all messages.

    ConfigError for a group whose members do not write ``one_log``.
    """
    filters = list(topics.bridge_filters())
    if not external.share:
        return filters
    if not one_log:
        raise ConfigError(
            "bridges cannot share all messages while each has a log of its own: an event would be stored twice, a "
            "correction undone, a deleted event brought back",
            hint="give each bridge a part of the users instead: healthsync bridge run --shard 1/2, and --shard 2/2; or "
            "all of them one log on PostgreSQL: storage.shared = true",
        )
    return [f"$share/{external.share}/{name}" for name in filters]
