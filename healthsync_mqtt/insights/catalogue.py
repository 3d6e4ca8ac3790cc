"""Every kind of insight: those of the program, of installed packages, and of a data directory's folder.

A module has ``register()``, which returns an ``Insight``. One that cannot be loaded is said and leaves the others
alone; so is one whose kind another has.
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final, NamedTuple

from healthsync_mqtt.errors import InputError
from healthsync_mqtt.insights.port import Insight

GROUP: Final = "healthsync.insights"
"""The entry point group of installed packages."""
FOLDER: Final = "insights"
"""Of a data directory."""
_KINDS: Final = "healthsync_mqtt.insights.kinds"
SHIPPED: Final = ("baseline", "trend")
"""Modules of the program, in the order in which people are shown them."""


class BrokenModule(NamedTuple):
    """A module that is no insight, and why."""

    where: str
    why: str


class KnownInsights(NamedTuple):
    """The kinds that were found, and what could not be loaded."""

    insights: dict[str, Insight]
    broken: list[BrokenModule]

    @property
    def rules(self) -> str:
        """Another text when the same days may come to something else."""
        return " ".join(f"{each.kind}:{each.capability.version}" for each in self.insights.values())


def known(folder: Path | None = None) -> KnownInsights:
    """All kinds; ``folder`` is the one of a data directory."""
    found = KnownInsights({}, [])
    for where, load in _modules(folder):
        try:
            insight = load()
            if insight.kind in found.insights:
                raise InputError(f"there is a kind {insight.kind} already")  # noqa: TRY301  # said like the others
        except Exception as error:  # noqa: BLE001  # a module of somebody else's: whatever it raises
            found.broken.append(BrokenModule(where, f"{type(error).__name__}: {error}"))
        else:
            found.insights[insight.kind] = insight
    return found


def registered(module: Any) -> Insight:
    """What a module's ``register()`` returns. InputError where it has none, or returns something else."""
    register = getattr(module, "register", None)
    if not callable(register):
        raise InputError("the module has no register()", hint="see docs/insights.md")
    insight = register()
    if not isinstance(insight, Insight):
        raise InputError("register() returns no Insight", hint="see docs/insights.md")
    return insight


def _modules(folder: Path | None) -> Iterator[tuple[str, Callable[[], Insight]]]:
    for name in SHIPPED:
        where = f"{_KINDS}.{name}"
        yield where, partial(_shipped, where)
    for point in sorted(entry_points(group=GROUP), key=lambda each: each.name):
        yield f"{point.value} (entry point {point.name})", partial(_of_package, point)
    if folder is not None and folder.is_dir():
        for file in sorted(folder.glob("*.py")):
            yield str(file), partial(_of_file, file)


def _shipped(name: str) -> Insight:
    return registered(importlib.import_module(name))


def _of_package(point: EntryPoint) -> Insight:
    """An entry point names a module, or its ``register``."""
    found = point.load()
    return registered(SimpleNamespace(register=found) if callable(found) else found)


def _of_file(file: Path) -> Insight:
    name = f"healthsync_insight_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise InputError(f"{file} is no Python module")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return registered(module)
