"""A broker has an account of its own, which may not look into our data directory: it gets copies of what it reads."""

import contextlib
import os
import pwd
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from healthsync_mqtt.broker.external.plan import Plan, Rendered
from healthsync_mqtt.errors import InputError


@contextlib.contextmanager
def as_owner_of(directory: Path) -> Iterator[None]:
    """What root does in a directory of another account it does as that account, which could not read root's files."""
    if os.geteuid() != 0 or not directory.exists():
        yield
        return
    owner = directory.stat()
    os.setegid(owner.st_gid)
    os.seteuid(owner.st_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(os.getgid())


def handed_over(plan: Plan) -> tuple[Plan, dict[str, Rendered]]:
    """The plan with the certificates in the broker's own directory, and those copies.

    Only root can give files away: without a name of an account, and for others than root, nothing changes.
    """
    if not plan.user or os.geteuid() != 0:
        return plan, {}
    _account(plan.user)
    ours = {"ca.crt": plan.cafile, "server.crt": plan.certfile, "server.key": plan.keyfile}
    copies = {name: Rendered(path.read_bytes(), private=name.endswith(".key")) for name, path in ours.items()}
    there = plan.directory
    moved = replace(plan, cafile=there / "ca.crt", certfile=there / "server.crt", keyfile=there / "server.key")
    return moved, copies


def give(directory: Path, user: str) -> None:
    """Make the directory and all files in it the account's. Does nothing for others than root."""
    if not user or os.geteuid() != 0:
        return
    account = _account(user)
    for path in (directory, *directory.iterdir()):
        if not path.is_symlink():
            shutil.chown(path, account.pw_uid, account.pw_gid)


def _account(user: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(user)
    except KeyError:
        hint = "install the broker first, or name the account that it runs as"
        raise InputError(f"there is no account {user} on this machine", hint=hint) from None
