"""A name that nothing has is an error of every command that is given it, and the fix names the nearest that is there.

Every command of the tree is typed, once for each of its values that are names or words of ours, with that one misspelt,
at a terminal where a person could be asked: nothing is asked, printed or changed before the name was looked up.
"""

import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from healthsync_mqtt.cli import completion, output
from healthsync_mqtt.cli.main import needed, program
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.storage.opening import open_log
from healthsync_mqtt.testing.log_items import NOW_US, item
from tests.support.answering import answering
from tests.unit.cli.test_completion import texts

NAMES: dict[Callable[..., Any], tuple[str, str, str]] = {
    completion.users: ("alice", "alcie", "alice"),
    completion.devices: ("watch", "wacth", "watch"),
    completion.sources: ("watch", "wacth", "watch"),
    completion.apps: ("phone", "phnoe", "phone"),
    completion.subscribers: ("board", "baord", "board"),
    completion.clients: ("alice-watch", "alice-wacth", "alice-watch"),
    completion.admins: ("root", "roto", "root"),
    completion.webhooks: ("hook", "hoko", "hook"),
    completion.sinks: ("copies", "copeis", "copies"),
    completion.passwords: ("board", "baord", "board"),
    completion.holders: ("alice", "alcie", "alice"),
    completion.formats: ("json", "jsno", "json"),
    completion.keys: ("{kid}", "{dik}", "healthsync key list"),
    completion.serials: ("{serial}", "0000abcd", "healthsync cert list"),
    completion.types: ("heart_rate", "hart_rate", "heart_rate"),
    completion.purposes: ("store", "stoer", "store"),
    completion.reasons: ("out_of_range", "out_of_rnage", "out_of_range"),
    completion.roles: ("device", "devcie", "device"),
    completion.kinds: ("device", "devcie", "device"),
    completion.brokers: ("mosquitto", "mosqiutto", "mosquitto"),
    completion.provisioned: ("mosquitto", "mosqiutto", "healthsync auth serve"),
    completion.dialects: ("v2", "v7", "v2"),
    completion.insight_kinds: ("baseline", "baselien", "baseline"),
    completion.adapters: ("withings", "withigns", "withings"),
    completion.answer_kinds: ("sleep", "slepe", "sleep"),
    completion.log_places: ("now", "nwo", "or 24h"),
    completion.deletions: ("mark", "makr", "mark"),
    completion.mechanisms: ("plain", "plian", "plain"),
}
"""For each kind of value: one that is there, how it is misspelt, and what the error has to say."""

LINES = """
summary --user alice
source list --user alice
insight list --user alice --kind baseline
insight show --user alice --kind baseline
insight run --user alice --day 2026-11-23
source prefer watch --user alice
trace alice-watch --count 1
publish {tmp}/event.json --user alice --device watch
import {tmp}/event.json --user alice --device watch
replay {tmp}/walk.fit --user alice --device watch
simulate --user alice --count 1
ble read 00:00 --user alice --device watch
ble run 00:00 --user alice --device watch
topic check --as alice-watch --publish a
type show heart_rate
type schema heart_rate
user add carol --consent heart_rate --purpose store
user show alice
user suspend alice
user resume alice
user remove alice
user erase alice
user export alice -o {tmp}/alice.zip
user invite alice --base https://localhost
webhook add other board https://localhost/hook
webhook show hook
webhook test hook
webhook enable hook
webhook rotate hook
webhook remove hook
admin add other
admin token root
admin invite root --base https://localhost
admin remove root
client list --role device
client kick alice-watch
consent grant alice --types heart_rate --purpose store
consent withdraw alice --types heart_rate --purpose store
consent show alice
consent history alice
device add alice ring
device list --user alice
device show alice watch
device token alice watch
device remove alice watch
device suspend alice watch
device rename alice watch Cuff
device resume alice watch
device enroll alice ring
device why alice watch
token revoke --user alice --device watch --subscriber board
audit list --user alice --device watch
app add alice scale --format json
app list --user alice
app show alice phone
app rotate alice phone
app remove alice phone
app why alice phone
app webhook alice phone
app suspend alice phone
app rename alice phone Upstairs
app resume alice phone
format show json
format try json {tmp}/event.json
subscriber add lamp --users alice --types heart_rate
subscriber show board
subscriber token board
subscriber why board
subscriber suspend board
subscriber resume board
subscriber remove board
subscriber rewind board --to now
adapter map withings sleep {tmp}/event.json --user alice
adapter link alice withings
adapter unlink alice withings
adapter status --user alice
adapter sync alice withings
adapter pause alice withings
adapter backfill alice withings
adapter webhook withings
events list --user alice --device watch --type heart_rate
events tail --user alice --device watch --type heart_rate --count 1
events show e1 --user alice
events history e1 --user alice
events export --user alice --device watch --type heart_rate
events stats --user alice --device watch --type heart_rate
rejected list --user alice --reason out_of_range
rejected replay --all --user alice
rejected purge --user alice
key retire {kid}
sink add influxdb http://127.0.0.1:9 --no-test --name more --dialect v2 --deletes mark
sink add kafka 127.0.0.1:9 --no-test --name more --mechanism plain
sink show copies
sink status copies
sink test copies
sink set copies --deletes mark
sink suspend copies
sink pause copies
sink resume copies
sink remove copies
sink user alice
sink backfill copies --user alice --type heart_rate
sink reconcile copies --user alice --type heart_rate
cert issue device alice watch --out {tmp}
cert renew device alice watch --out {tmp}
cert revoke {serial}
broker render mosquitto --out {tmp}/mosquitto
broker provision mosquitto
broker password rotate board
homeassistant enable alice heart_rate
homeassistant disable alice heart_rate
homeassistant login board
up --demo --show alice
""".strip().splitlines()
"""Each command that takes such a value, with all of them."""

