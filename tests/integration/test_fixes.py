"""What our texts tell a reader to type: every command in every text runs as it is printed.

``tests/support/texts.py`` finds the texts in the code; one with a new command has to get its row here.
"""

import contextlib
import json
import re
import shlex
import signal
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from typer.testing import CliRunner, Result

from healthsync_mqtt.cli.main import needed, program
from tests.support.influx_double import InfluxDouble
from tests.support.pages import FOLLOWED, blocks
from tests.support.patience import PATIENCE_S, wait_until
from tests.support.service import Service
from tests.support.texts import told

ROOT = Path(__file__).parents[2]
OURS = "healthsync "
COMMANDS = sorted({each.removeprefix(OURS) for text in told() for each in text.typed if each.startswith(OURS)})
FIELD, CAPITALS = re.compile(r"\\\{[a-z_]+\\\}"), re.compile(r"\b[A-Z]+\b")
"""What is filled in, in an escaped text."""


@dataclass(frozen=True)
class Line:
    """A command with its blanks filled in, and what is typed before it."""

    typed: str
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    """So that the next ones find what they found."""
    new: bool = False
    """On a data directory that is not there yet."""


@dataclass(frozen=True)
class Starts:
    """The service itself, which says that it is ready; ``after``: it has run on its directory before."""

    typed: str
    after: bool = False


@dataclass(frozen=True)
class OnPage:
    """It needs a broker of others: the test that types ``page`` types it there."""

    page: str
    typed: str


@dataclass(frozen=True)
class ByTest:
    """The test, or what it is made of, that has these words runs it, with brokers and services of its own."""

    test: str
    words: str


