"""CONTRIBUTING.md's table "where does a new … go", followed word by word in a copy of the tree, and seen to work."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.testing.adapter_contract import AdapterContract
from healthsync_mqtt.testing.codec_contract import CodecContract
from healthsync_mqtt.testing.format_contract import FormatContract
from healthsync_mqtt.testing.sink_contract import SinkContract
from tests.support.service import HEALTHSYNC, Service

ROOT = Path(__file__).parents[2]

COMMAND = '''"""healthsync lantern …"""

import typer

from healthsync_mqtt.cli import output
from healthsync_mqtt.cli.group import new_group

app = new_group("Lanterns.")


@app.command("light")
def light() -> None:
    """Light the lantern.

    Example: healthsync lantern light
    """
    output.emit({"lit": True})


@app.command("dim")
def dim() -> None:
    """Dim the lantern.

    Example: healthsync lantern dim
    """
'''

TOPIC = """
  lantern:
    topic: users/{user}/lanterns/{kind}
    direction: peer
    payload: Command
    qos: 1
    retain: false
    roles:
      publish: [device]
      subscribe: [subscriber]
    summary: What a lantern says.
"""

FOLLOWER = '''"""Counts lanterns in the log into a file."""

from pathlib import Path

from bridge.cursors import Cursors
from bridge.ports import Chores
from healthsync_mqtt.storage.port import LogReader


class Lanterns:
    """One reader of the log, with a cursor."""

    def __init__(self, reader: LogReader, chores: Chores, out: Path) -> None:
        self._reader, self._out, self._at = reader, out, 0
        self._kept = Cursors(chores, "lanterns:")

    async def look(self) -> None:
        """Take the next events on."""
        for record in self._reader.read(self._at, 100):
            self._at = record.seq
            with self._out.open("a") as out:
                out.write(f"{record.type}\\n")
            self._kept.move("all", self._at)
        self._kept.keep()
'''

FORMAT = '''"""How brightly a lantern glows, as a plain number."""

from healthsync_mqtt.formats.port import AppMessage, Fold, FormatEntry, Made
from healthsync_mqtt.model.reasons import Reason, RefusedError


class Lantern:
    """``port.Format``."""

    name = "lantern"
    summary = "a number that glows"
    roots = ()
    remembers: frozenset[str] = frozenset()

    def takes(self):
        """For people."""
        yield FormatEntry("the number", "aura")

    def fold(self, state: bytes, message: AppMessage) -> Fold:
        """One event."""
        if not message.payload.isdigit():
            raise RefusedError(Reason.MALFORMED, None, "not a number")
        event = {"id": f"l-{message.user}", "type": "aura", "start_time": "2026-11-23T06:00:00Z"}
        yield Made(event | {"value": {"glow": int(message.payload)}}, 0)
        return state
'''

KEEPS_THE_CONTRACT = """
import pytest
from healthsync_mqtt.formats.catalogue import FORMATS
from healthsync_mqtt.testing.codec_contract import CodecContract
from healthsync_mqtt.testing.format_contract import FormatContract


class TestLantern(FormatContract):
    @pytest.fixture
    def form(self):
        return FORMATS["lantern"]

    @pytest.fixture
    def samples(self):
        return {b"4": 1}
"""

CODEC = '''"""One key of a program, of which each user has a part."""

import hmac
import os
from functools import partial

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from healthsync_mqtt.keys.faults import TamperedError

_KEY = b"a key of a program, for a test alone"


class LanternCodec:
    """``port.BodyCodec``."""

    def prepare(self, *, make: bool) -> None:
        """It is here."""

    def fresh(self) -> None:
        """Nothing changes."""

    def encoder(self, user: str):
        """Each alone is quick enough."""
        return partial(self.encode, user)

    def encode(self, user: str, data: bytes, place: bytes) -> bytes:
        """A nonce, and what is sealed with it for this place."""
        nonce = os.urandom(12)
        return nonce + _cipher(user).encrypt(nonce, data, PLACE)

    def decode(self, user: str, stored: bytes, place: bytes) -> bytes:
        """As it was."""
        try:
            return _cipher(user).decrypt(stored[:12], stored[12:], PLACE)
        except (InvalidTag, ValueError):
            raise TamperedError from None

    def is_gone(self, stored: bytes) -> bool:
        """It never is."""
        return False

    def mark(self, user: str, data: bytes) -> bytes:
        """Keyed as well."""
        return hmac.digest(_part(user), data, "sha256")[:16]


def _part(user: str) -> bytes:
    return hmac.digest(_KEY, user.encode(), "sha256")


def _cipher(user: str) -> AESGCM:
    return AESGCM(_part(user))
'''

KEEPS_THE_PORT = """
import pytest
from healthsync_mqtt.storage.codec.lantern import LanternCodec
from healthsync_mqtt.testing.codec_contract import CodecContract