FREE = {
    ("device add", "device"): "the name of what is added",
    ("device enroll", "device"): "the device that the code makes",
    ("app add", "name"): "the name of what is added",
    ("subscriber add", "name"): "the name of what is added",
    ("publish", "device"): "added when missing, and that is said",
    ("import", "device"): "added when missing, and that is said",
    ("replay", "device"): "added when missing, and that is said",
    ("ble read", "device"): "added when missing, and that is said",
    ("ble run", "device"): "added when missing, and that is said",
    ("format try", "user"): "nothing is stored: whose it would be",
    ("format try", "device"): "nothing is stored: which app's it would be",
    ("adapter map", "user"): "nothing is stored: whose it would be",
    ("up", "show"): "a filter of the screen of a service that runs on: the user may be added meanwhile",
}
"""Values that need not be there, and why."""
TOLD = {("subscriber add", "users"): "users may be added after who reads them"}
"""A value that need not be there, but it is said that it is not, with the nearest."""

MADE = {
    completion.users,
    completion.holders,
    completion.devices,
    completion.apps,
    completion.subscribers,
    completion.admins,
}
"""What a command of ours adds by the name that was typed."""
BRINGING = {
    *(
        "ble read",
        "ble run",
        "adapter link",
        "app add",
        "app why",
        "cert issue",
        "consent grant",
        "device add",
        "device enroll",
    ),
    *("device token", "device why", "homeassistant enable", "homeassistant login", "import", "publish", "replay"),
    *("simulate", "subscriber token", "subscriber why", "user invite", "webhook add", "admin invite", "admin token"),
    *("app show", "device show", "subscriber show", "user show"),
}
"""Commands whose reader may have meant to add what is missing first."""
MAKES = re.compile(r"healthsync [a-z ]*\b(?:add|enroll|enable|link|create|issue|grant)\b")


