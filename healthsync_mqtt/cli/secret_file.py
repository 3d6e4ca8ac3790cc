"""How a secret is handed to the person who asked for it: once, on stdout, or into a private file that they name.

Whether a file can be written is asked before anything is changed: what is made and then not told would be lost.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from healthsync_mqtt.cli import output
from healthsync_mqtt.config.private_files import write_durably
from healthsync_mqtt.errors import InputError


def writable(file: Path | None) -> Path | None:
    """``file``, in a directory in which we may write; InputError for anything else."""
    if file is None:
        return None
    folder = file.parent
    if file.is_dir():
        raise InputError(f"{file} is a directory", hint="name a file in it")
    if not folder.is_dir():
        raise InputError(f"{folder} is not a directory", hint=f"mkdir -p {folder}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"nothing can be written in {folder}", hint="name a file in a directory of yours")
    return file


TokenFile = Annotated[
    Path | None,
    typer.Option(help="Write the token to this file (mode 0600) instead of printing it.", callback=writable),
]
PasswordFile = Annotated[
    Path | None,
    typer.Option(help="Write the password to this file (mode 0600) instead of printing it.", callback=writable),
]
CodeFile = Annotated[
    Path | None,
    typer.Option(help="Write the code to this file (mode 0600) instead of printing it.", callback=writable),
]
SecretFile = Annotated[
    Path | None,
    typer.Option(help="Write the secret to this file (mode 0600) instead of printing it.", callback=writable),
]
UrlFile = Annotated[
    Path | None,
    typer.Option(help="Write the link to this file (mode 0600) instead of printing it.", callback=writable),
]
CredentialsFile = Annotated[
    Path | None,
    typer.Option(
        "--credentials",
        help="Write the login (JSON, mode 0600) to this file, as the Python client reads it.",
        callback=writable,
    ),
]


def handed_out(shown: Mapping[str, Any], secret: str, file: Path | None) -> dict[str, Any]:
    """What is printed of ``shown``: with its ``secret``, or with the file that has it now, in the same place."""
    if file is None:
        output.secret_follows(f"--{secret}-file")
        return dict(shown)
    write_durably(file, str(shown[secret]).encode())
    instead = (f"{secret}_file", str(file))
    return dict(instead if pair[0] == secret else pair for pair in shown.items())
