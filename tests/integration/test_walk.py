"""Every command: once with --help, once well, once wrong; at 80 columns, with LANG=C's letters, without a terminal."""

import ast
import json
import re
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
import typer.main
from click.testing import CliRunner, Result

from healthsync_mqtt.cli import output
from healthsync_mqtt.cli.main import app
from tests.support.influx_double import InfluxDouble
from tests.support.pages import FOLLOWED, blocks
from tests.support.patience import PATIENCE_S, wait_until
from tests.support.service import Service

ROOT = Path(__file__).parents[2]
COMMAND = typer.main.get_command(app)
COLUMNS = 80


@dataclass(frozen=True)
class OnPage:
    """It needs a broker of others, or runs until it is stopped: the test that types ``page`` types it there."""

    page: str


@dataclass(frozen=True)
class Elsewhere:
    """It needs a second installation: the test of this name runs it well, by these words."""

    test: str
    words: str


@dataclass(frozen=True)
class OfTheScene:
    """It is what all other rows run beside."""


@dataclass(frozen=True)
class Row:
    """``well`` ends with 0 and prints ``says``; ``wrong`` ends with ``code`` and says what to do.

    ``{name}`` is what an earlier row printed, or a path of the scene.
    """

    well: str | OnPage | Elsewhere | OfTheScene
    wrong: str
    says: str = ""
    code: int = 2
    keep: Mapping[str, str] = field(default_factory=dict)
    before: "Callable[[Scene], None] | None" = None
    """What has to happen first."""


class InC:
    """The program under LANG=C: its streams take ASCII alone, as ``main`` prepares them."""

    name = "healthsync"

    def main(self, **options: Any) -> Any:
        output.for_any_locale()
        return COMMAND.main(**options)


class Scene:
    """A service, a sink's server, files; and what the rows printed."""

    def __init__(self, service: Service, tmp: Path, influx: str) -> None:
        data = service.data
        self.service = service
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="alice-watch", reconnect_on_failure=False)
        self.known = {"data": str(data), "tmp": str(tmp), "influx": influx}
        self.runner = CliRunner(
            charset="ascii", env={"HEALTHSYNC_DATA": str(data), "COLUMNS": str(COLUMNS), "LANG": "C"}
        )
        self.results: dict[str, tuple[Result | None, Result]] = {}

    def run(self, line: str) -> Result:
        words = [word.format_map(self.known) if word != "users/{user}/events" else word for word in line.split()]
        return self.runner.invoke(InC(), words)  # type: ignore[arg-type]  # CliRunner needs a name and main()


def connect(scene: Scene) -> None:
    """alice's watch is there."""
    connected = threading.Event()
    scene.client.on_connect = lambda *_: connected.set()
    scene.client.username_pw_set("alice-watch", (Path(scene.known["tmp"]) / "t").read_text())
    scene.client.connect(*scene.service.mqtt)
    scene.client.loop_start()
    assert connected.wait(PATIENCE_S)


def be_refused(scene: Scene) -> None:
    """One event that no heart makes, and one with a longer text than is taken."""
    for name in ("bad", "long"):
        assert scene.run(f"publish {{tmp}}/{name}.json --user alice --device watch").exit_code == 1


def take_long_texts(scene: Scene) -> None:
    """The cause is mended while the service runs."""
    (scene.service.data / "healthsync.toml").write_text("[events]\nmax_string = 4096\n")
    scene.service.send(signal.SIGHUP)
    wait_until(lambda: "bridge.reloaded" in scene.service.log_path.read_text(), "the reload")


NOBODY = "http://127.0.0.1:9"

MIGRATED = "tests/integration/test_storage_migrate.py::test_tables_are_made_and_nothing_else"
COPIED = "tests/integration/test_storage_copy.py::test_a_device_goes_on_with_the_same_token_and_loses_nothing"
LINKED = "tests/integration/test_adapters.py::test_a_link_is_fetched_revised_killed_and_over"

