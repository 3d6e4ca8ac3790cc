"""Settings: option > environment > ``healthsync.toml`` in the data directory > default.

A variable is ``HEALTHSYNC_BROKER__MQTT_PORT``: prefix, section, two underscores, key. A name without a section that is
no setting (``HEALTHSYNC_TOKEN``) belongs to other programs and is left alone.

Errors name the key and where it was set, and never repeat the value.
"""

import ast
import functools
import inspect
import os
import textwrap
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, Self

from pydantic import BaseModel, PrivateAttr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from healthsync_mqtt.config.holder_settings import HolderName, HolderSettings
from healthsync_mqtt.config.insight_sections import InsightSettings
from healthsync_mqtt.config.names import did_you_mean
from healthsync_mqtt.config.paths import DataPaths
from healthsync_mqtt.config.sections import (
    BackupSettings,
    BridgeSettings,
    BrokerSettings,
    EventSettings,
    ExternalSettings,
    GatewaySettings,
    LimitSettings,
    LogSettings,
    MetricsSettings,
    ProviderSettings,
    QuarantineSettings,
    RegistrySettings,
    RetentionSettings,
    StorageSettings,
    TokenSettings,
    TracingSettings,
)
from healthsync_mqtt.errors import ConfigError

ENV_PREFIX: Final = "HEALTHSYNC_"
_NESTED = "__"
_DEFAULT = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One setting as ``config show`` prints it; ``origin`` is an option, a variable, a file or "default"."""

    key: str
    value: Any
    origin: str
    summary: str


class Settings(BaseSettings):
    """All settings, validated and fixed. Made by ``load_settings``; built directly it takes only what it is given."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter=_NESTED,
        extra="forbid",
        frozen=True,
        defer_build=True,
        hide_input_in_errors=True,
        validate_default=True,
    )

    data: Path = Path("data")
    """The data directory: the whole state of an installation."""
    topics_file: Path | None = None
    """A topics.yaml in place of the packaged one; in healthsync.toml relative to the data directory."""
    broker: BrokerSettings = BrokerSettings()
    limits: LimitSettings = LimitSettings()
    events: EventSettings = EventSettings()
    log: LogSettings = LogSettings()
    token: TokenSettings = TokenSettings()
    bridge: BridgeSettings = BridgeSettings()
    metrics: MetricsSettings = MetricsSettings()
    tracing: TracingSettings = TracingSettings()
    gateway: GatewaySettings = GatewaySettings()
    adapters: dict[str, ProviderSettings] = {}
    """By the name of an adapter: its client_id, client_secret or client_secret_file, poll_s; webhook_secret,
    webhook_signed and service_account_file; and base_url, auth_url, token_url and keys_url where the provider is
    somewhere else."""
    keys: dict[HolderName, HolderSettings] = {}
    """Services that may hold the outer key: ``vault``, ``aws``, ``google``, ``azure``, each with what it needs of url,
    key, ca_file, mount, namespace, token_file, region, credentials_file, tenant, client_id, client_secret_file and
    login_url. Which of them holds it says `healthsync key rewrap --provider`."""
    insights: InsightSettings = InsightSettings()
    external: ExternalSettings = ExternalSettings()
    retention: RetentionSettings = RetentionSettings()
    quarantine: QuarantineSettings = QuarantineSettings()
    backup: BackupSettings = BackupSettings()
    registry: RegistrySettings = RegistrySettings()
    storage: StorageSettings = StorageSettings()

    @model_validator(mode="after")
    def _registry_fits(self) -> Self:
        if self.registry.url and not self.storage.url:
            raise ValueError("registry.url goes with storage.url: a person is erased from one log")
        if not self.registry.home and not self.storage.shared:
            raise ValueError("registry.home = false goes with storage.shared: else nobody erases from this log")
        if self.registry.url and self.external.registry_file is not None:
            raise ValueError("external.registry_file is for a registry in a file, and registry.url names a server")
        return self

    _origins: dict[str, str] = PrivateAttr(default_factory=dict)

    @property
    def paths(self) -> DataPaths:
        """The files of the data directory."""
        return DataPaths(root=self.data)

    def describe(self) -> list[Setting]:
        """Every setting with its value and where it comes from, in the order they are declared."""
        return [
            Setting(
                key=key,
                value=value,
                origin=self._origins.get(key, _DEFAULT),
                summary=_summaries(section).get(key.rpartition(".")[2], ""),
            )
            for key, value, section in _leaves(self, "")
        ]

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - the signature is pydantic's
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is passed in: ``load_settings`` merges the sources, so that it can tell where a value is from."""
        return (init_settings,)


def load_settings(data: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """The settings for a data directory (``HEALTHSYNC_DATA``, else ``data``); ConfigError names key, place and fix.

    ``overrides`` are the options of a command by dotted key, ``{"broker.mqtt_port": 0}``; None means not given.
    """
    options = _nested({key: value for key, value in (overrides or {}).items() if value is not None})
    if data is not None:
        options["data"] = data
    environment = _environment()
    root = Path(options.get("data") or environment.get("data") or Settings.model_fields["data"].default)
    root = root.expanduser().absolute()
    file = DataPaths(root=root).config_file
    written = _read_toml(file)
    if "data" in written:
        raise ConfigError(
            f"{file}: data cannot be set in the file that lies in it", hint="use --data or HEALTHSYNC_DATA"
        )
    if isinstance(written.get("topics_file"), str):
        written["topics_file"] = root / written["topics_file"]
    sources = (("option", options), ("environment", environment), (str(file), written))
    merged: dict[str, Any] = {}
    for _, source in reversed(sources):
        merged = _merge(merged, source)
    merged["data"] = root
    try:
        settings = Settings(**merged)
    except ValidationError as error:
        raise _config_error(error, sources) from None
    for key, _, _ in _leaves(settings, ""):
        settings._origins[key] = _origin(tuple(key.split(".")), sources)  # noqa: SLF001 - of the same module
    return settings


_Sources = tuple[tuple[str, dict[str, Any]], ...]


def _environment() -> dict[str, Any]:
    for name in os.environ:
        section, nested, _ = name.upper().removeprefix(ENV_PREFIX).partition(_NESTED)
        if name.upper().startswith(ENV_PREFIX) and nested and section.lower() not in Settings.model_fields:
            meant = did_you_mean(section.lower(), Settings.model_fields)
            raise ConfigError(
                f"{name}: there is no section {section.lower()}", hint=f"{meant}unset {name}, or correct its name"
            )
    try:
        source = EnvSettingsSource(Settings)
        source.env_vars = {name: text for name, text in source.env_vars.items() if _is_setting(name)}
        return dict(source())
    except SettingsError as error:
        raise ConfigError(f"the environment cannot be read: {error}", hint="write lists and tables as JSON") from None


def _is_setting(name: str) -> bool:
    section, nested, _ = name.upper().removeprefix(ENV_PREFIX).lower().partition(_NESTED)
    field = Settings.model_fields.get(section)
    return field is not None and (bool(nested) or not isinstance(field.default, BaseModel))


def _read_toml(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (ValueError, RecursionError) as error:  # tomllib has limits of its own for numbers and nesting
        match error:
            case tomllib.TOMLDecodeError():
                place = str(error).rpartition("(")[2].rstrip(")")
            case UnicodeDecodeError():
                place = "not UTF-8"
            case _:
                place = "a number is too long, or nested too deeply"
        raise ConfigError(f"{file} is not TOML: {place}", hint="correct the line; texts stand in quotes") from None
    except OSError as error:
        hint = f"chmod 600 {file}" if isinstance(error, PermissionError) else "look at the path, or move it away"
        raise ConfigError(f"{file} cannot be read: {error.strerror}", hint=hint) from error


def _config_error(error: ValidationError, sources: _Sources) -> ConfigError:
    problems = []
    hint = "correct the value, or remove it for the default"
    for problem in error.errors(include_input=False, include_context=False, include_url=False):
        path = tuple(str(part) for part in problem["loc"])
        key = ".".join(path)
        origin = _origin(path, sources)
        if not path:  # about several settings, which its words name
            problems.append(problem["msg"].removeprefix("Value error, "))
        elif problem["type"] == "extra_forbidden":
            problems.append(f"{origin}: there is no setting {key}")
            hint = f"{did_you_mean(key, _keys(Settings, ''))}remove {key}, or correct its name"
        else:
            problems.append(f"{origin}: {key}: {problem['msg'].removeprefix('Value error, ')}")
    return ConfigError("; ".join(problems), hint=hint)


def _origin(path: tuple[str, ...], sources: _Sources) -> str:
    for name, source in sources:
        for length in range(len(path), 0, -1):  # a path may lead into a list, which was set as a whole
            if _holds(source, path[:length]):
                return ENV_PREFIX + _NESTED.join(path[:length]).upper() if name == "environment" else name
            if length > 1 and _is_table(source, path[: length - 1]):
                break
    return _DEFAULT


def _holds(source: Mapping[str, Any], path: tuple[str, ...]) -> bool:
    value: Any = source
    for part in path:
        if not isinstance(value, Mapping) or part not in value:
            return False
        value = value[part]
    return True


def _is_table(source: Mapping[str, Any], path: tuple[str, ...]) -> bool:
    value: Any = source
    for part in path:
        value = value.get(part) if isinstance(value, Mapping) else None
    return isinstance(value, Mapping)


def _nested(options: Mapping[str, Any]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, value in options.items():
        *sections, last = key.split(".")
        table = tree
        for section in sections:
            table = table.setdefault(section, {})
        table[last] = value
    return tree


def _merge(lower: Mapping[str, Any], higher: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(lower)
    for key, value in higher.items():
        below = merged.get(key)
        merged[key] = _merge(below, value) if isinstance(below, Mapping) and isinstance(value, Mapping) else value
    return merged


def _keys(model: type[BaseModel], prefix: str) -> Iterator[str]:
    """The dotted keys of all settings, and of the sections."""
    for name, field in model.model_fields.items():
        yield f"{prefix}{name}"
        if isinstance(field.default, BaseModel):
            yield from _keys(type(field.default), f"{prefix}{name}.")


def _leaves(model: BaseModel, prefix: str) -> Iterator[tuple[str, Any, type[BaseModel]]]:
    """Each setting: its dotted key, its value, and the section that it is a field of."""
    for name in type(model).model_fields:
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value, type(model)


@functools.cache
def _summaries(model: type[BaseModel]) -> dict[str, str]:
    """What stands below each field, read when it is asked for.

    pydantic would read it whenever a class is made, and every command makes these: it took a tenth of its time.
    """
    found: dict[str, str] = {}
    for each in reversed(model.__mro__[: model.__mro__.index(BaseModel)]):
        if not each.__module__.startswith(__package__):
            continue
        (tree,) = ast.parse(textwrap.dedent(inspect.getsource(each))).body
        assert isinstance(tree, ast.ClassDef), each
        for field, below in pairwise(tree.body):
            match field, below:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                    found[name] = inspect.cleandoc(text)
    return found
