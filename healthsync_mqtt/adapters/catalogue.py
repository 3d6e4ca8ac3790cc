"""Every adapter by its name: those of the program, of installed packages, and of a data directory's folder.

A module has ``register()``, which returns an ``Adapter``. One that cannot be loaded is said and leaves the others
alone; so is one whose name another has: whose data a topic then held would be a matter of chance.
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

from healthsync_mqtt.adapters.port import Adapter
from healthsync_mqtt.errors import InputError

GROUP: Final = "healthsync.adapters"
"""The entry point group of installed packages."""
_PROVIDERS: Final = "healthsync_mqtt.adapters.providers"
SHIPPED: Final = (
    "google_health", "garmin", "withings", "oura", "whoop", "polar", "strava", "dexcom", "fitbit", "google_fit",
    "apple_health", "health_connect",
)  # fmt: skip
"""Modules of the program, in the order in which people are shown them."""


class Broken(NamedTuple):
    """A module that is no adapter, and why."""

    where: str
    why: str


class Known(NamedTuple):
    """The adapters that were found, and what could not be loaded."""

    adapters: dict[str, Adapter]
    broken: list[Broken]


def shipped(name: str) -> Adapter:
    """An adapter of the program."""
    return registered(importlib.import_module(f"{_PROVIDERS}.{name}"))


def known(folder: Path | None = None) -> Known:
    """All adapters; ``folder`` is the one of a data directory."""
    found = Known({}, [])
    for where, load in _modules(folder):
        try:
            adapter = load()
            if adapter.name in found.adapters:
                raise InputError(f"there is an adapter {adapter.name} already")  # noqa: TRY301  # said like the others
        except Exception as error:  # noqa: BLE001  # a module of somebody else's: whatever it raises
            found.broken.append(Broken(where, f"{type(error).__name__}: {error}"))
        else:
            found.adapters[adapter.name] = adapter
    return found


def registered(module: Any) -> Adapter:
    """What a module's ``register()`` returns. InputError where it has none, or returns something else."""
    register = getattr(module, "register", None)
    if not callable(register):
        raise InputError("the module has no register()", hint="see docs/adapter-spec.md")
    adapter = register()
    if not isinstance(adapter, Adapter):
        raise InputError("register() returns no Adapter", hint="see docs/adapter-spec.md")
    return adapter


def _modules(folder: Path | None) -> Iterator[tuple[str, Callable[[], Adapter]]]:
    for name in SHIPPED:
        yield f"{_PROVIDERS}.{name}", partial(shipped, name)
    for point in sorted(entry_points(group=GROUP), key=lambda each: each.name):
        yield f"{point.value} (entry point {point.name})", partial(_of_package, point)
    if folder is not None and folder.is_dir():
        for file in sorted(folder.glob("*.py")):
            yield str(file), partial(_of_file, file)


def _of_package(point: EntryPoint) -> Adapter:
    """An entry point names a module, or its ``register``."""
    found = point.load()
    return registered(SimpleNamespace(register=found) if callable(found) else found)


def _of_file(file: Path) -> Adapter:
    return registered(_imported(file))


def _imported(file: Path) -> Any:
    name = f"healthsync_adapter_{file.stem}"
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
    return module