class TestLantern(CodecContract):
    @pytest.fixture
    def codec(self):
        return LanternCodec()
"""

ADAPTER = '''"""Lanternly's glows as events."""

from collections.abc import Iterator

from healthsync_mqtt.adapters.capability import AuthMethod, Capability, DeliveryWay
from healthsync_mqtt.adapters.mapping.answers import AnswerKind, AnswerReading, ProviderMapping, Written, name_of
from healthsync_mqtt.adapters.mapping.rules import FieldRow
from healthsync_mqtt.adapters.port import Adapter
from healthsync_mqtt.formats.reading.document import Record
from healthsync_mqtt.formats.reading.moment import moment_in

_GLOWS = (FieldRow("glow", "aura", "1", "glow", zero=False),)


def _glows(reading: AnswerReading, record: Record) -> Iterator[Written]:
    at = moment_in(record, "at", reading.zone)
    yield from reading.each(record, _GLOWS, at, record=name_of(record, "id"))


def register() -> Adapter:
    """The adapter."""
    return Adapter(
        capability=Capability(
            name="lanternly",
            title="Lanternly",
            auth=AuthMethod.oauth2_pkce,
            delivery=frozenset({DeliveryWay.poll}),
            history_days=30,
            scopes=("glows.read",),
        ),
        mapping=ProviderMapping("lanternly", "Lanternly", (AnswerKind("glows", _glows, _GLOWS, lists=("data",)),)),
    )
'''

GLOWS = {"data": [{"id": "g", "at": "2026-11-23T06:00:00Z", "glow": 3}]}

KEEPS_WHAT_ADAPTERS_PROMISE = f"""
import json
import pytest
from healthsync_mqtt.adapters.catalogue import SHIPPED, shipped
from healthsync_mqtt.testing.adapter_contract import AdapterContract


class TestLanternly(AdapterContract):
    @pytest.fixture
    def adapter(self):
        assert "lanternly" in SHIPPED
        return shipped("lanternly")

    @pytest.fixture
    def samples(self):
        return {{("glows", json.dumps({GLOWS}).encode()): 1}}
"""

RIGHTS = '''"""Fetches for the users that its login names."""

from bridge.stages.authorise import origin_of
from healthsync_mqtt.model.principal import Principal, Role
from healthsync_mqtt.topics.access import AccessRules
from healthsync_mqtt.topics.registry import TopicRegistry

LOGIN = Principal(
    role=Role.adapter, client_id="cloud", provider="lanternly", users=frozenset({"alice"}), types=frozenset({"aura"})
)
TOPIC = "users/alice/adapters/lanternly/events"

registry = TopicRegistry.load()
rules = AccessRules(registry)
for topic in (TOPIC, "users/bob/adapters/lanternly/events", "users/alice/adapters/fitbit/events"):
    print(rules.may_publish(LOGIN, topic).allowed)
channel, variables = registry.parse(TOPIC)
print(origin_of(channel, variables, LOGIN, TOPIC).provider)
'''

BELL = '''class BellConfig(SinkConfig):
    """A bell, and the book of its tower."""

    kind: Literal["bell"] = "bell"
    tower: Path

    @property
    def target(self) -> str:
        """See ``SinkConfig``."""
        return str(self.tower)


'''

BELL_SINK = '''"""Rings at each event; the tower's book has the last ring of each."""

import json
from dataclasses import dataclass

from healthsync_mqtt.sinks.config import BellConfig
from healthsync_mqtt.sinks.port import Next, Rows, SinkStep, TrialFinding


@dataclass(frozen=True, slots=True)
class Rings:
    """Some rows."""

    rows: Rows

    @property
    def events(self) -> int:
        """How many."""
        return len(self.rows.records)