RING = "device add alice ring"
AT_ONCE = "key rotate --publish 0s"
"""It signs before services have read it: within a second they have."""
TYPED: dict[str, Line | Starts | OnPage | ByTest] = {
    "admin add NAME": Line("admin add first"),
    "admin add {name}": Line("admin add second"),
    "admin list": Line("admin list"),
    "admin remove NAME --yes": Line("admin remove third --yes", ("admin add third",)),
    "admin remove {name} --yes": Line("admin remove fourth --yes", ("admin add fourth",)),
    "app add USER NAME --format FORMAT": Line("app add alice gauge --format json"),
    "app add {user} {name} --format FORMAT": Line("app add alice gauge2 --format json"),
    "app list": Line("app list"),
    "app remove {user} {name} --yes": Line("app remove alice dial --yes", ("app add alice dial --format json",)),
    "app resume {user} {device}": Line(
        "app resume alice gauge3", ("app add alice gauge3 --format json", "app suspend alice gauge3 --yes")
    ),
    "app rotate USER NAME": Line("app rotate alice meter", ("app add alice meter --format json",)),
    "audit list": Line("audit list"),
    "audit list --action token": Line("audit list --action token"),
    "audit list --user USER --device DEVICE": Line("audit list --user alice --device watch"),
    "auth serve": OnPage("docs/howto/rabbitmq.md", "auth serve --rabbitmq http://127.0.0.1:15672"),
    "backup create DIR": Line("backup create {tmp}/backups"),
    "backup create {path}": Line("backup create {tmp}/backups"),
    "backup create {place}": Line("backup create {tmp}/backups"),
    "backup list DIR": Line("backup list {tmp}/backups", ("backup create {tmp}/backups",)),
    "ble scan": ByTest("tests/integration/test_ble.py", '"ble", "scan"'),
    "bridge run --accept-restored": ByTest("tests/integration/test_bridge_restored.py", '"--accept-restored"'),
    "bridge run --shard 1/2": ByTest("tests/support/external_rig.py", '["--shard", part]'),
    "bridge run --shard 2/2": ByTest("tests/support/external_rig.py", '["--shard", part]'),
    "broker check": OnPage("docs/howto/mosquitto.md", "broker check"),
    "broker credentials": Line("broker credentials"),
    "broker password list": Line("broker password list"),
    "broker provision mosquitto --gateways 2": ByTest(
        "tests/integration/test_postgres_gateways.py", '"--gateways", "east,west"'
    ),
    "broker provision mosquitto": OnPage("docs/howto/mosquitto.md", "broker provision mosquitto --watch"),
    "broker render BROKER --out DIR": Line("broker render rabbitmq --out {tmp}/rabbitmq"),
    "broker render mosquitto --out DIR": Line("broker render mosquitto --out {tmp}/mosquitto"),
    "cert issue device USER DEVICE": Line("cert issue device alice watch"),
    "cert issue server --host NAME": Line("cert issue server --host broker.example"),
    "cert issue subscriber NAME": Line("cert issue subscriber app"),
    "cert issue {kind} {named}": Line("cert issue device alice scale", ("device add alice scale",)),
    "cert list": Line("cert list"),
    "cert renew device USER DEVICE": Line("cert renew device alice watch"),
    "cert renew server": Line("cert renew server"),
    "cert revoke {serial} --yes": Line("cert revoke {serial} --yes"),
    "client kick {client_id} --yes": Line("client kick bob-watch --yes"),
    "client list": Line("client list"),
    "consent grant USER --types all": Line("consent grant alice --types all"),
    "consent grant {user} --types all": Line("consent grant alice --types all"),
    "consent grant {without} --types all": Line("consent grant alice --types all"),
    "device add USER DEVICE": Line("device add alice phone"),
    "device add USER DEVICE --json": Line("device add alice phone2 --json"),
    "device add {name} watch": Line("device add carol watch", ("user add carol --consent all",)),
    "device add {user_id} {device_id}": Line("device add alice phone3"),
    "device enroll USER DEVICE": Line("device enroll alice phone4"),
    "device list": Line("device list"),
    "device list --user {user_id}": Line("device list --user alice"),
    "device remove {user} {device} --yes": Line("device remove alice ring --yes", (RING,)),
    "device resume USER DEVICE": Line("device resume alice watch", ("device suspend alice watch --yes",)),
    "device resume {user} {device}": Line("device resume alice watch", ("device suspend alice watch --yes",)),
    "device show USER DEVICE": Line("device show alice watch"),
    "device token USER DEVICE": Line("device token alice watch"),
    "device why USER DEVICE": Line("device why alice watch"),
    "doctor": Line("doctor"),
    "events list": Line("events list"),
    "events list --user {user}": Line("events list --user alice"),
    "format list": Line("format list"),
    "adapter list": Line("adapter list"),
    "adapter link USER PROVIDER": ByTest("tests/integration/test_adapters.py", '"adapter", "link"'),
    "adapter status": ByTest("tests/integration/test_adapters.py", '"adapter", "status"'),
    "import FILE --user USER --device DEVICE": Line("import {tmp}/event.json --user alice --device watch"),
    "homeassistant enable USER heart_rate,steps": Line("homeassistant enable alice heart_rate,steps"),
    "homeassistant list": Line("homeassistant list"),
    "gateway run": OnPage("docs/howto/gateway.md", "gateway run --http-port 8444"),
    "key check": Line("key check", ("storage encrypt",)),
    "key rewrap": ByTest("tests/unit/keys/holders/test_holders.py", 'run("key rewrap")'),
    "key rewrap --give-up-lost": ByTest("tests/unit/cli/test_cli_sealing.py", '"rewrap", "--give-up-lost", "--yes"'),
    "key rewrap --provider passphrase": ByTest(
        "tests/unit/cli/test_cli_sealing.py", '"rewrap", "--provider", "passphrase"'
    ),
    "storage encrypt": Line("storage encrypt"),
    "storage copy --help": Line("storage copy --help"),
    "storage copy sqlite postgresql": ByTest(
        "tests/integration/test_storage_copy.py", '"storage", "copy", "sqlite", "postgresql"'
    ),
    "key list": Line("key list"),
    "key retire {kid} --yes": Line("key retire {verifying} --yes", (AT_ONCE,)),
    "key retire {kid}": Line("key retire {next}", ("key rotate --publish 1h",)),
    "key rotate": Line("key rotate", after=("key retire {next}",)),
    AT_ONCE: Line(AT_ONCE),
    "rejected list": Line("rejected list"),
    "rejected show {number}": Line("rejected show 3"),
    "rejected list --user {user}": Line("rejected list --user alice"),
    "rejected purge --older-than {older_than} --yes": Line("rejected purge --older-than 30d --yes"),
    "rejected purge --user {user} --older-than {older_than} --yes": Line(
        "rejected purge --user alice --older-than 30d --yes"
    ),
    "rejected replay 3 4": Line("rejected replay 3 4"),
    "rejected replay --all": Line("rejected replay --all"),
    "replay {file} --user USER --device DEVICE": Line("replay {tmp}/walk.fit --user alice --device watch"),
    "sample sample.fit": Line("sample sample.fit"),
    "restore BACKUP --data NEW --keys FILE": Line(
        "restore {tmp}/backups --data {tmp}/restored-1 --keys {tmp}/keys.tar",
        ("backup create {tmp}/backups --keys {tmp}/keys.tar",),
    ),
    "restore {place} --data NEW": ByTest("tests/integration/test_howtos.py", "def test_backup("),
    "restore {place} --data NEW --keys {keys}": Line(
        "restore {tmp}/backups --data {tmp}/restored-2 --keys {tmp}/keys-2.tar",
        ("backup create {tmp}/backups --keys {tmp}/keys-2.tar",),
    ),
    "sink adopt": ByTest("tests/integration/test_postgres_sinks.py", '"sink", "adopt"'),
    "sink adopt --yes": ByTest("tests/integration/test_postgres_sinks.py", '"sink", "adopt", "--yes"'),
    "sink add {kind} --help": Line("sink add influxdb --help"),
    "sink add file FOLDER --name {name} --replace": Line("sink add file {tmp}/out --name file --replace"),
    "sink add influxdb URL --name {name} --replace": Line("sink add influxdb {influx} --name influxdb --replace"),
    "sink add influxdb http://localhost:8086 --token-env INFLUX_TOKEN": Line(
        "sink add influxdb {influx} --token-env INFLUX_TOKEN", new=True
    ),
    "sink add kafka --help": Line("sink add kafka --help"),
    "sink list": Line("sink list"),
    "sink reconcile {name}": ByTest("tests/integration/test_sink_service.py", '"sink", "reconcile", "main"'),
    "sink remove NAME --yes": Line("sink remove gone --yes", ("sink add file {tmp}/gone --name gone",)),
    "sink remove {name} --yes": Line("sink remove gone --yes", ("sink add file {tmp}/gone --name gone",)),
    "sink resume {name}": Line("sink resume file", ("sink suspend file",)),
    "sink set --help": Line("sink set --help"),
    "sink set NAME --deletes mark": Line("sink set influxdb --deletes mark"),
    "sink set NAME --ca-file FILE": Line("sink set influxdb --ca-file {data}/certs/ca.crt"),
    "sink set NAME --token-file FILE": Line("sink set influxdb --token-file {tmp}/influx.token"),
    "sink status": Line("sink status"),
    "sink status {name}": Line("sink status influxdb"),
    "sink status {sink}": Line("sink status influxdb"),
    "status": Line("status"),
    "storage status": Line("storage status"),
    "insight kinds": Line("insight kinds"),
    "source list --user {user}": Line("source list --user alice"),
    "source list --user USER": Line("source list --user alice"),
    "summary --user {user} --since 30d": Line("summary --user alice --since 30d"),
    "subscriber add NAME --users '*'": Line("subscriber add app1 --users '*'"),
    "subscriber add NAME --users A,B --types T": Line("subscriber add app2 --users alice,bob --types heart_rate"),
    "subscriber add {name} --users USER": Line("subscriber add app3 --users alice"),
    "subscriber lag": Line("subscriber lag"),
    "subscriber list": Line("subscriber list"),
    "subscriber remove {name} --yes": Line("subscriber remove gone --yes", ("subscriber add gone --users alice",)),
    "subscriber resume {name}": Line("subscriber resume app", ("subscriber suspend app --yes",)),
    "subscriber why {name}": Line("subscriber why app"),
    "token revoke --token-file FILE": Line("token revoke --token-file {tmp}/older.token"),
    "token revoke --user USER --device DEVICE": Line("token revoke --user alice --device watch"),
    "token revoke JTI": Line("token revoke {jti}"),
    "token revoke --subscriber NAME": Line("token revoke --subscriber app"),
    "topic check --as USER/DEVICE --publish TOPIC": Line(
        "topic check --as alice/watch --publish users/alice/devices/watch/events"
    ),
    "topic check --help": Line("topic check --help"),
    "topic list": Line("topic list"),
    "type list": Line("type list"),
    "type show weight": Line("type show weight"),
    "up": Starts("up"),
    "up --accept-restored": Starts("up --accept-restored", after=True),
    "up --data DIR": Starts("up --data DATA"),
    "up --data {data}": Starts("up --data DATA"),
    "up --data {target}": Starts("up --data DATA"),
    "up --{name}-port N": Starts("up --wss-port 0"),
    "user list": Line("user list"),
    "user add alice --consent all": Line("user add alice --consent all", new=True),
    "user add {name} --consent all": Line("user add dave --consent all"),
    "user add {user_id} --consent all": Line("user add erin --consent all"),
    "user erase {name} --yes": Line("user erase lost --yes", ("user add lost --consent none",)),
    "user remove {name} --yes": Line("user remove gone --yes", ("user add gone --consent none",)),
    "user resume USER": Line("user resume alice", ("user suspend alice --yes",)),
    "user resume {user}": Line("user resume alice", ("user suspend alice --yes",)),
    "user show {user_id}": Line("user show alice"),
    "up --http-port 8443": OnPage("docs/howto/gateway.md", "up --http-port 8443"),
    "user invite USER": ByTest("tests/integration/test_gateway_out.py", '"user", "invite"'),
    "webhook add NAME SUBSCRIBER https://…": Line("webhook add other app https://127.0.0.1:9"),
    "webhook list": Line("webhook list"),
    "webhook show {name}": Line("webhook show board", ("webhook add board app https://127.0.0.1:9/hook",)),
}
"""By the command as a text prints it, without the program's name."""