_BLE = "tests/integration/test_ble.py"
ADOPTED = "tests/integration/test_postgres_sinks.py::test_where_sinks_have_shipped_from_elsewhere_a_person_decides"
WALK: dict[str, Row] = {
    "version": Row("version", "version --jsn", "0."),
    "user add": Row("user add alice --consent all", "user add alice --consent all", "added alice", code=1),
    "user list": Row("user list", "user list alice", "alice"),
    "user export": Row("user export alice -o {tmp}/alice.zip", "user export nobody -o {tmp}/n.zip", code=1),
    "user show": Row("user show alice", "user show nobody", "alice", code=1),
    "user suspend": Row("user suspend alice", "user suspend nobody", "suspended", code=1),
    "user resume": Row("user resume alice", "user resume nobody", "resumed", code=1),
    "consent grant": Row("consent grant alice --types all", "consent grant alice --types hart_rate"),
    "consent show": Row("consent show alice", "consent show nobody", code=1),
    "consent history": Row("consent history alice", "consent history nobody", code=1),
    "device add": Row("device add alice watch --token-file {tmp}/t", "device add nobody watch", "alice-watch", code=1),
    "device token": Row("device token alice watch", "device token alice watch --lifetime 9d", "The token is not shown"),
    "user invite": Row(
        "user invite alice --base https://localhost:8443", "user invite nobody --base https://localhost:8443", code=1
    ),
    "device list": Row("device list", "device list --user nobody", "watch", code=1),
    "device show": Row("device show alice watch", "device show alice nothing", "last_seen_at", code=1),
    "device why": Row("device why alice watch", "device why alice nothing", "it may connect", code=1),
    "device rename": Row("device rename alice watch Cuff", "device rename alice nothing Cuff", "Cuff", code=1),
    "device suspend": Row("device suspend alice watch", "device suspend alice nothing", "suspended", code=1),
    "device resume": Row("device resume alice watch", "device resume alice nothing", "resumed", code=1),
    "device enroll": Row("device enroll alice ring", "device enroll nobody ring", "code", code=1),
    "app add": Row("app add alice phone --format json", "app add nobody phone --format json", "alice-phone", code=1),
    "app list": Row("app list", "app list alice", "phone"),
    "app show": Row("app show alice phone", "app show alice nothing", "alice-phone", code=1),
    "app why": Row("app why alice phone", "app why alice nothing", "it may connect", code=1),
    "app rename": Row("app rename alice phone Upstairs", "app rename alice watch Upstairs", "Upstairs", code=1),
    "app suspend": Row("app suspend alice phone", "app suspend alice watch", "suspended", code=1),
    "app resume": Row("app resume alice phone", "app resume alice watch", "resumed", code=1),
    "app rotate": Row("app rotate alice phone --yes", "app rotate alice nothing --yes", "alice-phone", code=1),
    "app webhook": Row(
        Elsewhere(
            "tests/integration/test_gateway.py::test_an_app_that_signs_its_webhooks_needs_no_credential",
            '"app", "webhook"',
        ),
        "app webhook alice nothing",
        code=1,
    ),
    "app remove": Row("app remove alice phone --yes", "app remove alice phone", "removed", code=1),
    "format list": Row("format list", "format list now", "health_auto_export"),
    "format show": Row("format show json", "format show jsn", "json"),
    "format try": Row("format try json {tmp}/event.json", "format try json {tmp}/none", "heart_rate", code=1),
    "adapter list": Row("adapter list", "adapter list now", "withings"),
    "adapter link": Row(
        Elsewhere("tests/integration/test_adapters.py::link", '"adapter", "link"'), "adapter link alice fitbit", code=69
    ),
    "adapter sync": Row(
        Elsewhere("tests/integration/test_adapters.py::sync", '"adapter", "sync"'), "adapter sync alice oura", code=1
    ),
    "adapter unlink": Row(Elsewhere(LINKED, '"adapter", "unlink"'), "adapter unlink alice oura --yes", code=1),
    "adapter status": Row(Elsewhere(LINKED, '"adapter", "status"'), "adapter status alice"),
    "adapter pause": Row(Elsewhere(LINKED, '"adapter", "pause"'), "adapter pause alice oura", code=1),
    "adapter backfill": Row(Elsewhere(LINKED, '"adapter", "backfill"'), "adapter backfill alice oura", code=1),
    "adapter webhook": Row(
        Elsewhere(
            "tests/unit/cli/test_adapter_webhook.py::test_where_a_provider_sends_is_shown_and_whether_it_does",
            '"adapter", "webhook"',
        ),
        "adapter webhook oura",
        code=78,
    ),
    "adapter new": Row("adapter new mine", "adapter new withings", "mine", code=1),
    "adapter map": Row("adapter map oura sleep {tmp}/night.json", "adapter map oura slep {tmp}/night.json", "sleep"),
    "subscriber add": Row("subscriber add app --users *", "subscriber add app --users *", "app", code=1),
    "subscriber token": Row("subscriber token app", "subscriber token nobody", "token", code=1),
    "subscriber list": Row("subscriber list", "subscriber list app", "app"),
    "subscriber show": Row("subscriber show app", "subscriber show nobody", "last_seen_at", code=1),
    "subscriber why": Row("subscriber why app", "subscriber why nobody", "it may connect", code=1),
    "subscriber lag": Row("subscriber lag", "subscriber lag app"),
    "subscriber rewind": Row(
        "subscriber rewind app --to start", "subscriber rewind app --to tomorrow", "app gets what follows from seq 1 on"
    ),
    "subscriber suspend": Row("subscriber suspend app", "subscriber suspend nobody", "suspended", code=1),
    "subscriber resume": Row("subscriber resume app", "subscriber resume nobody", "resumed", code=1),
    "webhook add": Row(
        "webhook add board app https://localhost/hook", "webhook add board app ftp://localhost", "secret", code=1
    ),
    "webhook list": Row("webhook list", "webhook list board", "board"),
    "webhook show": Row("webhook show board", "webhook show bord", "enabled", code=1),
    "webhook test": Row(
        Elsewhere(
            "tests/unit/gateway/jobs/test_deliveries.py::test_both_secrets_sign_for_a_day_and_a_test_is_signed_too",
            '"webhook", "test", "board"',
        ),
        "webhook test bord",
        code=1,
    ),
    "webhook enable": Row("webhook enable board", "webhook enable bord", "enabled", code=1),
    "webhook rotate": Row("webhook rotate board", "webhook rotate bord", "secret", code=1),
    "webhook remove": Row("webhook remove board --yes", "webhook remove board --yes", "removed", code=1),
    "homeassistant enable": Row(
        "homeassistant enable alice heart_rate", "homeassistant enable alice hart_rate", "shown of alice: heart_rate"
    ),
    "homeassistant list": Row("homeassistant list", "homeassistant list alice", "heart_rate"),
    "homeassistant disable": Row(
        "homeassistant disable alice", "homeassistant disable nobody", "shown of alice: nothing", code=1
    ),
    "homeassistant login": Row("homeassistant login app", "homeassistant login nobody", "client_id", code=1),
    "up": Row(OfTheScene(), "up --mqtt-port many"),
    "status": Row("status", "status --verbose", "running (process"),
    "doctor": Row("doctor", "doctor now", "python"),
    "publish": Row(
        "publish {tmp}/event.json --user alice --device watch", "publish {tmp}/none --user alice --device w", code=1
    ),
    "sample": Row("sample {tmp}/walk.fit", "sample {tmp}/none/walk.fit", code=1),
    "import": Row(
        "import {tmp}/walk.fit --user alice --device garmin", "import {tmp}/none --user alice --device g", code=1
    ),
    "replay": Row(
        "replay {tmp}/walk.fit --user alice --device garmin", "replay {tmp}/event.json --user alice --device g", code=1
    ),
    "simulate": Row(
        "simulate --devices 1 --rate 50 --count 5 --seed 7 --day 2026-11-01", "simulate --devices 1 --duration long"
    ),
    "trace": Row("trace alice-watch --for 1s", "trace nobody --for 1s", code=1),
    "client list": Row("client list", "client list --limit 0"),
    "client kick": Row("client kick alice-watch --yes", "client kick app", "closed", code=1, before=connect),
    "events list": Row("events list", "events list --type hart_rate", "heart_rate", keep={"event": r"^(\d+)\t"}),
    "events show": Row("events show {event}", "events show 999999", "heart_rate", code=1),
    "events tail": Row("events tail --count 1", "events tail --type hart_rate", "heart_rate"),
    "events export": Row("events export --user alice", "events export --user nobody", "heart_rate", code=1),
    "events history": Row("events history one --user alice", "events history two --user alice", "watch", code=1),
    "events stats": Row("events stats", "events stats --by mood", "heart_rate"),
    "source list": Row("source list --user alice", "source list --user nobody", code=1),
    "source prefer": Row("source prefer watch --user alice", "source prefer watch --user nobody", "watch", code=1),
    "insight list": Row("insight list --user alice", "insight list --user nobody", code=1),
    "insight show": Row("insight show --user alice", "insight show --user nobody", code=1),
    "insight run": Row("insight run --user alice --day 2026-11-23", "insight run --user alice --day soon"),
    "insight kinds": Row("insight kinds", "insight kinds --all", "baseline"),
    "summary": Row("summary --user alice", "summary --user nobody", code=1),
    "rejected list": Row(
        "rejected list",
        "rejected list --reason silly",
        keep={"number": r"^(\d+)\t", "long": r"^(\d+)\t.*\tbad_string\t"},
        before=be_refused,
    ),
    "rejected show": Row("rejected show {number}", "rejected show 999999", code=1),
    "rejected replay": Row("rejected replay {long}", "rejected replay", "released", before=take_long_texts),
    "rejected purge": Row("rejected purge --older-than 30d --yes", "rejected purge --older-than 30d"),
    "storage status": Row("storage status", "storage status now", "epoch"),
    "storage restore-check": Row("storage restore-check", "storage restore-check now"),
    "storage encrypt": Row("storage encrypt", "storage encrypt now", "is sealed"),
    "storage copy": Row(Elsewhere(COPIED, '"storage", "copy"'), "storage copy sqlite sqlite"),
    "storage migrate": Row(Elsewhere(MIGRATED, '"storage", "migrate"'), "storage migrate", code=69),
    "key status": Row("key status", "key status now", "file"),
    "key check": Row("key check", "key check now", "open"),
    "key rewrap": Row("key rewrap", "key rewrap --provider nobody", "wrapped anew"),
    "backup create": Row(
        "backup create {tmp}/backups --keys {tmp}/keys.tar", "backup create {data}/inside", "written and read back"
    ),
    "backup verify": Row("backup verify {tmp}/backups", "backup verify {tmp}/none", "sound", code=1),
    "backup list": Row("backup list {tmp}/backups", "backup list {tmp}/none", code=1),
    "restore": Row(
        "restore {tmp}/backups --data {tmp}/restored --keys {tmp}/keys.tar",
        "restore {tmp}/none --data {tmp}/other",
        code=1,
    ),
    "config show": Row("config show", "config show now", "broker.mqtt_port"),
    "config check": Row("config check", "config check now", "valid"),
    "topic list": Row("topic list", "topic list now", "users/{user}/events"),
    "topic check": Row("topic check --as alice/watch --publish users/alice/events", "topic check --as alice/watch"),
    "type list": Row("type list", "type list now", "heart_rate"),
    "type show": Row("type show hr", "type show hart_rate", "heart_rate"),
    "type schema": Row("type schema hr", "type schema hart_rate", "2020-12"),
    "key list": Row("key list", "key list now", keep={"kid": r"^(\S+)"}),
    "key rotate": Row("key rotate", "key rotate --publish soon", "signs from", keep={"next": r"the key (\S+) signs"}),
    "key retire": Row("key retire {next}", "key retire nobody --yes", "retired", code=1),
    "key jwks": Row("key jwks", "key jwks now", '"keys"'),
    "cert init-ca": Row("cert init-ca --data {tmp}/new", "cert init-ca", "ca.crt", code=1),
    "cert issue": Row("cert issue device alice watch --out {tmp}", "cert issue device alice nothing", code=1),
    "cert list": Row("cert list", "cert list now", "alice-watch", keep={"serial": r"^(\S+)\tdevice"}),
    "cert renew": Row("cert renew device alice watch --out {tmp}", "cert renew device alice nothing", code=1),
    "cert inspect": Row("cert inspect {data}/certs/ca.crt", "cert inspect {tmp}/none", code=1),
    "cert revoke": Row("cert revoke {serial} --yes", "cert revoke 00 --yes", code=1),
    "sink add influxdb": Row("sink add influxdb {influx}", f"sink add influxdb {NOBODY} --name other", code=69),
    "sink add file": Row("sink add file {tmp}/out", "sink add file {tmp}/event.json --name other", code=69),
    "sink add kafka": Row(
        OnPage("docs/howto/kafka.md"), "sink add kafka 127.0.0.1:9 --plaintext --user alice --name other"
    ),
    "sink list": Row("sink list", "sink list now", "influxdb"),
    "sink status": Row("sink status influxdb", "sink status nobody", "state", code=1),
    "sink show": Row("sink show influxdb", "sink show nobody", "target", code=1),
    "sink set": Row("sink set influxdb --flush-s 0.5", "sink set influxdb"),
    "sink test": Row("sink test influxdb", "sink test nobody", code=1),
    "sink user": Row("sink user alice", "sink user nobody", "alice", code=1),
    "sink suspend": Row("sink suspend influxdb", "sink suspend nobody", "suspended", code=1),
    "sink backfill": Row("sink backfill influxdb", "sink backfill nobody", code=1),
    "sink reconcile": Row("sink reconcile influxdb --dry-run", "sink reconcile nobody", code=1),
    "sink resume": Row("sink resume influxdb", "sink resume nobody", "resumed", code=1),
    "sink adopt": Row(Elsewhere(ADOPTED, '"sink", "adopt", "--yes"'), "sink adopt"),
    "sink remove": Row("sink remove file --yes", "sink remove file --yes", "removed", code=1),
    "broker render": Row(
        "broker render mosquitto --out {tmp}/mosquitto", "broker render postfix --out {tmp}/p", code=1
    ),
    "broker credentials": Row("broker credentials", "broker credentials now"),
    "broker password list": Row("broker password list", "broker password list now", "healthsync-hooks"),
    "broker password rotate": Row("broker password rotate healthsync-hooks", "broker password rotate nobody", code=1),
    "broker provision": Row(OnPage("docs/howto/mosquitto.md"), "broker provision postfix"),
    "broker check": Row(OnPage("docs/howto/mosquitto.md"), "broker check now"),
    "ble scan": Row(Elsewhere(f"{_BLE}::test_who_is_there", '"ble", "scan"'), "ble scan --within soon"),
    "ble read": Row(
        Elsewhere(f"{_BLE}::test_a_weighing_is_stored_and_the_same_one_is_known", '"ble", "read"'), "ble read nobody"
    ),
    "ble run": Row(OnPage("docs/howto/ble.md"), "ble run nobody"),
    "gateway run": Row(OnPage("docs/howto/gateway.md"), "gateway run --http-port many"),
    "mcp": Row(OnPage("docs/howto/assistant.md"), "mcp --url http://health.example --token-file {tmp}/none"),
    "bridge run": Row(OnPage("docs/howto/mosquitto.md"), "bridge run", code=69),
    "bridge join": Row(
        Elsewhere(
            "tests/integration/test_bridge_join.py"
            "::test_points_stay_one_corrections_hold_and_what_was_deleted_stays_deleted",
            '("bridge", "join",',
        ),
        "bridge join /nowhere --shard 2/2",
        code=1,
    ),
    "auth serve": Row(OnPage("docs/howto/rabbitmq.md"), "auth serve --port many"),
    "token revoke": Row("token revoke --user alice --device watch", "token revoke"),
    "admin add": Row("admin add root", "admin add app", "token", code=1),
    "admin list": Row("admin list", "admin list root", "root"),
    "admin token": Row("admin token root", "admin token nobody", "token", code=1),
    "admin invite": Row(
        "admin invite root --base https://localhost", "admin invite nobody --base https://localhost", "url", code=1
    ),
    "admin remove": Row("admin remove root --yes", "admin remove root --yes", "removed", code=1),
    "audit list": Row("audit list", "audit list --limit 0", "user.added"),
    "audit verify": Row("audit verify", "audit verify now"),
    "consent withdraw": Row("consent withdraw alice", "consent withdraw nobody", code=1),
    "subscriber remove": Row("subscriber remove app --yes", "subscriber remove app --yes", code=1),
    "device remove": Row("device remove alice watch --yes", "device remove alice watch", code=1),
    "user remove": Row("user remove alice --yes", "user remove alice", code=1),
    "user erase": Row("user erase alice --yes", "user erase alice --yes", "erased", code=1),
}
"""In the order in which they run: what a later row needs, an earlier one has made."""


