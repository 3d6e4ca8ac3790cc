"""Where a log cannot live: on file systems whose locks and shared memory do not hold between machines."""

import subprocess
import sys
from pathlib import Path

from healthsync_mqtt.errors import StoreError

#: Names of Linux and macOS. A FUSE file system is ``fuse.NAME``.
NETWORK = frozenset({
    "9p", "acfs", "afpfs", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "fuse.ceph", "fuse.davfs2",
    "fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.smbnetfs", "fuse.sshfs", "gfs2", "glusterfs", "gpfs",
    "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "prl_fs", "smb2", "smb3", "smbfs", "vboxsf", "webdav",
})  # fmt: skip


class NetworkFileSystemError(StoreError):
    """The data directory is on a network file system."""

    reason = "network_file_system"
    retryable = False


def refuse_network_file_system(directory: Path) -> None:
    """NetworkFileSystemError where two machines could write one log, each believing that it is the only one."""
    name = file_system_of(directory.resolve(), _mounts())
    if name in NETWORK:
        raise NetworkFileSystemError(
            f"{directory} is on a network file system ({name}), where locks and the write-ahead log do not hold",
            hint="use a directory on a local disk: healthsync up --data DIR",
        )


def file_system_of(directory: Path, mounts: list[tuple[str, str]]) -> str:
    """The name of the file system a directory is on; "" when no mount point is above it. The last mount counts."""
    found, longest = "", -1
    for point, name in mounts:
        length = len(Path(point).parts)
        if length >= longest and directory.is_relative_to(point):
            found, longest = name, length
    return found


def linux_mounts(text: str) -> list[tuple[str, str]]:
    """Mount points and file systems in ``/proc/self/mountinfo``."""
    found = []
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        fields, words = left.split(" "), right.split(" ")
        if len(fields) > 4 and words[0]:
            point = fields[4].encode().decode("unicode_escape").encode("latin-1").decode("utf-8", "surrogateescape")
            found.append((point, words[0]))
    return found


def macos_mounts(text: str) -> list[tuple[str, str]]:
    """Mount points and file systems in what ``mount`` prints: ``//h/share on /Volumes/share (smbfs, nodev)``."""
    found = []
    for line in text.splitlines():
        left, _, options = line.rpartition(" (")
        point = left.partition(" on ")[2]
        if point:
            found.append((point, options.rstrip(")").split(",")[0]))
    return found


def _mounts() -> list[tuple[str, str]]:
    """What is mounted, as far as this system tells."""
    try:
        if sys.platform == "darwin":
            ran = subprocess.run(["/sbin/mount"], capture_output=True, text=True, check=True, timeout=5)
            return macos_mounts(ran.stdout)
        return linux_mounts(Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape"))
    except (OSError, subprocess.SubprocessError):
        return []
