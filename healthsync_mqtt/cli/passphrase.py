"""The passphrase of the keys at rest: asked for at the terminal, once, and lent to processes that this one starts."""

import getpass
import os
import sys
from collections.abc import MutableMapping

from healthsync_mqtt.cli import output
from healthsync_mqtt.config.secrets import KEY_PASSPHRASE_FILE


def asked_at_terminal() -> bytes | None:
    """What a person typed; None where nobody sits there, or nothing was typed."""
    if not output.can_ask():
        return None
    typed = getpass.getpass("Passphrase of the keys: ", stream=sys.stderr).encode(errors="surrogateescape")
    if typed:
        lend(typed)
    return typed or None


def lend(passphrase: bytes, environ: MutableMapping[str, str] = os.environ) -> None:
    """Let processes of this one read it: from memory that goes with it, by a name in their environment.

    Where the system has no such memory they have to be given it by a file of their own.
    """
    if not hasattr(os, "memfd_create"):
        return
    held = os.memfd_create("healthsync-passphrase")
    os.fchmod(held, 0o600)
    os.write(held, passphrase)
    environ[KEY_PASSPHRASE_FILE] = f"/proc/{os.getpid()}/fd/{held}"
