"""What imports keep in the data directory: how far each has come, and what kinds remember of a device."""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from healthsync_mqtt import __version__
from healthsync_mqtt.client.carriage import MarkFile
from healthsync_mqtt.config.private_files import make_private_directory, write_durably
from healthsync_mqtt.imports.state_files import folder, mark_name, memory_file, short
from healthsync_mqtt.keys.faults import KeyDestroyedError
from healthsync_mqtt.keys.opening import files_are_sealed, ring_of
from healthsync_mqtt.keys.sealed_bytes import FORM
from healthsync_mqtt.model.declaration import Declared


@dataclass(frozen=True, slots=True)
class ImportState:
    """Of one device of one user; ``data`` is the data directory."""

    data: Path
    user: str
    device: str

    @property
    def _folder(self) -> Path:
        return folder(self.data)

    @property
    def _memory(self) -> Path:
        return memory_file(self.data, self.user, self.device)

    @property
    def _context(self) -> bytes:
        return b"import memory:" + self.device.encode()

    def memory(self) -> dict[str, bytes]:
        """What kinds remember, by their names; nothing where it cannot be read. StoreError without its key."""
        try:
            stored = self._memory.read_bytes()
            if stored[:1] == FORM:
                stored = ring_of(self.data).open(self.user, stored, self._context)
            kept = json.loads(stored)
            return {kind: base64.b64decode(state) for kind, state in kept.items()}
        except (OSError, ValueError, AttributeError, KeyDestroyedError):
            return {}

    def remember(self, memory: Mapping[str, bytes]) -> None:
        """Keep what kinds remember now; of other kinds what is kept stays."""
        if not memory:
            return
        make_private_directory(self._folder)
        kept = {kind: base64.b64encode(state).decode() for kind, state in (self.memory() | dict(memory)).items()}
        content = json.dumps(kept).encode()
        if files_are_sealed(self.data):
            content = ring_of(self.data).seal(self.user, content, self._context)
        write_durably(self._memory, content)

    def mark(self, digest: str, declared: Declared, memory: Mapping[str, bytes]) -> MarkFile:
        """How far the import of a file has come: of this content, read by this version, with what is remembered."""
        make_private_directory(self._folder)
        known = [__version__, *map(str, declared)]
        known += [f"{kind}/{short(state.hex())}" for kind, state in sorted(memory.items())]
        return MarkFile(self._folder / f"{self._of(digest)}-{short(*known)}.json")

    def forget(self, digest: str) -> None:
        """An import of this content has ended: also what was remembered of it under other circumstances goes."""
        name = self._of(digest)
        for pattern in (f"{name}-*.json", f".{name}-*"):
            for left in self._folder.glob(pattern):
                left.unlink(missing_ok=True)

    def _of(self, digest: str) -> str:
        return mark_name(self.user, self.device, digest)
