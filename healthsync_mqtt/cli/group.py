"""The Typer group of all commands: turns errors into words, a fix and an exit code."""

from typing import Any, Final

import typer
from typer.core import TyperGroup

from healthsync_mqtt.cli import output
from healthsync_mqtt.cli.options import directory
from healthsync_mqtt.errors import HealthSyncError, InputError, UnknownNameError, UsageError

_COMMAND: Final = "healthsync.command"


class NamingGroup(TyperGroup):
    """A group that writes down which of its commands is run."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        found = super().resolve_command(ctx, args)
        ctx.meta[_COMMAND] = f"{ctx.meta.get(_COMMAND, '')} {found[0]}".strip()
        return found


class HealthSyncGroup(NamingGroup):
    """The root group; ``--json`` anywhere on the line makes errors JSON too."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.meta["healthsync.json"] = "--json" in args
        parsed: list[str] = super().parse_args(ctx, args)
        return parsed

    def invoke(self, ctx: Any) -> Any:
        as_json = bool(ctx.meta.get("healthsync.json"))
        try:
            return super().invoke(ctx)
        except HealthSyncError as error:
            if isinstance(error, UnknownNameError):
                from healthsync_mqtt.cli import known_names

                error.hint = known_names.advice(error, directory.get(), ctx.meta.get(_COMMAND, ""))
            output.failure(error, as_json=as_json)
            raise typer.Exit(error.exit_code) from None
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError) as error:
            if error.filename is None:
                raise
            told = InputError(f"{error.filename}: {error.strerror}", hint="look at the path, its owner and its mode")
            output.failure(told, as_json=as_json)
            raise typer.Exit(told.exit_code) from None
        except Exception as error:
            # Typer's own usage errors know how to say themselves; its class for them is private.
            message = getattr(error, "format_message", None)
            if not as_json or message is None:
                raise
            usage = UsageError(message(), hint=f"see: {ctx.command_path} --help")
            output.failure(usage, as_json=True)
            raise typer.Exit(usage.exit_code) from None


def new_group(help_text: str) -> typer.Typer:
    """A noun's group of verbs."""
    return typer.Typer(
        cls=NamingGroup,
        help=help_text,
        no_args_is_help=True,
        pretty_exceptions_show_locals=False,
        rich_markup_mode=None,
    )
