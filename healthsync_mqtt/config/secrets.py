"""Secrets that come from the environment and are no settings: ``config show`` never meets them."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from healthsync_mqtt.config.private_files import read_private
from healthsync_mqtt.errors import ConfigError

KEY_PASSPHRASE: Final = "HEALTHSYNC_KEY_PASSPHRASE"  # noqa: S105 - the name of a variable
KEY_PASSPHRASE_FILE: Final = "HEALTHSYNC_KEY_PASSPHRASE_FILE"  # noqa: S105


def key_passphrase(environ: Mapping[str, str] = os.environ) -> bytes | None:
    """The passphrase of the keys at rest, from the variable or from the private file it names; None: they have none.

    ConfigError when both are set, when it is empty, or when the file is open to others.
    """
    text, file = environ.get(KEY_PASSPHRASE), environ.get(KEY_PASSPHRASE_FILE)
    if text is not None and file is not None:
        raise ConfigError(f"{KEY_PASSPHRASE} and {KEY_PASSPHRASE_FILE} are both set", hint=f"unset {KEY_PASSPHRASE}")
    if file is not None:
        text = read_private(Path(file)).decode(errors="surrogateescape").rstrip("\r\n")
    if text is None:
        return None
    if not text:
        source = KEY_PASSPHRASE if file is None else file
        raise ConfigError(f"{source} holds an empty passphrase", hint=f"write one, or unset {KEY_PASSPHRASE}")
    return text.encode(errors="surrogateescape")
