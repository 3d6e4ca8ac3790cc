"""What the process of a sink notices of its configuration, whenever that changes, and of another one."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.config.private_files import file_lock
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.shard import Shard
from healthsync_mqtt.sinks import worker
from healthsync_mqtt.sinks.bridge_part import BridgePart
from healthsync_mqtt.sinks.config import Sinks, made
from healthsync_mqtt.storage.opening import open_log


class Idle:
    """A shipper with nothing to do, which gives up when a change is not noticed."""

    def __init__(self) -> None:
        self.steps = 0
        self.paused: list[bool] = []

    def step(self) -> float:
        self.steps += 1
        assert self.steps < 1000, "the change of the configuration was not noticed"
        return 0.0

    def wake(self, config: Any) -> None:
        self.paused.append(config.paused)
        raise InterruptedError

    def status(self) -> dict[str, Any]:
        return {"state": "idle"}


def at_start(monkeypatch: pytest.MonkeyPatch, data: Path, change: Callable[[Sinks], None]) -> Idle:
    """Run the process, whose configuration changes while it opens what it needs."""
    data.mkdir(mode=0o700)
    open_log(data).close()
    Registry.open(data / "registry.db").close()
    sinks, idle = Sinks(data), Idle()
    sinks.put(made(name="main", url="http://127.0.0.1:9"))

    def assemble(*_: Any, **__: Any) -> Idle:
        change(sinks)
        return idle

    monkeypatch.setattr(worker, "assemble", assemble)
    monkeypatch.setattr(worker, "_LOOK_S", 0.0)
    worker.run(data, "main", BridgePart(data / "registry.db", Shard.parse("")))
    return idle


def test_a_server_that_is_named_while_it_starts_is_not_missed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It returns, to be started again with the new one."""
    at_start(
        monkeypatch,
        tmp_path / "data",
        lambda sinks: sinks.put(made(name="main", url="http://127.0.0.1:10"), replace=True),
    )


def test_nor_is_a_pause(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def pause(sinks: Sinks) -> None:
        sinks.put(sinks.get("main").model_copy(update={"paused": True}), replace=True)

    with pytest.raises(InterruptedError):
        at_start(monkeypatch, tmp_path / "data", pause)


def test_two_never_ship_to_one_sink(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that a bridge left which is stopped: it is waited for, and named, and its ledger is read after its end."""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    open_log(data).close()
    Registry.open(data / "registry.db").close()
    sinks, said = Sinks(data), list[dict[str, Any]]()
    sinks.put(made(name="main", url="http://127.0.0.1:9"))
    monkeypatch.setattr(worker, "_STATUS_S", 0.0)
    with ExitStack() as other:
        other.enter_context(file_lock(sinks.ledger("main")))

        def tell(message: dict[str, Any]) -> None:
            said.append(message)
            assert not sinks.ledger("main").exists() or "status" not in message
            if len(said) == 2:
                other.close()

        def assemble(*_: Any, **__: Any) -> Idle:
            raise InterruptedError

        monkeypatch.setattr(worker, "tell", tell)
        monkeypatch.setattr(worker, "assemble", assemble)
        with pytest.raises(InterruptedError):
            worker.run(data, "main", BridgePart(data / "registry.db", Shard.parse("")))
    first, second = (message["status"] for message in said)
    assert (first["state"], first["reason"]) == ("waiting", "another_process")
    assert "is in use by process" in first["message"]
    assert first["since"] == second["since"]
    with file_lock(sinks.ledger("main"), within_s=0):  # it was given back with the end of the work
        pass
