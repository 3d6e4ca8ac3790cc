"""Where others add modules: those of the program, of installed packages, and files of a data directory's folder.

A module has ``register()``, which returns a part of the kind that is asked for. One that cannot be loaded is said and
leaves the others alone; so is one whose name another has: which of the two worked would be a matter of chance.
"""

import importlib
import importlib.util
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Generic, NamedTuple, TypeVar

from healthsync_mqtt.errors import InputError

T = TypeVar("T")


class BrokenModule(NamedTuple):
    """A module that is no part of its kind, and why."""

    where: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtensionPoint(Generic[T]):
    """One kind of parts.

    ``of`` is their class and ``called`` what people call one; ``name`` tells them apart. ``group`` is the entry point
    group of installed packages, ``package`` where the program's own modules are, ``shipped`` their names in the order
    in which people are shown them, and ``page`` says how to write one.
    """

    of: type[T]
    called: str
    name: Callable[[T], str]
    group: str
    package: str
    shipped: tuple[str, ...]
    page: str

    def load(self, name: str) -> T:
        """A part of the program."""
        return self._registered(importlib.import_module(f"{self.package}.{name}"))

    def known(self, folder: Path | None = None) -> tuple[dict[str, T], list[BrokenModule]]:
        """All of them by name, and what could not be loaded; ``folder`` is the one of a data directory."""
        found: dict[str, T] = {}
        broken: list[BrokenModule] = []
        for where, load in self._modules(folder):
            try:
                part = load()
                if self.name(part) in found:
                    raise InputError(f"there is another {self.called} {self.name(part)}")  # noqa: TRY301  # as below
            except (Exception, SystemExit) as error:  # noqa: BLE001  # a module of somebody else's: whatever it raises
                broken.append(BrokenModule(where, f"{type(error).__name__}: {error}"))
            else:
                found[self.name(part)] = part
        return found, broken

    def _modules(self, folder: Path | None) -> Iterator[tuple[str, Callable[[], T]]]:
        for name in self.shipped:
            yield f"{self.package}.{name}", partial(self.load, name)
        for point in sorted(entry_points(group=self.group), key=lambda each: each.name):
            yield f"{point.value} (entry point {point.name})", partial(self._of_package, point)
        if folder is not None and folder.is_dir():
            for file in sorted(folder.glob("*.py")):
                yield str(file), partial(self._of_file, file)

    def _registered(self, module: Any) -> T:
        register = getattr(module, "register", None)
        if not callable(register):
            raise InputError("the module has no register()", hint=f"see {self.page}")
        part = register()
        if not isinstance(part, self.of):
            raise InputError(f"register() returns no {self.of.__name__}", hint=f"see {self.page}")
        return part

    def _of_package(self, point: EntryPoint) -> T:
        """An entry point names a module, or its ``register``."""
        found = point.load()
        return self._registered(SimpleNamespace(register=found) if callable(found) else found)

    def _of_file(self, file: Path) -> T:
        name = f"{self.group.replace('.', '_')}_{file.stem}"
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
        return self._registered(module)