class BellSink:
    """See ``port.Sink``."""

    generation = 0

    def __init__(self, config: BellConfig) -> None:
        self._book = config.tower / "book.json"

    def warm_up(self, cursor: int) -> None:
        """See ``port.Sink``."""

    def begin(self, rows: Rows) -> Rings:
        """See ``port.Sink``."""
        return Rings(rows)

    def step(self, shipment: Rings) -> SinkStep:
        """See ``port.Sink``."""
        try:
            book = json.loads(self._book.read_text()) if self._book.exists() else {}
            for record in shipment.rows.records:
                book.pop(record.id, None)
                if not record.op and record.seq not in shipment.rows.withheld:
                    book[record.id] = [record.start_us, json.loads(record.body)["value"]]
            self._book.write_text(json.dumps(book))
        except OSError:
            return SinkStep(Next.WAIT, "no_tower")
        return SinkStep(Next.DONE)

    def mend(self, now_us: int) -> SinkStep:
        """See ``port.Sink``."""
        return SinkStep(Next.DONE)

    def probe(self) -> SinkStep:
        """See ``port.Sink``."""
        return SinkStep(Next.GO_ON)

    def disconnect(self) -> None:
        """See ``port.Sink``."""

    def status(self) -> dict[str, object]:
        """See ``port.Sink``."""
        return {}

    def close(self) -> None:
        """See ``port.Sink``."""


def try_tower(config: BellConfig) -> list[TrialFinding]:
    """Whether there is one."""
    return [TrialFinding("tower", works=config.tower.is_dir(), message="there is none", hint="build it")]
'''

#: Lines of sinks/kinds.py: what they are put before, and they.
BELL_LINES = {
    """    if isinstance(config, FileConfig):
        from healthsync_mqtt.sinks.file.sink import FileSink
""": """    if isinstance(config, BellConfig):
        from healthsync_mqtt.sinks.bell.sink import BellSink

        return BellSink(config)
""",
    """    if isinstance(config, FileConfig):
        from healthsync_mqtt.sinks.file.trial import try_folder
""": """    if isinstance(config, BellConfig):
        from healthsync_mqtt.sinks.bell.sink import try_tower

        return try_tower(config)
""",
    """    if isinstance(config, FileConfig):
        from healthsync_mqtt.sinks.file.trial import see_folder
""": """    if isinstance(config, BellConfig):
        from healthsync_mqtt.sinks.bell.sink import try_tower

        return try_tower(config)[0]
""",
}

KEEPS_THE_PORT_OF_SINKS = """
import json
import pytest
from healthsync_mqtt.sinks.config import BellConfig, Sinks
from healthsync_mqtt.sinks.kinds import open_sink
from healthsync_mqtt.sinks.ledger import SinkLedger
from healthsync_mqtt.storage.memory import MemoryEventLog
from healthsync_mqtt.testing.sink_contract import SinkContract


class Tower:
    def __init__(self, path):
        self._path, self._away = path / "tower", path / "elsewhere"
        self._path.mkdir()
        self._ledger = SinkLedger.open(path / "bell.db")
        self._config, self._sinks = BellConfig(name="bell", tower=self._path), Sinks(path)

    def open(self):
        return open_sink(self._sinks, self._config, reader=MemoryEventLog().reader(), ledger=self._ledger)

    def there(self):
        book = json.loads((self._path / "book.json").read_text())
        return [(str(at), value["bpm"]) for at, value in sorted(book.values(), key=lambda each: each[0])]

    def away(self, *, away):
        (self._path if away else self._away).rename(self._away if away else self._path)

    def close(self):
        self._ledger.close()


class TestBell(SinkContract):
    @pytest.fixture
    def target(self, tmp_path):
        tower = Tower(tmp_path)
        yield tower
        tower.close()
"""

BELL_COMMAND = '''

@add_group.command("bell")
def add_bell(tower: Path, name: str = "bell", data: Data = DATA, json: Json = False) -> None:
    """Ring at each event.

    Example: healthsync sink add bell /srv/tower
    """
    _store(data, made(kind="bell", name=name, tower=str(tower)), replace=False, test=True, as_json=json)
