"""What commands print: data on stdout, talk on stderr; JSON lines when asked, tables only on a terminal."""

import contextlib
import io
import os
import re
import shlex
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from typing import IO, Any, Final

import msgspec
import typer
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from healthsync_mqtt.cli.spelling import spelled
from healthsync_mqtt.errors import HealthSyncError, UsageError
from healthsync_mqtt.model.text import ascii_json, escaped, escaped_json

_pages: ContextVar[IO[str] | None] = ContextVar("pages", default=None)
"""Where a pager reads, while there is one."""
_encode = msgspec.json.Encoder().encode
_MICROSECONDS = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.\d{6}Z")


def emit(value: Mapping[str, Any]) -> None:
    """One JSON object on its own line of stdout; a fix is one that works here."""
    emit_json(_encode(_fixed(value)))


def emit_json(line: bytes) -> None:
    """One line that is JSON already."""
    text = escaped_json(line.decode())
    sys.stdout.write((text if _takes_unicode() else ascii_json(text)) + "\n")


def for_any_locale() -> None:
    """Let both streams take every text: what their encoding has no letter for is written as an escape."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _takes_unicode() -> bool:
    return (sys.stdout.encoding or "ascii").lower().replace("-", "") in {"utf8", "utf16", "utf32"}


def told(value: Mapping[str, Any], words: str, *, as_json: bool) -> None:
    """What a command did: as an object for programs, in words on stderr for people."""
    if as_json:
        emit(value)
    else:
        say(words)


def flush() -> None:
    """Hand what was printed to the reader of a pipe now."""
    (_pages.get() or sys.stdout).flush()


def end() -> None:
    """Hand over what is left of both streams. Whoever reads them no more, as `grep -q` does, has seen enough."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            # Else the interpreter tries once more, and says so.
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def say(text: str) -> None:
    """Something for the person at the terminal, on stderr; commands in it as they are typed here."""
    sys.stderr.write(escaped(spelled(text), keep="\n\t") + "\n")


def secret_follows(instead: str) -> None:
    """A secret is about to be printed: say so when stdout is a file that other accounts may read."""
    try:
        kind = os.fstat(sys.stdout.fileno())
    except (OSError, ValueError):
        return
    if stat.S_ISREG(kind.st_mode) and kind.st_mode & 0o077:
        say(f"WARNING: other accounts may read the file that this secret goes to: chmod 600 it, or use {instead}")


def on_terminal() -> bool:
    """Whether stdout is a terminal that can show more than lines."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def can_ask() -> bool:
    """Whether there is a person to ask."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def agree(question: str, *, yes: bool) -> None:
    """Ask a person whether to go on, and end the command if not. Where nobody can be asked, or ``yes``, go on."""
    if not yes and can_ask() and not typer.confirm(escaped(question), err=True):
        raise typer.Exit(1)


def must_agree(question: str, fix: str, *, yes: bool, as_json: bool) -> None:
    """Ask a person whether to take something away. Where nobody can be asked it has to be said: UsageError."""
    if yes:
        return
    if as_json or not can_ask():
        raise UsageError(question, hint=fix)
    if not typer.confirm(escaped(question), err=True):
        raise typer.Exit(1)


def console(*, stderr: bool = False) -> Console:
    """A rich console; it honours NO_COLOR and TERM=dumb itself."""
    return Console(stderr=stderr, highlight=False, soft_wrap=True)


def time(text: str) -> str:
    """A time for people: without its microseconds."""
    return _MICROSECONDS.sub(r"\1Z", text)


