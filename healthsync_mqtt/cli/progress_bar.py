"""A bar of what takes long, on stderr's terminal; silent where there is none. stdout stays what it is."""

import contextlib
from collections.abc import Callable, Iterator

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from healthsync_mqtt.cli import output


def bar(*columns: str | ProgressColumn, printed: bool = False) -> Progress | None:
    """A bar that is not started yet, and is taken away at its end; None: it would be seen by nobody, or in the way.

    ``printed`` says that data go to stdout meanwhile: on a terminal they would be written over the bar.
    """
    console = output.console(stderr=True)
    if not console.is_terminal or (printed and output.on_terminal()):
        return None
    # Else rich sends what is printed to stdout to the console of the bar: `> FILE` would stay empty.
    return Progress(*columns, console=console, transient=True, redirect_stdout=False)


@contextlib.contextmanager
def progress(
    what: str, total: int | None, *, counted: bool = True, printed: bool = False
) -> Iterator[Callable[[int], None]]:
    """A bar for the block. Yields a function that moves it on.

    ``counted``: a person wants to know the numbers themselves, and not only how much of all it is. ``printed``: as
    for ``bar``.
    """
    numbers = MofNCompleteColumn() if counted else TaskProgressColumn()
    drawn = bar(TextColumn("{task.description}"), BarColumn(), numbers, TimeRemainingColumn(), printed=printed)
    if drawn is None:
        yield lambda _count: None
        return
    with drawn:
        task = drawn.add_task(what, total=total)
        yield lambda number: drawn.advance(task, number)