'''


def change(file: Path, before: str, after: str) -> None:
    text = file.read_text()
    assert text.count(before) == 1, f"{file}: {before!r}"
    file.write_text(text.replace(before, after))


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree with one more of each kind, where CONTRIBUTING says."""
    copy = tmp_path_factory.mktemp("tree")
    for name in ("healthsync_mqtt", "bridge"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "topics.yaml", copy)
    packages = copy / "healthsync_mqtt"
    # type
    vitals = packages / "model" / "types" / "vitals.py"
    vitals.write_text(vitals.read_text() + 'TYPES = (*TYPES, instant("aura", Quantity("glow", "1", 0, 10), "shine"))\n')
    # topic
    topics = copy / "topics.yaml"
    topics.write_text(topics.read_text() + TOPIC)
    # command
    (packages / "cli" / "lantern.py").write_text(COMMAND)
    line = '    "audit": "audit.app",\n'
    change(packages / "cli" / "main.py", line, f'{line}    "lantern": "lantern.app",\n')
    # follower
    (copy / "bridge" / "follow" / "lanterns.py").write_text(FOLLOWER)
    start = '        tasks.every("positions", _TICK_S, self._positions)\n'
    follower = 'Lanterns(self.reader, self.ground.chores, self.ground.settings.paths.root / "lanterns.txt")'
    service = copy / "bridge" / "service.py"
    change(service, start, f'{start}        tasks.every("lanterns", 0.05, {follower}.look)\n')
    line = "from bridge.follow.retention import Retention\n"
    change(service, line, f"from bridge.follow.lanterns import Lanterns\n{line}")
    # adapter
    (packages / "adapters" / "providers" / "lanternly.py").write_text(ADAPTER)
    change(packages / "adapters" / "catalogue.py", '    "apple_health",', '    "lanternly", "apple_health",')
    (copy / "rights.py").write_text(RIGHTS)
    # sink
    config = packages / "sinks" / "config.py"
    kinds = "AnyConfig = InfluxConfig | FileConfig | KafkaConfig"
    change(config, kinds, f"{BELL}{kinds} | BellConfig")
    bell = packages / "sinks" / "bell"
    bell.mkdir()
    (bell / "__init__.py").write_text('"""A bell as a sink."""\n')
    (bell / "sink.py").write_text(BELL_SINK)
    opens = packages / "sinks" / "kinds.py"
    for before, lines in BELL_LINES.items():
        change(opens, before, lines + before)
    change(opens, "sinks.config import ", "sinks.config import BellConfig, ")
    setup = packages / "cli" / "sink_setup.py"
    setup.write_text(setup.read_text() + BELL_COMMAND)
    # format
    (packages / "formats" / "lantern.py").write_text(FORMAT)
    catalogue = packages / "formats" / "catalogue.py"
    change(catalogue, "    Fit(),\n", "    Fit(),\n    Lantern(),\n")
    change(catalogue, "import Fit\n", "import Fit\nfrom healthsync_mqtt.formats.lantern import Lantern\n")
    return copy


def cli(tree: Path, data: Path, *words: str) -> list[Any]:
    environment = os.environ | {"PYTHONPATH": str(tree), "HEALTHSYNC_DATA": str(data)}
    done = subprocess.run([*HEALTHSYNC, *words], env=environment, cwd=tree, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) if line.startswith("{") else line for line in done.stdout.splitlines()]


def test_a_new_topic_is_listed_and_its_roles_decide(tree: Path, tmp_path: Path) -> None:
    listed = {each["topic"] for each in cli(tree, tmp_path, "topic", "list", "--json")}
    assert "users/{user}/lanterns/{kind}" in listed
    cli(tree, tmp_path, "user", "add", "alice", "--consent", "all")
    cli(tree, tmp_path, "device", "add", "alice", "watch", "--json")
    ours = ["--publish", "users/alice/lanterns/red"]
    cli(tree, tmp_path, "topic", "check", "--as", "alice/watch", *ours)
    with pytest.raises(AssertionError):
        cli(tree, tmp_path, "topic", "check", "--as", "alice/watch", "--publish", "users/bob/lanterns/red")


def test_a_new_command_is_in_the_help_and_runs(tree: Path, tmp_path: Path) -> None:
    assert any("lantern" in line for line in cli(tree, tmp_path, "--help"))
    assert cli(tree, tmp_path, "lantern", "light") == [{"lit": True}]


def test_a_new_type_is_accepted_stored_and_listed_and_a_new_follower_and_sink_see_it(
    tree: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    cli(tree, data, "user", "add", "alice", "--consent", "all")
    cli(tree, data, "device", "add", "alice", "watch", "--json")
    tower = tmp_path / "tower"
    tower.mkdir()
    cli(tree, data, "sink", "add", "bell", str(tower))
    event = tmp_path / "event.json"
    event.write_text(
        json.dumps({"id": "a", "type": "shine", "start_time": "2026-11-23T06:00:00Z", "value": {"glow": 3}})
    )
    with Service(data, env={"PYTHONPATH": str(tree)}, wrapper=("env", "-C", str(tree))) as service:
        (told,) = cli(tree, data, "publish", str(event), "--user", "alice", "--device", "watch", "--json")
        assert told["outcome"] == "stored"
        (listed,) = cli(tree, data, "events", "list", "--user", "alice", "--type", "aura", "--json")
        assert listed["value"] == {"glow": 3}
        seen = data / "lanterns.txt"
        # One pass of the follower begins after the commit at the latest; the status waits its turn behind nothing else.
        while True:
            assert service.running, service.log_tail()
            (status,) = cli(tree, data, "status", "--json")
            assert not status["tasks_down"]
            if seen.is_file() and status["sinks"] and status["sinks"][0]["cursor"] == status["head"]:
                break
        assert seen.read_text() == "aura\n"
        assert json.loads((tower / "book.json").read_text()) == {"a": [1_795_413_600_000_000, {"glow": 3}]}


def test_a_new_kind_of_sink_can_be_added_and_is_listed(tree: Path, tmp_path: Path) -> None:
    assert any("bell" in line for line in cli(tree, tmp_path, "sink", "add", "--help"))
    with pytest.raises(AssertionError, match="there is none"):
        cli(tree, tmp_path, "sink", "add", "bell", str(tmp_path / "tower"))
    (tmp_path / "tower").mkdir()
    cli(tree, tmp_path, "sink", "add", "bell", str(tmp_path / "tower"))
    (listed,) = cli(tree, tmp_path, "sink", "list", "--json")
    assert (listed["kind"], listed["target"]) == ("bell", str(tmp_path / "tower"))
    cli(tree, tmp_path, "sink", "test", "bell")


def test_a_new_kind_of_sink_keeps_the_contract(tree: Path) -> None:
    done = suite(tree, KEEPS_THE_PORT_OF_SINKS, "bell")
    assert done.returncode == 0, done.stdout
    assert f"{clauses(SinkContract)} passed" in done.stdout


def suite(tree: Path, text: str, name: str) -> subprocess.CompletedProcess[str]:
    """A suite that ships, run on what is new in the tree."""
    test = tree / f"test_{name}.py"
    test.write_text(text)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tree), str(test)],
        cwd=tree,
        env=os.environ | {"PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        check=False,
    )


def clauses(contract: type) -> int:
    return sum(name.startswith("test_") for name in dir(contract))


def test_a_new_format_keeps_the_contract_and_its_deliveries_are_events(tree: Path) -> None:
    done = suite(tree, KEEPS_THE_CONTRACT, "lantern")
    assert done.returncode == 0, done.stdout
    assert f"{clauses(FormatContract)} passed" in done.stdout


def test_a_new_implementation_of_a_port_is_judged_by_its_suite(tree: Path) -> None:
    new = tree / "healthsync_mqtt" / "storage" / "codec" / "lantern.py"
    new.write_text(CODEC.replace("PLACE", "place"))
    done = suite(tree, KEEPS_THE_PORT, "lantern_codec")
    assert done.returncode == 0, done.stdout
    assert f"{clauses(CodecContract)} passed" in done.stdout
    new.write_text(CODEC.replace("PLACE", "None"))
    done = suite(tree, KEEPS_THE_PORT, "lantern_codec")
    assert done.returncode == 1, done.stdout
    assert "test_what_is_not_as_it_was_made_is_found" in done.stdout


def test_a_new_adapter_keeps_its_promises_and_is_listed(tree: Path, tmp_path: Path) -> None:
    done = suite(tree, KEEPS_WHAT_ADAPTERS_PROMISE, "lanternly")
    assert done.returncode == 0, done.stdout
    assert f"{clauses(AdapterContract)} passed" in done.stdout
    assert "lanternly" in {each["name"] for each in cli(tree, tmp_path, "adapter", "list", "--json")}
    answer = tmp_path / "answer.json"
    answer.write_text(json.dumps(GLOWS))
    (made,) = cli(tree, tmp_path, "adapter", "map", "lanternly", "glows", str(answer), "--json")
    assert (made["type"], made["value"]) == ("aura", {"glow": 3})


def test_a_new_adapter_has_the_rights_of_its_provider_and_users(tree: Path) -> None:
    done = subprocess.run(
        [sys.executable, "rights.py"],
        cwd=tree,
        env=os.environ | {"PYTHONPATH": str(tree)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == ["True", "False", "False", "lanternly"], done.stderr
