"""What the shell offers: every value that is one of those that are there, of every command."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import pytest
import typer
from typer.models import ParameterInfo

from healthsync_mqtt.cli import completion
from healthsync_mqtt.cli.main import app
from tests.support.commands import invoke

FREE = {
    *("file", "files", "path", "url", "host", "hooks_url", "rabbitmq", "emqx", "emqx_key", "csr", "out"),
    *("wait", "lifetime", "duration", "day", "publish", "older_than", "since", "until", "expires", "for_"),
    *("zone", "unit", "bucket", "slot", "topic", "subscribe", "text", "org", "token_env", "token_secret"),
    *("token_file", "code_file", "password_file", "credentials", "ca_file", "data", "bridges", "shard", "share"),
    *("event", "jti", "reason of cert revoke", "action", "user of broker render", "name of sink add influxdb"),
    *("name of sink add kafka", "servers", "latest_topic", "days_topic", "user of sink add kafka"),
    *("name of sink add file", "name of user add", "other", "provider", "source_app", "value", "by", "longest"),
    *("url_file", "base", "secret_file", "name of webhook add", "name of admin add"),
    *("account of adapter map", "before of adapter map", "place", "which", "keys", "redirected"),
    "name of adapter new",
    *("address of ble read", "address of ble run", "adapter of ble scan", "adapter of ble read", "adapter of ble run"),
    *("server", "outbox", "within", "gateways"),
    "reason of user erase",
    "erasures of restore",
    "title",
}
"""What is a person's own word, a file, a time, a number of the log: by the parameter, or the command's own."""


def texts(typer_app: typer.Typer = app, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str, ParameterInfo]]:
    """(command, parameter, what Typer knows of it) for each that takes text."""
    for group in typer_app.registered_groups:
        assert group.typer_instance is not None
        yield from texts(group.typer_instance, (*path, str(group.name)))
    for command in typer_app.registered_commands:
        assert command.callback is not None
        for name, parameter in inspect.signature(command.callback, eval_str=True).parameters.items():
            assert get_origin(parameter.annotation) is Annotated, (command.name, name)
            kind, info = get_args(parameter.annotation)[:2]
            if {str, Path} & parts(kind):
                yield " ".join((*path, str(command.name))), name, info


def parts(kind: Any) -> set[Any]:
    """A type and those that it is made of: ``list[str] | None`` is made of texts."""
    return {kind} if not get_args(kind) else set().union(*map(parts, get_args(kind)))


def test_every_value_that_is_known_is_offered() -> None:
    without = [{name, f"{name} of {command}"} for command, name, info in texts() if info.autocompletion is None]
    unknown = [max(each, key=len) for each in without if not each & FREE]
    assert unknown == [], "give each autocompletion=completion.…, or a row in FREE"
    assert set.union(*without) >= FREE, "no row is of a parameter that is gone"


@pytest.fixture
def data(tmp_path: Path) -> Path:
    place = tmp_path / "data"
    for line in (
        *("user add alice --consent all", "user add bob --consent all", "device add alice watch"),
        *("app add alice scale --format json", "app add bob gauge --format json", "subscriber add board --users *"),
        *("cert init-ca", "cert issue device alice watch --out {tmp}", "homeassistant login board"),
        "sink add file {tmp}/out --name copies",
    ):
        words = line.format(tmp=tmp_path).split()
        done = invoke([*words, "--data", str(place)])
        assert done.exit_code == 0, done.output
    (place / "formats").mkdir()
    mapping = next((Path(__file__).parents[2] / "fixtures" / "mappings").glob("*.yaml"))
    (place / "formats" / "my_scale.yaml").write_text(mapping.read_text())
    return place


def context(data: Path, **params: str) -> Any:
    class Context:
        pass

    made = Context()
    made.params = {"data": data, **params}  # type: ignore[attr-defined]
    return made


def test_what_is_offered_is_there(data: Path) -> None:
    alice = context(data, user="alice")
    assert completion.apps(alice, "") == ["scale"]
    assert completion.devices(alice, "") == ["scale", "watch"]
    assert completion.apps(context(data), "") == ["gauge", "scale"]
    assert completion.sinks(alice, "") == ["copies"]
    assert {"json", "my_scale"} <= set(completion.formats(alice, ""))
    assert completion.formats(alice, "my") == ["my_scale"]
    assert len(completion.keys(alice, "")) == 1
    assert len(completion.serials(alice, "")) == 1
    assert completion.passwords(alice, "") == ["board"]
    assert completion.holders(context(data, kind="subscriber"), "") == ["board"]
    assert "alice" in completion.holders(context(data, kind="device"), "")


def test_of_a_list_the_last_one_is_offered(data: Path) -> None:
    assert completion.users(context(data), "alice,b") == ["alice,bob"]
    assert "heart_rate,weight" in completion.types("heart_rate,wei")


def test_words_that_a_command_takes_are_offered() -> None:
    assert completion.dialects("v") == ["v1", "v2", "v3", "victoria"]
    assert completion.brokers("m") == ["mosquitto"]
    assert completion.deletions("") == ["delete", "mark"]
    assert completion.kinds("") == ["device", "server", "subscriber"]
    assert completion.purposes("s") == ["share", "store"]
    assert "out_of_range" in completion.reasons("out")


def test_a_broken_mapping_does_not_hide_the_formats_of_the_program(data: Path) -> None:
    (data / "formats" / "json.yaml").write_text("- nothing")
    assert "json" in completion.formats(context(data), "")


def test_nothing_is_made_by_looking(tmp_path: Path) -> None:
    place = tmp_path / "nowhere"
    here = context(place)
    for offered in (completion.users, completion.apps, completion.keys, completion.serials, completion.passwords):
        assert offered(here, "") == []
    assert completion.sinks(here, "") == []
    assert "json" in completion.formats(here, "")
    assert not place.exists()