def commands(group: Any = COMMAND, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        elif not command.hidden:
            yield (*path, name)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    tmp = tmp_path_factory.mktemp("walk")
    events = [
        {"id": "one", "type": "heart_rate", "start_time": "2026-01-01T00:00:00Z", "value": {"bpm": 70}},
    ]
    (tmp / "event.json").write_text(json.dumps(events[0]))
    night = {"id": "n", "bedtime_start": "2026-10-24T23:10:00+02:00", "bedtime_end": "2026-10-25T05:30:00+01:00"}
    (tmp / "night.json").write_text(json.dumps({"data": [night | {"type": "long_sleep"}]}))
    (tmp / "bad.json").write_text(json.dumps(events[0] | {"id": "two", "value": {"bpm": 900}}))
    (tmp / "long.json").write_text(json.dumps(events[0] | {"id": "three", "device": {"model": "m" * 2000}}))
    with InfluxDouble() as influx, Service(tmp / "data") as service:
        scene = Scene(service, tmp, influx.url)
        for name, row in WALK.items():
            if row.before is not None:
                row.before(scene)
            well = scene.run(row.well) if isinstance(row.well, str) else None
            if well is not None:
                for key, pattern in row.keep.items():
                    found = re.search(pattern, well.stdout + well.stderr, re.MULTILINE)
                    assert found, (name, well.output)
                    scene.known[key] = found[1]
            scene.results[name] = well, scene.run(row.wrong)
        scene.client.loop_stop()
        yield scene


def test_every_command_has_a_row() -> None:
    assert {" ".join(path) for path in commands()} == set(WALK)


def test_the_reference_has_the_same_commands() -> None:
    text = (ROOT / "docs/reference/cli.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^## healthsync (.+)$", text, re.MULTILINE)) == set(WALK)


