"""Which adapters can be fetched: those with an API, at the addresses and as the client that the settings say."""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from healthsync_mqtt.adapters.catalogue import known
from healthsync_mqtt.adapters.cloud import Cloud, CloudClient
from healthsync_mqtt.adapters.notices import CloudNotices, HookOwner, HookPlace
from healthsync_mqtt.adapters.port import Adapter
from healthsync_mqtt.adapters.service_account import ServiceAccount, account_token, service_account
from healthsync_mqtt.adapters.web import check_url
from healthsync_mqtt.cloud_links.inbox import HookSecrets
from healthsync_mqtt.config.private_files import read_private
from healthsync_mqtt.config.sections import ProviderSettings
from healthsync_mqtt.config.settings import Settings, load_settings
from healthsync_mqtt.errors import ConfigError, HealthSyncError, UnavailableError
from healthsync_mqtt.telemetry.log import get_logger

log = get_logger("adapters")

FOLDER = "adapters"
HOOKS: Final = "/v1/hooks"
"""Where the gateway takes what providers send."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HookSettings:
    """What the settings say of a provider's webhooks. ``public_url`` is nothing where nobody outside reaches us."""

    public_url: str = ""
    secret: str = dataclasses.field(default="", repr=False)
    signed: bool = True
    keys_url: str = ""
    #: who acts for the app's project
    account: ServiceAccount | None = dataclasses.field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class ReadyAdapter:
    """An adapter that can be fetched: what it is, where it is asked, and as whom."""

    adapter: Adapter
    cloud: Cloud
    client: CloudClient
    poll_s: float = 900.0
    hooks: HookSettings = HookSettings()

    @property
    def notices(self) -> CloudNotices | None:
        """How it tells us of news; None: it does not."""
        return self.cloud.notices

    def owner(self, known_by: HookSecrets) -> HookOwner:
        """Who we are to it. What the settings say goes before what was made here."""
        if self.hooks.secret:
            known_by = known_by._replace(word=self.hooks.secret, signing=self.hooks.secret)
        return HookOwner(self.client.id, self.client.secret, known_by, self.hooks.signed)

    def hook_url(self, known_by: HookSecrets) -> str:
        """Where it is to send; "" where nobody outside reaches us."""
        if not self.hooks.public_url or self.notices is None:
            return ""
        url = f"{self.hooks.public_url}{HOOKS}/{self.adapter.name}"
        return f"{url}/{self.owner(known_by).known.word}" if self.notices.secret_path else url

    def hook_place(self, known_by: HookSecrets, now_us: int, access: str = "") -> HookPlace:
        """What it is told, and where."""
        assert self.notices is not None
        keys_url = self.hooks.keys_url or self.notices.keys_url
        base_url = self.cloud.base_url.rstrip("/")
        app = None
        if (account := self.hooks.account) is not None:
            app = partial(account_token, account, now_us=now_us)
        return HookPlace(self.hook_url(known_by), base_url, self.owner(known_by), now_us, keys_url, access, app)

    @property
    def by_hand(self) -> bool:
        """Whether a person has to say at the provider where it is to send."""
        notices = self.notices
        if notices is None:
            return False
        asks = notices.subscribe is not None or notices.subscribe_user is not None
        return not asks or (notices.by_app and self.hooks.account is None)


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
    hooks = HookSettings(
        public_url=settings.gateway.public_url,
        secret=said.webhook_secret.get_secret_value(),
        signed=said.webhook_signed,
        keys_url=check_url(said.keys_url) if said.keys_url else "",
        account=_account_in(said.service_account_file),
    )
    client = CloudClient(said.client_id, secret)
    return ReadyAdapter(adapter, _settled(adapter.cloud, said), client, said.poll_s, hooks)


def all_ready(settings: Settings, data: Path) -> dict[str, ReadyAdapter]:
    """All that can be; what cannot is asked for by name when it is linked."""
    found = {}
    for name, adapter in known(data / FOLDER).adapters.items():
        try:
            found[name] = ready(settings, adapter)
        except (UnavailableError, ConfigError):
            continue
    return found


class LiveReady:
    """The same as the settings say now: they are read again when their file has changed, or one that they name.

    Settings that cannot be read leave what was there before.
    """

    def __init__(self, data: Path) -> None:
        """ConfigError where they cannot be read at the start."""
        self._data = data
        #: the files that the settings name: secrets are changed there, too
        self._named: tuple[Path, ...] = ()
        self._mark = self._marks()
        self._found = self._read()

    def now(self) -> Mapping[str, ReadyAdapter]:
        """All that are ready; the same object until something is different."""
        mark = self._marks()
        if mark != self._mark:
            self._mark = mark
            try:
                self._found = self._read()
            except HealthSyncError as error:
                log.warning("adapters.settings_not_read", error=error)
        return self._found

    def _read(self) -> dict[str, ReadyAdapter]:
        settings = load_settings(self._data)
        named = _files_of(settings)
        if named != self._named:
            # Marks of before what they mark is read: a change in between is another mark at the next look.
            self._named = named
            self._mark = (*self._mark[:1], _marks(named))
        return all_ready(settings, self._data)

    def _marks(self) -> tuple[object, ...]:
        """What is another when the settings are, or a file that they name, or a module is dropped in."""
        own = (self._data / "healthsync.toml", *sorted((self._data / FOLDER).glob("*.py")))
        return _marks(own), _marks(self._named)


def _marks(files: Iterable[Path]) -> tuple[object, ...]:
    found = []
    for file in files:
        try:
            about = file.stat()
        except OSError:
            continue
        # Whose a private file is and who may read it decides whether it is read.
        found.append((file, about.st_ino, about.st_mtime_ns, about.st_size, about.st_mode, about.st_uid))
    return tuple(found)


def _files_of(settings: Settings) -> tuple[Path, ...]:
    """Where the secrets of providers lie."""
    said = settings.adapters.values()
    return tuple(file for each in said for file in (each.client_secret_file, each.service_account_file) if file)


def _account_in(file: Path | None) -> ServiceAccount | None:
    return None if file is None else service_account(read_private(file), str(file))


def _settled(cloud: Cloud, said: ProviderSettings) -> Cloud:
    return dataclasses.replace(
        cloud,
        base_url=check_url(said.base_url or cloud.base_url),
        auth_url=check_url(said.auth_url or cloud.auth_url),
        token_url=check_url(said.token_url or cloud.token_url),
    )