def _cell(value: object) -> str:
    """A value in a table: times without their microseconds."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else time(escaped(str(value)))


def _in_pipe(heading: str, value: object) -> object:
    """A value of a column whose heading is not printed: yes and no would say nothing there."""
    word = heading.lower()
    return value if not isinstance(value, bool) else word if value else f"not {word}"


_FOLDED: Final = 24
"""The least width that a folded column has."""
_BETWEEN: Final = 2
"""The blanks between two columns."""


def table(columns: Sequence[str], rows: Iterable[Sequence[object]], *, empty: str = "", paged: bool = False) -> None:
    """Rows for people: a table on a terminal, tab-separated lines in a pipe. ``empty`` is said when there are none.

    What is true or not is yes or no; in a pipe, where no headings are, the word of its column: ``suspended``.

    ``paged``: more rows than the terminal has lines go through the pager ($PAGER, else less or more).
    """
    if not on_terminal():
        rows = [[_in_pipe(column, cell) for column, cell in zip(columns, row, strict=True)] for row in rows]
    listed = [[_cell(cell) for cell in row] for row in rows]
    if not listed:
        if empty:
            say(empty)
        return
    if not on_terminal():
        for row in listed:
            sys.stdout.write("\t".join(row) + "\n")
        return
    screen = console()
    shown = _laid_out(columns, listed, screen.width)
    pages = _pages.get()
    if pages is not None:
        pages.write(_drawn(shown))  # a pager that was left is an error here, and not rich's end of the program
    elif paged and can_ask() and _height(shown) > screen.height:
        with screen.pager():
            screen.print(shown)
    else:
        screen.print(shown)


def _laid_out(columns: Sequence[str], rows: list[list[str]], width: int) -> Table:
    """A row a line, of which the widest column alone may be folded; where that is not enough, a value a line."""
    widths = [
        max(cell_len(column), *map(cell_len, cells))
        for column, cells in zip(columns, zip(*rows, strict=True), strict=True)
    ]
    widest = widths.index(max(widths))
    if sum(widths) - widths[widest] + min(widths[widest], _FOLDED) + _BETWEEN * (len(widths) - 1) <= width:
        shown = Table(box=None, pad_edge=False, header_style="bold")
        for number, column in enumerate(columns):
            shown.add_column(column, overflow="fold", no_wrap=number != widest)
        for row in rows:
            shown.add_row(*(Text(cell) for cell in row))
        return shown
    shown = Table(box=None, pad_edge=False, show_header=False)
    shown.add_column(style="bold", no_wrap=True)
    shown.add_column(overflow="fold")
    for number, row in enumerate(rows):
        if number:
            shown.add_row("", "")
        for column, cell in zip(columns, row, strict=True):
            if cell:
                shown.add_row(column, Text(cell))
    return shown


def _drawn(shown: Table) -> str:
    screen = console()
    with screen.capture() as drawn:
        screen.print(shown)
    return drawn.get()


def _height(shown: Table) -> int:
    """The lines that it takes on this terminal, the prompt's included; a long line takes several."""
    width = console().width
    return 1 + sum(-(-max(1, cell_len(line)) // width) for line in Text.from_ansi(_drawn(shown)).plain.split("\n"))


@contextlib.contextmanager
def through_pager(*, as_json: bool) -> Iterator[None]:
    """On a terminal with a person, tables inside go to the pager as they come ($PAGER, else less or more).

    Less stays out of the way of what fits the screen. Who leaves the pager has seen enough: the rest is not printed.
    """
    command = _pager() if on_terminal() and can_ask() and not as_json else None
    if command is None:
        yield
        return
    flush()
    environment = {"LESS": "FRX"} | os.environ
    with subprocess.Popen(  # noqa: S603  # the person's own choice
        command, stdin=subprocess.PIPE, text=True, errors="backslashreplace", env=environment
    ) as pager:
        before = signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the pager's
        token = _pages.set(pager.stdin)
        try:
            yield
        except BrokenPipeError:
            pass
        finally:
            _pages.reset(token)
            with contextlib.suppress(BrokenPipeError):
                assert pager.stdin is not None
                pager.stdin.close()
            pager.wait()
            signal.signal(signal.SIGINT, before)


def _pager() -> list[str] | None:
    found = shlex.split(os.environ.get("PAGER", "")) or [next(filter(shutil.which, ("less", "more")), "")]
    return found if shutil.which(found[0]) else None


def facts(pairs: Iterable[tuple[str, object]]) -> None:
    """Name and value, one pair a line."""
    listed = [(name, spelled(_cell(value)) if name == "fix" else _cell(value)) for name, value in pairs]
    width = max((len(name) for name, _ in listed), default=0)
    for name, value in listed:
        sys.stdout.write(f"{name:<{width}}  {value}\n")


def listing(
    items: Iterable[Mapping[str, Any]],
    columns: Mapping[str, str],
    *,
    as_json: bool,
    empty: str = "",
    shown: Mapping[str, Callable[[Any], object]] | None = None,
) -> None:
    """Objects as JSON lines, or for people by ``columns`` (key → heading) with ``shown`` to write a value nicer."""
    if as_json:
        for item in items:
            emit(item)
        return
    nicer = shown or {}
    rows = ([nicer.get(key, _plain)(item.get(key)) for key in columns] for item in map(_fixed, items))
    table(list(columns.values()), rows, empty=empty, paged=True)


def qr_code(text: str) -> None:
    """``text`` as a QR code in half blocks, for a camera in front of the terminal."""
    import segno

    segno.make(text, error="m", micro=False).terminal(out=sys.stdout, compact=True, border=2)


def failure(error: HealthSyncError, *, as_json: bool) -> None:
    """An error on stderr: what went wrong, then the fix, as it is typed here."""
    fix = spelled(error.hint)
    if as_json:
        sys.stderr.buffer.write(_encode({"error": {"reason": error.reason, "message": str(error), "fix": fix}}) + b"\n")
        sys.stderr.flush()
        return
    lines = Text.assemble(("error: ", "bold red"), escaped(str(error), keep="\n"))
    if fix:
        lines.append("\nfix: ", "bold green").append(escaped(fix, keep="\n"))
    console(stderr=True).print(lines)


def _fixed(value: Mapping[str, Any]) -> Mapping[str, Any]:
    fix = value.get("fix")
    return value | {"fix": spelled(fix)} if isinstance(fix, str) and isinstance(value, dict) else value


def _plain(value: object) -> object:
    if isinstance(value, list | tuple | frozenset):
        return ",".join(sorted(map(str, value)))
    return value