@pytest.mark.parametrize("name", WALK)
def test_help_fits_eighty_columns(name: str) -> None:
    runner = CliRunner(charset="ascii", env={"COLUMNS": str(COLUMNS), "LANG": "C"})
    shown = runner.invoke(InC(), [*name.split(), "--help"])  # type: ignore[arg-type]
    assert shown.exit_code == 0, shown.output
    assert [line for line in shown.stdout.splitlines() if len(line) > COLUMNS] == []
    assert f"Example: healthsync {name}" in shown.stdout
    assert ("--json" in shown.stdout) is (name != "mcp")  # its stdout is a protocol's


@pytest.mark.parametrize("name", WALK)
def test_well(name: str, scene: Scene) -> None:
    row, well = WALK[name], scene.results[name][0]
    match row.well:
        case OfTheScene():
            assert scene.service.running
            return
        case OnPage(page):
            assert "::test_" in FOLLOWED[page]
            typed = "\n".join(each.text for each in blocks(page) if each.typed)
            assert f"healthsync {name}" in typed
            return
        case Elsewhere(test, words):
            file, _, function = test.partition("::")
            text = (ROOT / file).read_text(encoding="utf-8")
            (found,) = (each for each in ast.walk(ast.parse(text)) if getattr(each, "name", "") == function)
            assert words in (ast.get_source_segment(text, found) or "")
            return
    assert well is not None
    assert well.exit_code == 0, (well.output, well.stderr, well.exception)
    assert row.says in well.stdout + well.stderr
    assert "Traceback" not in well.output
    assert WORDLESS.search(well.stdout) is None, well.stdout


