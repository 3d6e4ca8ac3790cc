"""Uploads are kept privately, imported one after the other by a process of its own, and forgotten."""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.gateway.bodies.problem import HttpError
from healthsync_mqtt.gateway.jobs import uploads
from healthsync_mqtt.gateway.jobs.uploads import UploadedImport, Uploads, UploadState
from healthsync_mqtt.identity.people.sqlite_tables import SqliteTables
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.keys.spool import SpoolWriter
from healthsync_mqtt.model.erasure import ErasureStep
from tests.support.patience import PATIENCE_S, until

CODE = """
import json, pathlib, sys
from healthsync_mqtt.keys import spool
file = pathlib.Path(sys.argv[1])
raw = file.read_bytes()
spool.hand_over(file, sys.stdin.buffer.read(spool.KEY_BYTES))
with spool.buffered(file) as opened:
    said = opened.read().decode()
mode = oct(file.stat().st_mode & 0o777)
print(json.dumps({"said": said, "mode": mode, "words": sys.argv[2:], "open": b"def" in raw}))
"""


def saying(code: str) -> Any:
    def command(words: Sequence[str]) -> Sequence[str]:
        return (sys.executable, "-c", code, *words)

    return command


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


async def ended(made: UploadedImport, of: Uploads) -> UploadedImport:
    async with asyncio.timeout(PATIENCE_S):
        while True:
            found = of.find(made.user, made.id)
            assert found is not None
            if found.state in {UploadState.done, UploadState.failed}:
                return found
            await asyncio.sleep(0.01)


async def test_a_file_is_kept_imported_and_gone(tmp_path: Path) -> None:
    of = Uploads(tmp_path, 1_000, saying(CODE))
    running = asyncio.create_task(of.run())
    made = await of.take("alice", "import", ["--zone=Europe/Berlin"], 6, pieces(b"abc", b"def"))
    assert made.size == 6
    found = await ended(made, of)
    assert found.state is UploadState.done
    assert found.outcome is not None
    assert (found.outcome["said"], found.outcome["mode"], found.outcome["open"]) == ("abcdef", "0o600", False)
    assert found.outcome["words"][:3] == ["--user=alice", "--device=import", "--zone=Europe/Berlin"]
    assert of.find("bob", made.id) is None
    assert [each.id for each in of.of("alice")] == [made.id]
    async with asyncio.timeout(PATIENCE_S):
        while list((tmp_path / "imports" / "uploads").iterdir()):  # noqa: ASYNC110  # a file says nothing
            await asyncio.sleep(0.01)
    running.cancel()


async def test_a_command_that_says_nothing_has_failed(tmp_path: Path) -> None:
    of = Uploads(tmp_path, 1_000, saying("import sys; print('oh'); sys.exit(70)"))
    running = asyncio.create_task(of.run())
    found = await ended(await of.take("alice", "import", [], None, pieces(b"abc")), of)
    assert (found.state, found.outcome) == (UploadState.failed, None)
    running.cancel()


@pytest.mark.parametrize(
    ("length", "parts", "status"),
    [(11, [b"x"], 413), (None, [b"x" * 6, b"y" * 6], 413), (0, [], 400), (None, [b""], 400)],
)
async def test_what_is_too_long_or_nothing_leaves_no_file(
    tmp_path: Path, length: int | None, parts: list[bytes], status: int
) -> None:
    of = Uploads(tmp_path, 10, saying(CODE))
    with pytest.raises(HttpError) as said:
        await of.take("alice", "import", [], length, pieces(*parts))
    assert said.value.status == status
    folder = tmp_path / "imports" / "uploads"
    assert not folder.exists() or list(folder.iterdir()) == []
    await of.take("alice", "import", [], None, pieces(b"x"))  # and the place is free again


async def test_who_sends_nothing_more_gives_the_place_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "IDLE_S", 0.01)
    of = Uploads(tmp_path, 10, saying(CODE))

    async def stuck() -> AsyncIterator[bytes]:
        yield b"x"
        await asyncio.Event().wait()

    with pytest.raises(HttpError) as said:
        await of.take("alice", "import", [], None, stuck())
    assert said.value.status == 408
    assert list((tmp_path / "imports" / "uploads").iterdir()) == []


