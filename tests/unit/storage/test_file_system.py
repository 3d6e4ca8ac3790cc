"""Where a log cannot live."""

from pathlib import Path

import pytest

from healthsync_mqtt.storage import file_system
from healthsync_mqtt.storage.file_system import NetworkFileSystemError, file_system_of, linux_mounts, macos_mounts
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog

LINUX = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
23 22 0:20 / /proc rw,nosuid - proc proc rw
90 22 0:55 / /srv/share rw,relatime shared:40 master:2 - nfs4 host:/export rw,vers=4.2
91 22 0:56 / /srv/with\\040space rw - cifs //host/share rw
92 90 254:1 / /srv/share/local rw - xfs /dev/vdb rw
93 22 0:57 / /home/me/far rw - fuse.sshfs me@host: rw
"""
MACOS = """\
/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
//me@host/share on /Volumes/share (smbfs, nodev, nosuid, mounted by me)
"""


@pytest.mark.parametrize(
    ("directory", "name"),
    [
        ("/var/lib/healthsync", "ext4"),
        ("/srv/share/data", "nfs4"),
        ("/srv/shared", "ext4"),
        ("/srv/share/local/data", "xfs"),
        ("/srv/with space/data", "cifs"),
        ("/home/me/far", "fuse.sshfs"),
    ],
)
def test_the_file_system_of_a_directory(directory: str, name: str) -> None:
    assert file_system_of(Path(directory), linux_mounts(LINUX)) == name


def test_on_macos() -> None:
    mounts = macos_mounts(MACOS)
    assert file_system_of(Path("/Volumes/share/data"), mounts) == "smbfs"
    assert file_system_of(Path("/Users/me/data"), mounts) == "apfs"
    assert file_system_of(Path("/Users/me/data"), []) == ""


def test_a_log_on_a_network_file_system_is_refused_before_a_file_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_system, "_mounts", lambda: [("/", "ext4"), (str(tmp_path), "nfs4")])
    with pytest.raises(NetworkFileSystemError) as caught:
        SqliteEventLog.open(tmp_path / "events.db")
    assert "nfs4" in str(caught.value)
    assert "local disk" in caught.value.hint
    assert (caught.value.reason, caught.value.retryable) == ("network_file_system", False)
    assert list(tmp_path.iterdir()) == []
