"""Names that nobody asked for: settings and variables that are none, with the nearest that is one."""

import difflib
import os
from collections.abc import Iterable, Mapping
from typing import Final

from healthsync_mqtt.config.secrets import KEY_PASSPHRASE, KEY_PASSPHRASE_FILE

SECRETS_DIR: Final = "HEALTHSYNC_SECRETS_DIR"
_NO_SETTINGS: Final = frozenset({KEY_PASSPHRASE, KEY_PASSPHRASE_FILE, SECRETS_DIR})
"""Variables of this program that are no settings."""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like ``name``, or None when none is like it."""
    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)), None)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """``name`` is none of the known: the beginning of a hint that names the nearest, or nothing."""
    found = nearest(name, known)
    return f"did you mean {found}? " if found else ""


def unknown_variables(
    prefix: str, variables: Iterable[str], environ: Mapping[str, str] = os.environ
) -> list[tuple[str, str | None]]:
    """Variables of the environment that begin with ``prefix`` and mean nothing, each with the nearest that does."""
    known = {name.removeprefix(prefix) for name in (*variables, *_NO_SETTINGS)}  # the prefix makes all of them alike
    found = sorted(name for name in environ if name.upper().startswith(prefix))
    likely = ((name, name.upper().removeprefix(prefix)) for name in found)
    pairs = [(name, nearest(bare, known)) for name, bare in likely if bare not in known]
    return [(name, near and prefix + near) for name, near in pairs]
