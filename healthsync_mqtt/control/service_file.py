"""``service.json``: where the running service of a data directory listens."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from healthsync_mqtt.config.private_files import write_durably
from healthsync_mqtt.errors import UnavailableError

_NOT_RUNNING = "start it: healthsync up"
_LATER = {"http", "bound", "shard"}
"""What files of older releases do not have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceFile:
    """Where a running service listens; written when it is ready, removed when it stops."""

    pid: int
    mqtt: str
    mqtts: str
    wss: str
    ca_file: str
    socket: str
    started_at: str
    version: str
    http: str = ""
    """The gateway's URL."""
    shard: str = ""
    """The part of the users that a bridge works for; nothing: all."""
    bound: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By listener: every address that it is bound to."""

    @staticmethod
    def path(data: Path) -> Path:
        """The file's place in a data directory."""
        return data / "service.json"

    def write(self, data: Path) -> None:
        """Replace the file in one step."""
        write_durably(self.path(data), json.dumps(asdict(self)).encode() + b"\n")

    @classmethod
    def read(cls, data: Path) -> Self:
        """The service of a data directory. UnavailableError when there is none, or it is gone without a goodbye."""
        try:
            values = json.loads(cls.path(data).read_text(encoding="utf-8"))
            found = cls(**{name: values[name] for name in cls.__slots__ if name not in _LATER or name in values})
        except FileNotFoundError:
            raise UnavailableError(f"no service runs on {data}", hint=_NOT_RUNNING) from None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UnavailableError(
                f"cannot read {cls.path(data)}: {error.__class__.__name__}", hint="stop and start the service"
            ) from None
        if not is_alive(found.pid):
            raise UnavailableError(f"the service of {data} (process {found.pid}) has ended", hint=_NOT_RUNNING)
        return found

    @classmethod
    def remove(cls, data: Path) -> None:
        """Remove the file if it is there."""
        cls.path(data).unlink(missing_ok=True)


def split_address(address: str) -> tuple[str, int]:
    """``127.0.0.1:8883`` or ``[::1]:8883`` as host and port."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def is_alive(pid: int) -> bool:
    """Whether there is such a process."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
