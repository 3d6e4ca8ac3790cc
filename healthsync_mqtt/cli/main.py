"""``healthsync``: the commands, noun by noun."""

import os
import sys
from collections.abc import Iterable, Sequence
from importlib import import_module
from typing import Annotated, Any, Final

import typer

from healthsync_mqtt import __version__
from healthsync_mqtt.cli import output
from healthsync_mqtt.cli.group import HealthSyncGroup
from healthsync_mqtt.cli.passphrase import asked_at_terminal
from healthsync_mqtt.config.secrets import ask_by
from healthsync_mqtt.telemetry.parent import UNHURRIED, give_way

COMMANDS: Final = {
    "up": "up.up",
    "status": "status.status",
    "user": "user.app",
    "consent": "consent.app",
    "device": "device.app",
    "app": "app.app",
    "subscriber": "subscriber.app",
    "webhook": "webhook.app",
    "admin": "admin.app",
    "client": "client.app",
    "token": "token.app",
    "key": "key.app",
    "cert": "cert.app",
    "events": "events.app",
    "rejected": "rejected.app",
    "summary": "summary.summary",
    "source": "source.app",
    "insight": "insight.app",
    "storage": "storage.app",
    "backup": "backup.app",
    "restore": "backup.restore",
    "config": "config.app",
    "sink": "sink.app",
    "homeassistant": "homeassistant.app",
    "topic": "topic.app",
    "type": "types.app",
    "format": "formats.app",
    "adapter": "adapter.app",
    "ble": "ble.app",
    "bridge": "bridge.app",
    "gateway": "gateway.app",
    "mcp": "mcp.mcp",
    "broker": "broker.app",
    "auth": "auth.app",
    "audit": "audit.app",
    "trace": "trace.trace",
    "publish": "publish.publish",
    "import": "imports.import_",
    "replay": "replay.replay",
    "sample": "sample.sample",
    "simulate": "simulate.simulate",
    "doctor": "doctor.command.doctor",
    "version": "version.version",
}
"""Where each command is: a module of this package, and its group of verbs or its function. In the order of the help."""

_UNHURRIED: Final = frozenset({("backup", "create"), ("backup", "verify")})
"""Commands that give way to a service beside them, from before they are imported."""

_READ_BY: Final = {"publish": "BareWait"}
"""Commands whose lines are read in a way of their own: the class in their module."""


def _print_version(asked: bool) -> None:
    if asked:
        output.facts([("healthsync", __version__)])
        raise typer.Exit


def healthsync(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Health data over MQTT: durable, de-duplicated, isolated per user.

    Example: healthsync up --demo
    """


def program(names: Iterable[str] = COMMANDS) -> typer.Typer:
    """The program with these of its commands; only what they need is imported."""
    made = typer.Typer(
        cls=HealthSyncGroup,
        no_args_is_help=True,
        pretty_exceptions_show_locals=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    made.callback()(healthsync)
    for name in names:
        place, _, attribute = COMMANDS[name].rpartition(".")
        module = import_module(f"healthsync_mqtt.cli.{place}")
        found = getattr(module, attribute)
        if isinstance(found, typer.Typer):
            made.add_typer(found, name=name)
        else:
            made.command(name, cls=getattr(module, _READ_BY.get(name, ""), None))(found)
    return made


def needed(words: Sequence[str]) -> Iterable[str]:
    """The commands that a line needs: the one that it begins with, and all of them where it may be about any."""
    return words[:1] if words and words[0] in COMMANDS else COMMANDS


def completed(line: str) -> Sequence[str]:
    """The words of a line that a shell completes, but for the program and the last one, which may not be whole."""
    return f"{line}.".split()[1:-1]


def __getattr__(name: str) -> Any:
    if name != "app":
        raise AttributeError(name)
    return program()


def main() -> None:
    """The console script."""
    output.for_any_locale()
    ask_by(asked_at_terminal)
    line = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS") or ""
    completing = "_HEALTHSYNC_COMPLETE" in os.environ
    words = completed(line) if completing else sys.argv[1:]
    if tuple(words[:2]) in _UNHURRIED and not completing:
        give_way(UNHURRIED)
    try:
        program(needed(words))(prog_name="healthsync")
    finally:
        output.end()