WORDLESS = re.compile(r"(?:^|\t)(?:True|False|None|yes|no)(?:\t|$)|  (?:True|False|None)$", re.MULTILINE)
"""What says nothing to people; in a pipe, where no headings are, yes and no neither."""


HAND_OUT = {
    "app add",
    "app rotate",
    "device add",
    "device token",
    "device enroll",
    "subscriber add",
    "subscriber token",
    "app webhook",
    "user invite",
    "webhook add",
    "admin add",
    "admin token",
    "admin invite",
    "webhook rotate",
}
"""What is asked for a secret; test_cli_secrets says where it may go."""


def test_no_other_command_prints_a_secret(scene: Scene) -> None:
    places = [scene.service.data, Path(scene.known["tmp"])]
    files = [path for place in places for pattern in ("keys/*", "credentials/*", "certs/*.key", "*.key", "t", "*.token")
             for path in place.glob(pattern) if path.is_file()]  # fmt: skip
    secrets = {
        line
        for path in files
        for line in path.read_text(errors="replace").splitlines()
        if len(line) >= 16 and not line.startswith("-----") and path.name != "keyring.json"
    }
    assert len(files) >= 8
    assert len(secrets) >= 12
    printed = {
        name: result.stdout + result.stderr
        for name, results in scene.results.items()
        for result in results
        if result is not None and name not in HAND_OUT
    }
    assert [name for name, text in printed.items() if any(secret in text for secret in secrets)] == []


@pytest.mark.parametrize("name", WALK)
def test_wrong(name: str, scene: Scene) -> None:
    row, wrong = WALK[name], scene.results[name][1]
    assert wrong.exit_code == row.code, (wrong.output, wrong.stderr, wrong.exception)
    assert "Traceback" not in wrong.output
    said = wrong.stderr
    assert "Usage:" in said or ("error: " in said and "fix: " in said), said
    assert wrong.stdout == ""