@dataclass(frozen=True)
class House:
    """One of each noun in a data directory with a service that answers commands and nobody else."""

    data: Path
    known: dict[str, str]

    def type(self, line: str) -> Result:
        words = [word.format_map(self.known) for word in shlex.split(line)]
        return CliRunner().invoke(program(needed(words)), [*words, "--data", str(self.data)])

    def generation(self) -> int:
        with Registry.open(self.data / "registry.db") as registry:
            return registry.generation()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    tmp = tmp_path_factory.mktemp("names")
    house = House(tmp / "data", {"tmp": str(tmp)})
    (tmp / "event.json").write_text('{"id": "e", "type": "steps", "start_time": "2026-11-23T06:00:00Z"}')
    for line in (
        "user add bob --consent none",
        *("user add alice --consent all", "device add alice watch --token-file {tmp}/token", "sample {tmp}/walk.fit"),
        *("app add alice phone --format json --password-file {tmp}/password", "cert init-ca", "key list"),
        *("subscriber add board --users * --token-file {tmp}/token", "webhook add hook board https://localhost/hook"),
        "cert issue device alice watch --out {tmp}",
        "admin add root --token-file {tmp}/admin",
        *("homeassistant login board --password-file {tmp}/ha", "homeassistant enable alice steps"),
        *("sink add influxdb http://127.0.0.1:9 --no-test --name copies", "broker credentials"),
    ):
        done = house.type(line)
        assert done.exit_code == 0, (line, done.output, done.exception)
    house.known["kid"] = house.type("key list").stdout.split("\t")[0]
    house.known["dik"] = "x" + house.known["kid"][::-1]  # backwards it may begin as an option does
    house.known["serial"] = house.type("cert list").stdout.split("\t")[0]
    with open_log(house.data) as log:
        log.stage([item("e1")], [], NOW_US)
        log.commit()
    with answering(house.data, "alice-watch"):
        yield house


def values() -> Iterator[tuple[str, str, Callable[..., Any]]]:
    """(command, parameter, kind of value) of each that is a name or a word of ours."""
    for command, parameter, info in texts():
        if info.autocompletion is not None:
            yield command, parameter, info.autocompletion


def line_of(command: str) -> str:
    return next((line for line in LINES if f"{line} ".startswith(f"{command} ")), "")


ALL = sorted((command, parameter) for command, parameter, _ in values())


def test_every_value_that_is_a_name_is_typed() -> None:
    kinds = {kind for _, _, kind in values()}
    assert kinds == NAMES.keys()
    missing = [(command, parameter) for command, parameter, kind in values() if not _misspelt(command, kind)]
    assert [each for each in missing if each not in FREE] == [], "give it a line with the name in it, or a row in FREE"
    assert set(ALL) >= FREE.keys() | TOLD.keys(), "no row is of a value that is gone"


@pytest.mark.parametrize(("command", "parameter"), [each for each in ALL if each not in FREE])
def test_a_name_that_nothing_has_is_an_error_with_the_nearest(
    house: House, command: str, parameter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "can_ask", lambda: True)
    kind = next(kind for each, name, kind in values() if (each, name) == (command, parameter))
    right, _, nearest = NAMES[kind]
    before = house.generation()
    result = house.type(_misspelt(command, kind))
    said = result.stderr
    assert "[y/N]" not in said, "it asks before it looks"
    if (command, parameter) in TOLD:
        assert (result.exit_code, f"did you mean {right}?" in said) == (0, True), said
        return
    assert result.exit_code in {1, 2}, (result.output, result.exception)
    assert result.stdout == ""
    assert nearest.format_map(house.known) in said, said
    assert house.generation() == before
    # Only who brings something is told to make what is missing: `user remove` was answered with `user add`.
    fix = said.partition("fix: ")[2].removesuffix("--help\n")
    if kind in MADE and command in BRINGING:
        assert MAKES.search(fix), said
    elif not line_of(command).startswith("sink add"):
        assert not MAKES.search(fix), said


@pytest.mark.parametrize(
    "line",
    [
        "homeassistant disable bob",
        "adapter unlink bob withings --yes",
        "user remove zz9-qq --yes",
        "user erase zz9-qq --yes",
        "device remove bob zz9-qq --yes",
        "sink set copies --deletes zz9-qq",
    ],
)
def test_what_takes_away_or_changes_never_says_how_to_make_it(house: House, line: str) -> None:
    result = house.type(line)
    assert result.exit_code in {1, 2}, (result.output, result.exception)
    assert not MAKES.search(result.stderr), result.stderr


def _misspelt(command: str, kind: Callable[..., Any]) -> str:
    """The line of a command with one value misspelt; nothing where the line has no such value."""
    right, wrong, _ = NAMES[kind]
    words = line_of(command).split()
    behind = len(command.split())
    places = [number for number, word in enumerate(words) if number >= behind and word == right]
    if not places:
        return ""
    words[places[-1 if kind is completion.devices else 0]] = wrong
    return " ".join(words)
