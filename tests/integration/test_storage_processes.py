"""Writer and readers in different processes: reading during writes, after a kill, and who may write."""

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import apsw
import pytest

from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from healthsync_mqtt.storage.sqlite.reader import SqliteLogReader
from healthsync_mqtt.testing.log_items import NOW_US, item
from tests.support import child
from tests.support.patience import PATIENCE_S

READER = """
import json, sys
from healthsync_mqtt.storage.sqlite.reader import SqliteLogReader
reader = SqliteLogReader.open(sys.argv[1])
for line in sys.stdin:
    print(json.dumps([record.id for record in reader.read(int(line), 1000)]), flush=True)
reader.close()
"""

WRITER = """
import sys
from healthsync_mqtt.storage.sqlite.log import SqliteEventLog
from healthsync_mqtt.testing.log_items import NOW_US, item
log = SqliteEventLog.open(sys.argv[1])
for n in range(1_000_000):
    log.stage([item(f"e{n}")], [], NOW_US)
    print(log.commit(), flush=True)
"""


def start(script: str, path: Path) -> "subprocess.Popen[str]":
    return child.start(
        [sys.executable, "-c", script, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "events.db"


def test_a_reader_in_another_process_follows_the_writer(path: Path) -> None:
    with SqliteEventLog.open(path) as log, start(READER, path) as reader:
        assert reader.stdin is not None
        assert reader.stdout is not None
        for n in range(50):
            log.stage([item(f"e{n}")], [], NOW_US)
            reader.stdin.write(f"{max(n - 1, 0)}\n")
            reader.stdin.flush()
            assert json.loads(reader.stdout.readline()) == ([f"e{n - 1}"] if n else [])
            log.commit()
        reader.stdin.close()
        assert reader.wait(PATIENCE_S) == 0


def test_what_a_killed_writer_acknowledged_is_read_without_it(path: Path) -> None:
    with start(WRITER, path) as writer:
        assert writer.stdout is not None
        acknowledged = [int(writer.stdout.readline()) for _ in range(100)][-1]
        with pytest.raises(UnavailableError) as caught:
            SqliteEventLog.open(path)
        assert str(writer.pid) in caught.value.hint
        writer.send_signal(signal.SIGKILL)
        acknowledged += len(writer.stdout.readlines())
    with SqliteLogReader.open(path) as reader:
        head = reader.head()
        assert acknowledged <= head <= acknowledged + 1
        assert [record.id for record in reader.read(0, head + 1)] == [f"e{n}" for n in range(head)]
    with SqliteEventLog.open(path) as log:
        assert log.stage([item(f"e{n}") for n in range(head + 1)], [], NOW_US) == [0] * head + [head + 1]


def test_a_reader_opens_a_log_whose_writer_closed_it(path: Path) -> None:
    with SqliteEventLog.open(path) as log:
        log.stage([item("a")], [], NOW_US)
        log.commit()
    assert not path.with_name("events.db-wal").exists()
    with SqliteLogReader.open(path) as reader:
        assert [record.id for record in reader.read(0, 9)] == ["a"]


def test_a_reader_cannot_write(path: Path) -> None:
    with (
        SqliteEventLog.open(path),
        SqliteLogReader.open(path) as reader,
        pytest.raises(apsw.ReadOnlyError),
    ):
        reader._connection.execute("DELETE FROM log").fetchall()


def test_commits_run_in_another_thread_while_readers_read(path: Path) -> None:
    with SqliteEventLog.open(path) as log, SqliteLogReader.open(path) as reader:
        for n in range(0, 3000, 30):
            log.stage([item(f"e{i}") for i in range(n, n + 30)], [], NOW_US)
            journal = threading.Thread(target=log.commit)
            journal.start()
            head = reader.head()
            assert head in (n, n + 30)
            rows = len(reader.read(n, 99))  # the commit may come between the two
            assert rows in ((0, 30) if head == n else (30,))
            journal.join()
        assert log.head() == reader.head() == 3000