class Scene:
    """A service with a device that is connected, a sink, and what else the commands name."""

    def __init__(self, service: Service, tmp: Path, influx: str) -> None:
        self.service = service
        self.tmp = tmp
        self.known = {"tmp": str(tmp), "influx": influx, "data": str(service.data)}
        (tmp / "influx.token").write_text("a-token\n")
        (tmp / "influx.token").chmod(0o600)
        long = {"type": "heart_rate", "start_time": "2026-01-01T00:00:00Z", "value": {"bpm": 70}}
        (tmp / "event.json").write_text(json.dumps(long | {"id": "event"}))
        long["device"] = {"model": "m" * 2_000}
        (tmp / "long.json").write_text(json.dumps([long | {"id": str(number)} for number in range(4)]))
        for line in (
            *("user add alice --consent all", "user add bob --consent all", "device add alice watch"),
            *("device add alice old --token-file {tmp}/old.token", "device add bob watch --token-file {tmp}/bob.token"),
            *("subscriber add app --users '*'", "sink add influxdb {influx}", "sink add file {tmp}/out"),
            *("cert issue device alice watch --out {tmp}", "cert issue device alice old --out {tmp}"),
            *("sample {tmp}/walk.fit", "device token alice old --token-file {tmp}/older.token"),
        ):
            self.done(line)
        assert self.run("publish {tmp}/long.json --user alice --device watch").exit_code == 1
        self.known["serial"] = self._column("cert list", 0, of="alice-old")
        (service.data / "healthsync.toml").write_text("[events]\nmax_string = 4096\n")
        service.send(signal.SIGHUP)
        wait_until(lambda: "bridge.reloaded" in service.log_path.read_text(), "the reload")
        self.known["jti"] = json.loads(self.run("audit list --action token.issued --json").stdout.splitlines()[0])[
            "detail"
        ]["jti"]

    def _column(self, line: str, number: int, of: str = "") -> str:
        lines = self.run(line).stdout.splitlines()
        return next(each for each in lines if of in each).split("\t")[number]

    def run(self, line: str, data: Path | None = None) -> Result:
        for state in ("next", "verifying"):
            if f"{{{state}}}" in line:
                self.known[state] = self._column("key list", 0, of=state)
        words = [word.format_map(self.known) for word in shlex.split(line)]
        environment = {"HEALTHSYNC_DATA": str(data or self.service.data), "INFLUX_TOKEN": "a-token"}
        done = CliRunner(env=environment).invoke(program(needed(words)), words)
        if line == AT_ONCE:
            wait_until(self._lets_in, "the service knows the new key")
        return done

    def done(self, line: str, data: Path | None = None) -> None:
        """Run a command that works."""
        done = self.run(line, data)
        assert done.exit_code == 0, (line, done.output, done.stderr, done.exception)

    def _lets_in(self) -> bool:
        return self.run("publish {tmp}/event.json --user alice --device watch").exit_code == 0


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    tmp = tmp_path_factory.mktemp("fixes")
    with InfluxDouble() as influx, Service(tmp / "data") as service:
        scene = Scene(service, tmp, influx.url)
        with connected(service, "bob-watch", (tmp / "bob.token").read_text()):
            yield scene


