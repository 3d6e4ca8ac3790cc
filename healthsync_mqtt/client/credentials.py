"""A device's identity as ``healthsync device add … --json`` prints it."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from healthsync_mqtt.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """User, device and login of one device. The token is left out of ``repr``."""

    user_id: str
    device_id: str
    client_id: str
    username: str
    token: str = field(repr=False)

    @classmethod
    def from_mapping(cls, values: dict[str, Any]) -> Self:
        """From the keys of ``device add --json``; further keys are ignored. Raises InputError when one is missing."""
        try:
            return cls(**{name: str(values[name]) for name in cls.__slots__})
        except (KeyError, TypeError) as error:
            raise InputError(
                f"not the credentials of a device: {error} is missing",
                hint="save the output of: healthsync device add USER DEVICE --json",
            ) from None

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """From a file with the JSON object that ``device add --json`` printed."""
        try:
            values = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise InputError(
                f"cannot read credentials from {path}: {error.__class__.__name__}",
                hint="save the output of: healthsync device add USER DEVICE --json",
            ) from None
        return cls.from_mapping(values if isinstance(values, dict) else {})