async def test_the_file_is_open_as_long_as_it_is_written_also_when_the_gateway_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its number was free under the hands of the thread: what was opened next could have got the rest of the upload."""
    writes, goes_on, seen = threading.Event(), threading.Event(), list[bool]()

    def write(spool: SpoolWriter, _data: bytes) -> None:
        there = os.fstat(spool._descriptor)
        writes.set()
        goes_on.wait(PATIENCE_S)
        try:
            seen.append(os.path.samestat(there, os.fstat(spool._descriptor)))
        except OSError:
            seen.append(False)

    monkeypatch.setattr(SpoolWriter, "write", write)
    taking = asyncio.create_task(Uploads(tmp_path, 10, saying(CODE)).take("alice", "import", [], None, pieces(b"x")))
    await asyncio.to_thread(writes.wait, PATIENCE_S)
    taking.cancel()
    await asyncio.sleep(0.05)
    goes_on.set()
    with pytest.raises(asyncio.CancelledError):
        await taking
    await until(lambda: seen != [])
    assert seen == [True]
    assert list((tmp_path / "imports" / "uploads").iterdir()) == []


async def test_one_file_a_user_and_eight_in_all_wait(tmp_path: Path) -> None:
    of = Uploads(tmp_path, 10, saying(CODE))
    for number in range(8):
        await of.take(f"u{number}", "import", [], None, pieces(b"x"))
    for user in ("u1", "another"):
        with pytest.raises(HttpError) as said:
            await of.take(user, "import", [], None, pieces(b"x"))
        assert (said.value.status, said.value.retry_after_s) == (429, 30.0)


async def test_of_who_is_erased_no_file_waits_none_is_read_and_nothing_is_told(tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    of = Uploads(tmp_path, 10, saying(f"open({str(begun)!r}, 'w').close(); import time; time.sleep(3600)"))
    running = asyncio.create_task(of.run())
    for user in ("alice", "bob", "carol"):
        await of.take(user, "import", [], None, pieces(b"x"))
    await until(begun.exists)
    folder = tmp_path / "imports" / "uploads"
    of.forget("bob")
    assert of.users == {"alice", "carol"}
    assert len(list(folder.iterdir())) == 2
    begun.unlink()
    of.forget("alice")
    await until(begun.exists)  # the next is read: that of alice has ended
    assert (of.of("alice"), of.of("bob"), [each.state for each in of.of("carol")]) == ([], [], [UploadState.reading])
    assert len(list(folder.iterdir())) == 1
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await of.take("alice", "import", [], None, pieces(b"x"))  # a place is free again


async def test_an_erasure_takes_the_uploads_along(tmp_path: Path) -> None:
    with Registry.open(tmp_path / "registry.db") as registry:
        for user in ("alice", "bob"):
            registry.add_user(user, "all", 1)
        of = Uploads(tmp_path, 10, saying(CODE))
        for user in ("alice", "bob"):
            await of.take(user, "import", [], None, pieces(b"x"))
        await of.forget_erased(registry)
        assert of.users == {"alice", "bob"}
        erasure = registry.erase("alice", 2, recorded_by="test")
        await of.forget_erased(registry)
        assert of.users == {"bob"}
        await of.take("alice", "import", [], None, pieces(b"x"))  # what came in the meantime
        while erasure.step is not ErasureStep.registry:
            erasure = registry.erasures.advance(erasure, 3)
        registry.erasures.forget(erasure, 3)
        await of.forget_erased(registry)
        assert of.users == {"bob"}
        assert len(list((tmp_path / "imports" / "uploads").iterdir())) == 1


async def test_who_is_erased_is_asked_again_where_there_may_be_news(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looks are four a second, and imports are remembered for long: one without news costs one number."""
    asked: list[SqliteTables] = []
    read = SqliteTables.read

    def counted(tables: SqliteTables) -> AbstractContextManager[None]:
        asked.append(tables)
        return read(tables)

    with Registry.open(tmp_path / "registry.db") as registry:
        for user in ("alice", "bob"):
            registry.add_user(user, "all", 1)
        of = Uploads(tmp_path, 10, saying(CODE))
        for user in ("alice", "bob"):
            await of.take(user, "import", [], None, pieces(b"x"))
        await of.forget_erased(registry)
        with monkeypatch.context() as patched:
            patched.setattr(SqliteTables, "read", counted)
            await of.forget_erased(registry)
        assert len(asked) == 1
        registry.erase("alice", 2, recorded_by="test")
        await of.forget_erased(registry)
        assert of.users == {"bob"}
        await of.take("alice", "import", [], None, pieces(b"x"))  # it was on its way, and the registry is as it was
        await of.forget_erased(registry)
        assert of.users == {"bob"}


def test_what_an_earlier_gateway_left_is_removed(tmp_path: Path) -> None:
    folder = tmp_path / "imports" / "uploads"
    folder.mkdir(parents=True)
    gone = subprocess.run(
        [sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True, text=True
    ).stdout.strip()
    old, ours = folder / f"{gone}-x", folder / f"{os.getpid()}-x"
    for file in (old, ours):
        file.write_bytes(b"x")
    Uploads(tmp_path, 10, saying(CODE))
    assert list(folder.iterdir()) == [ours]


def test_the_command_is_the_one_that_people_type() -> None:
    words = uploads.import_command(["file", "--user=alice"])
    assert words[0] == sys.executable
    assert list(words[-3:]) == ["import", "file", "--user=alice"]
