"""What kinds of archives remember of a device is sealed with the log, and goes with its user's key."""

from pathlib import Path

import pytest

from healthsync_mqtt.cli.import_state import ImportState
from healthsync_mqtt.keys.opening import ring_of
from healthsync_mqtt.storage.opening import open_log

MEMORY = {"apple": b"record-marker", "fitbit": b"\x00\x01"}


@pytest.mark.parametrize("sealed", [False, True])
def test_what_is_remembered_is_read_again(tmp_path: Path, *, sealed: bool) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    before = ImportState(data, "alice", "phone")
    before.remember({"apple": b"older"})  # before there is a log
    open_log(data, seal_new=sealed).close()
    for kind, state in MEMORY.items():
        ImportState(data, "alice", "phone").remember({kind: state})
    assert before.memory() == MEMORY
    (file,) = (data / "imports").glob("device-*.json")
    assert (b"apple" in file.read_bytes()) == (not sealed)
    if sealed:
        ring_of(data).destroy("alice")
        assert before.memory() == {}
