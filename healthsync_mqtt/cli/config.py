"""healthsync config …"""

from pathlib import Path
from typing import Any

import typer

from healthsync_mqtt.cli import output
from healthsync_mqtt.cli.group import new_group
from healthsync_mqtt.cli.options import DATA, Data, Json
from healthsync_mqtt.cli.spelling import here
from healthsync_mqtt.config.names import unknown_variables
from healthsync_mqtt.config.settings import ENV_PREFIX, Setting, Settings, load_settings

app = new_group("Settings: what they are and where they come from.")

_SECRET = ("password", "secret", "token", "passphrase")
_HIDDEN = "(hidden)"


@app.command("show")
def show(data: Data = DATA, json: Json = False) -> None:
    """Show every setting, its value, and where it was set: an option, a variable, the file, or the default.

    Example: healthsync config show
    """
    settings = _settings(data)
    output.listing(
        map(_described, settings.describe()),
        {"setting": "SETTING", "value": "VALUE", "origin": "FROM"},
        as_json=json,
    )
    _say_unknown(_unknown(settings))


@app.command("check")
def check(data: Data = DATA, json: Json = False) -> None:
    """Check the settings without a service. Exit code 1 if one is wrong, or a variable looks like a misspelt one.

    Example: healthsync config check
    """
    settings = _settings(data)
    described = settings.describe()
    unknown = _unknown(settings)
    set_here = sum(each.origin != "default" for each in described)
    if json:
        found = [{"variable": name, "nearest": near} for name, near in unknown]
        output.emit({"valid": True, "set": set_here, "unknown_variables": found})
    else:
        output.facts(
            [("settings", "valid"), ("set", f"{set_here} of {len(described)}; the others have their defaults")]
        )
        _say_unknown(unknown)
    if any(near for _, near in unknown):
        raise typer.Exit(1)


def _settings(data: Path) -> Settings:
    """Those of the directory, whose own origin is an option only where somebody typed one."""
    return load_settings(data if here.get().data else None)


def _unknown(settings: Settings) -> list[tuple[str, str | None]]:
    names = [ENV_PREFIX + each.key.upper().replace(".", "__") for each in settings.describe()]
    return unknown_variables(ENV_PREFIX, names)


def _say_unknown(unknown: list[tuple[str, str | None]]) -> None:
    for name, near in unknown:
        meant = f"did you mean {near}?" if near else "it means nothing to this program"
        output.say(f"unknown variable {name}: {meant}")


def _described(setting: Setting) -> dict[str, Any]:
    hidden = setting.value is not None and setting.key.rpartition(".")[2].endswith(_SECRET)
    value = setting.value if isinstance(setting.value, bool | int | float | None) else _text(setting.value)
    return {
        "setting": setting.key,
        "value": _HIDDEN if hidden else value,
        "origin": setting.origin,
        "summary": setting.summary,
    }


def _text(value: object) -> object:
    return [str(each) for each in value] if isinstance(value, tuple | list | frozenset) else str(value)
