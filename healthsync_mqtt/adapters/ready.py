"""Which adapters can be fetched: those with an API, at the addresses and as the client that the settings say."""

import dataclasses
from pathlib import Path

from healthsync_mqtt.adapters.catalogue import known
from healthsync_mqtt.adapters.cloud import Cloud, CloudClient
from healthsync_mqtt.adapters.port import Adapter
from healthsync_mqtt.adapters.web import check_url
from healthsync_mqtt.adapters.worker import ReadyAdapter
from healthsync_mqtt.config.private_files import read_private
from healthsync_mqtt.config.sections import ProviderSettings
from healthsync_mqtt.config.settings import Settings
from healthsync_mqtt.errors import ConfigError, UnavailableError

FOLDER = "adapters"


def ready(settings: Settings, adapter: Adapter) -> ReadyAdapter:
    """One adapter. UnavailableError for one that has ended or has no API here; ConfigError for what is not set."""
    capability, said = adapter.capability, settings.adapters.get(adapter.name, ProviderSettings())
    if adapter.cloud is None:
        reason = capability.reason or f"{capability.title} cannot be linked"
        raise UnavailableError(reason, hint=capability.hint)
    if not said.client_id:
        raise ConfigError(
            f"adapters.{adapter.name}.client_id is not set",
            hint=f"register an app at {capability.title}; its client_id and client_secret go into healthsync.toml",
        )
    secret = said.client_secret.get_secret_value()
    if said.client_secret_file is not None:
        secret = read_private(said.client_secret_file).decode("utf-8", "replace").strip()
    return ReadyAdapter(adapter, _settled(adapter.cloud, said), CloudClient(said.client_id, secret), said.poll_s)


def all_ready(settings: Settings, data: Path) -> dict[str, ReadyAdapter]:
    """All that can be; what cannot is asked for by name when it is linked."""
    found = {}
    for name, adapter in known(data / FOLDER).adapters.items():
        try:
            found[name] = ready(settings, adapter)
        except (UnavailableError, ConfigError):
            continue
    return found


def _settled(cloud: Cloud, said: ProviderSettings) -> Cloud:
    return dataclasses.replace(
        cloud,
        base_url=check_url(said.base_url or cloud.base_url),
        auth_url=check_url(said.auth_url or cloud.auth_url),
        token_url=check_url(said.token_url or cloud.token_url),
    )