@contextlib.contextmanager
def connected(service: Service, client_id: str, token: str) -> Iterator[None]:
    there = threading.Event()
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=client_id, reconnect_on_failure=False)
    client.on_connect = lambda *_: there.set()
    client.username_pw_set(client_id, token)
    client.connect(*service.mqtt)
    client.loop_start()
    assert there.wait(PATIENCE_S)
    yield
    client.loop_stop()


def test_every_command_has_a_row() -> None:
    assert set(TYPED) == set(COMMANDS)


@pytest.mark.parametrize("command", TYPED)
def test_a_command_runs_as_it_is_printed(
    scene: Scene, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = TYPED[command]
    monkeypatch.chdir(tmp_path)
    match row:
        case Line():
            assert filled(command, row.typed)
            for line in row.before:
                scene.done(line)
            scene.done(row.typed, tmp_path / "data" if row.new else None)
            for line in row.after:
                scene.done(line)
        case Starts():
            assert filled(command, row.typed)
            data = tmp_path / "data"
            words = [word.replace("DATA", str(data)) for word in row.typed.split()[1:]]
            if row.after:
                with Service(data):
                    pass
            with Service(data, *words) as service:
                assert service.running
        case OnPage():
            assert "::test_" in FOLLOWED[row.page]
            assert row.typed.startswith(command.split(" --", maxsplit=1)[0])
            typed = "\n".join(each.text for each in blocks(row.page) if each.typed)
            assert f"healthsync {row.typed}" in typed
        case ByTest():
            assert row.words in (ROOT / row.test).read_text(encoding="utf-8")


def filled(command: str, typed: str) -> bool:
    """Whether ``typed`` is ``command`` with its blanks filled in, and nothing else."""
    example = command.replace("http://localhost:8086", "URL").replace("https://…", "URL")
    pattern = FIELD.sub(".+", CAPITALS.sub(r"[^ ]+", re.escape(example)))
    return re.fullmatch(pattern, typed) is not None
