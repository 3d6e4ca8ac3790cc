"""Settings: who wins, what is refused, and that errors name the place but never the value."""

import dataclasses
import inspect
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.config import settings
from healthsync_mqtt.config.settings import Settings, load_settings
from healthsync_mqtt.errors import ConfigError
from healthsync_mqtt.model.limits import DEFAULT, Limits

CANARY = "hunter2"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    import os

    for name in list(os.environ):
        if name.startswith("HEALTHSYNC_"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def write(data: Path, text: str) -> Path:
    data.mkdir(exist_ok=True)
    file = data / "healthsync.toml"
    file.write_text(text)
    return file


def test_what_the_docstrings_say_is_not_read_to_load_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command loads them, and to read the sources took most of the time that it took."""
    settings._summaries.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(inspect, "getsource", lambda of: pytest.fail(f"the source of {of} was read"))
        loaded = load_settings(tmp_path)
    assert all(each.summary for each in loaded.describe() if each.key != "data")


def problem(data: Path, overrides: dict[str, Any] | None = None) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_settings(data, overrides)
    assert caught.value.hint
    assert CANARY not in f"{caught.value} {caught.value.hint} {caught.value.__cause__!r}"
    return caught.value


def test_the_defaults_are_those_of_the_design(tmp_path: Path) -> None:
    settings = load_settings(None)
    assert settings.data == tmp_path / "data"
    broker, limits, events = settings.broker, settings.limits, settings.events
    assert (broker.host, broker.mqtt_port, broker.mqtts_port, broker.wss_port) == ("127.0.0.1", 1883, 8883, 8084)
    assert (limits.max_packet, limits.connect_bytes, limits.connect_timeout_s) == (1_048_576, 8_192, 10)
    assert (limits.connections_per_address, limits.max_unauthenticated) == (1_000, 1_000)
    assert (events.max_events, events.max_payload, events.max_ratio, events.max_depth) == (500, 1_048_576, 100, 16)
    assert (events.max_string, events.max_future_s) == (1_024, 600)
    assert settings.token.lifetime_s == 86_400


def test_the_decoders_limits_have_these_names_and_defaults(tmp_path: Path) -> None:
    ours = load_settings(tmp_path).events.model_dump()
    ours["max_future_us"] = ours.pop("max_future_s") * 1_000_000
    assert Limits(**ours) == DEFAULT
    # No settings: a bound of the protocol between bridge and client, and what bounds the work of a format's message.
    fixed = {"doubtful_future_us", "max_made"}
    assert Limits().max_message == load_settings(tmp_path).limits.app_message  # the door has it, too
    fixed |= {"max_message"}
    assert set(ours) == {field.name for field in dataclasses.fields(Limits)} - fixed


def test_options_win_over_environment_over_file_over_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "here"
    file = write(data, "[broker]\nmqtt_port = 1\nmqtts_port = 2\nwss_port = 3\n")
    monkeypatch.setenv("HEALTHSYNC_BROKER__MQTTS_PORT", "22")
    monkeypatch.setenv("HEALTHSYNC_BROKER__WSS_PORT", "33")
    settings = load_settings(data, {"broker.wss_port": 333, "broker.mqtts_port": None})
    assert (settings.broker.mqtt_port, settings.broker.mqtts_port, settings.broker.wss_port) == (1, 22, 333)
    origins = {setting.key: setting.origin for setting in settings.describe()}
    assert origins["broker.mqtt_port"] == str(file)
    assert origins["broker.mqtts_port"] == "HEALTHSYNC_BROKER__MQTTS_PORT"
    assert origins["broker.wss_port"] == "option"
    assert origins["broker.host"] == "default"


def test_the_data_directory_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEALTHSYNC_DATA", str(tmp_path / "env"))
    write(tmp_path / "env", "[bridge]\nid = 'from-env'\n")
    write(tmp_path / "option", "[bridge]\nid = 'from-option'\n")
    assert load_settings().bridge.id == "from-env"
    assert load_settings(Path("option")).bridge.id == "from-option"
    assert load_settings(Path("option")).data == tmp_path / "option"
    assert load_settings(None, {"data": "option"}).data == tmp_path / "option"


def test_the_paths_lie_in_the_data_directory(tmp_path: Path) -> None:
    paths = load_settings(tmp_path).paths
    names = (
        "events_db",
        "registry_db",
        "keys",
        "certs",
        "service_file",
        "service_socket",
        "writer_lock",
        "config_file",
    )
    assert [getattr(paths, name).relative_to(tmp_path).as_posix() for name in names] == [
        "events.db", "registry.db", "keys", "certs", "service.json", "service.sock", "writer.lock", "healthsync.toml",
    ]  # fmt: skip


def test_a_topics_file_in_the_file_is_relative_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = tmp_path / "here"
    write(data, 'topics_file = "mine.yaml"\n')
    assert load_settings(data).topics_file == data / "mine.yaml"
    monkeypatch.setenv("HEALTHSYNC_TOPICS_FILE", "other.yaml")
    assert load_settings(data).topics_file == Path("other.yaml")


def test_lists_are_written_with_commas_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEALTHSYNC_BROKER__ALLOWED_ORIGINS", "https://a.example, https://b.example")
    assert load_settings(tmp_path).broker.allowed_origins == ("https://a.example", "https://b.example")
    monkeypatch.delenv("HEALTHSYNC_BROKER__ALLOWED_ORIGINS")
    write(tmp_path, '[broker]\nallowed_origins = ["https://c.example"]\n')
    assert load_settings(tmp_path).broker.allowed_origins == ("https://c.example",)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_the_plain_listener_may_be_on_loopback(tmp_path: Path, host: str) -> None:
    assert load_settings(tmp_path, {"broker.host": host}).broker.host == host


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "192.168.1.2", "10.0.0.1", "example.org", "", "localhost.evil.example", "*"]
)
def test_t51_the_plain_listener_is_refused_elsewhere(
    tmp_path: Path, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "option: broker.host: a listener without TLS" in str(problem(tmp_path, {"broker.host": host}))
    file = write(tmp_path, f'[broker]\nhost = "{host}"\n')
    assert f"{file}: broker.host:" in str(problem(tmp_path))
    monkeypatch.setenv("HEALTHSYNC_BROKER__HOST", host)
    assert "HEALTHSYNC_BROKER__HOST: broker.host:" in str(problem(tmp_path))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (f'nope = "{CANARY}"', "nope"),
        (f'[broker]\nport = "{CANARY}"', "broker.port"),
        (f'[limits]\nmax_paket = "{CANARY}"', "limits.max_paket"),
        (f'[nope]\nx = "{CANARY}"', "nope"),
    ],
)
def test_unknown_keys_are_refused_with_key_and_file(tmp_path: Path, text: str, key: str) -> None:
    file = write(tmp_path, text)
    error = problem(tmp_path)
    assert str(error) == f"{file}: there is no setting {key}"
    assert key in error.hint


def test_unknown_names_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEALTHSYNC_BROKER__PORT", CANARY)
    assert str(problem(tmp_path)) == "HEALTHSYNC_BROKER__PORT: there is no setting broker.port"
    monkeypatch.delenv("HEALTHSYNC_BROKER__PORT")
    monkeypatch.setenv("HEALTHSYNC_BROKR__HOST", CANARY)
    assert "HEALTHSYNC_BROKR__HOST" in str(problem(tmp_path))
    monkeypatch.delenv("HEALTHSYNC_BROKR__HOST")
    monkeypatch.setenv("HEALTHSYNC_TOKEN", CANARY)  # other programs keep theirs under the same prefix
    assert load_settings(tmp_path).token.lifetime_s == 86_400


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("broker.mqtt_port", 65_536),
        ("broker.mqtt_port", -1),
        ("broker.mqtt_port", CANARY),
        ("broker.tls_minimum", CANARY),
        ("limits.max_packet", 0),
        ("limits.max_packet", 268_435_456),
        ("limits.connect_timeout_s", float("nan")),
        ("limits.connect_timeout_s", 0),
        ("events.max_events", 0),
        ("token.lifetime_s", 86_401),
        ("bridge.id", CANARY + "/#"),
        ("bridge.id", "main\n"),
        ("log.level", CANARY),
        ("broker", 3),
    ],
)
def test_values_out_of_range_are_refused_without_repeating_them(tmp_path: Path, key: str, value: object) -> None:
    error = problem(tmp_path, {key: value})
    assert f"option: {key}" in str(error)


@pytest.mark.parametrize(
    ("key", "least", "most"),
    [
        ("broker.mqtt_port", 0, 65_535),
        ("limits.max_packet", 1_024, 268_435_455),
        ("limits.max_connections", 1, 10_000_000),
        ("limits.connections_per_address", 1, 10_000_000),
        ("events.max_events", 1, 10_000),
        ("token.lifetime_s", 1, 86_400),
    ],
)
def test_limits_hold_exactly(tmp_path: Path, key: str, least: int, most: int) -> None:
    for value in (least, most):
        described = {setting.key: setting.value for setting in load_settings(tmp_path, {key: value}).describe()}
        assert described[key] == value
    for value in (least - 1, most + 1):
        assert key in str(problem(tmp_path, {key: value}))


@pytest.mark.parametrize("text", [f"secret = {CANARY}", f'x = "{CANARY}', f"[{CANARY}", "a = 1\na = 2"])
def test_a_file_that_is_not_toml_is_named_with_the_place(tmp_path: Path, text: str) -> None:
    file = write(tmp_path, text)
    error = str(problem(tmp_path))
    assert str(file) in error
    assert "line" in error or "end of document" in error


@pytest.mark.parametrize("text", ["a = " + "[" * 20_000, "a = " + "9" * 5_000], ids=["nesting", "number"])
def test_what_the_reader_of_toml_does_not_bear_is_named_too(tmp_path: Path, text: str) -> None:
    """Either was an error of its own that ended a running service at SIGHUP."""
    file = write(tmp_path, text)
    assert f"{file} is not TOML" in str(problem(tmp_path))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    file = tmp_path / "healthsync.toml"
    file.write_bytes(b'x = "\xff"')
    assert f"{file} is not TOML: not UTF-8" in str(problem(tmp_path))
    file.unlink()
    file.mkdir()
    assert f"{file} cannot be read" in str(problem(tmp_path))


def test_the_data_directory_is_not_set_from_inside(tmp_path: Path) -> None:
    write(tmp_path, f'data = "{CANARY}"')
    assert "data cannot be set" in str(problem(tmp_path))


def test_every_setting_says_what_it_is(tmp_path: Path) -> None:
    described = load_settings(tmp_path).describe()
    assert len(described) > 30
    assert [setting.key for setting in described if not setting.summary] == []


def test_settings_do_not_change(tmp_path: Path) -> None:
    settings = load_settings(tmp_path)
    with pytest.raises(ValueError, match="frozen"):
        settings.broker.mqtt_port = 1  # type: ignore[misc]
    with pytest.raises(ValueError, match="frozen"):
        settings.data = tmp_path  # type: ignore[misc]


def test_settings_built_directly_ignore_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEALTHSYNC_BROKER__MQTT_PORT", "7")
    assert Settings().broker.mqtt_port == 1883
