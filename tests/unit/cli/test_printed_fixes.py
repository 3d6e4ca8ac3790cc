"""What commands print for a reader to type, typed as it was printed: on the directory that the command was given."""

import json
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from healthsync_mqtt.cli.main import needed, program
from tests.support.texts import SYSTEM, typed_in

ALICE = ("user add alice --consent all", "device add alice watch")
CA = ("cert init-ca",)
APP = (*ALICE, "subscriber add app --users alice")
FILE_SINK = (*ALICE, "sink add file {tmp}/out")
CERTIFICATE = (*ALICE, "cert init-ca", "cert issue device alice watch --out {tmp}")
KEYS = (*ALICE, "key rotate --publish 0s")


@dataclass(frozen=True)
class Said:
    """``line`` ends with ``code`` and prints what to type; with ``cures`` it ends with 0 when that was typed."""

    line: str
    code: int = 1
    before: tuple[str, ...] = ()
    cures: bool = False


SAID = [
    Said("user list", 0, CA),
    Said("user add bob", 2),
    Said("user add bob --consent all", 0),
    Said("user add alice --consent all", 1, ALICE),
    Said("device add alice watch", 1, ALICE),
    Said("user show alice", 1, CA, cures=True),
    Said("device show alice ring", 1, ALICE, cures=True),
    Said("subscriber show app", 1, ALICE, cures=True),
    Said("device list", 0, ("user add alice --consent all",)),
    Said("subscriber list", 0, CA),
    Said("cert list", 0, (*ALICE, "cert init-ca")),
    Said("user remove alice", 2, ALICE),
    Said("device remove alice watch", 2, ALICE),
    Said("subscriber remove app", 2, APP),
    Said("sink remove file", 2, FILE_SINK),
    Said("rejected purge --older-than 30d", 2, ALICE),
    Said("rejected purge --user alice --older-than 30d", 2, ALICE),
    Said("cert revoke {serial}", 2, CERTIFICATE),
    Said("device why alice watch", 0, (*ALICE, "device suspend alice watch --yes")),
    Said("device why alice watch", 0, (*ALICE, "user suspend alice --yes")),
    Said("subscriber why app", 0, (*APP, "subscriber suspend app --yes")),
    Said("device why alice watch", 0, ALICE),
    Said("consent show alice", 0, ("user add alice --consent none",)),
    Said("key retire nobody", 1, KEYS),
    Said("key rotate", 1, (*ALICE, "key rotate --publish 1h")),
    Said("key retire {signing}", 1, KEYS),
    Said("key retire {verifying}", 1, KEYS),
    Said("cert issue device alice", 2, (*ALICE, "cert init-ca")),
    Said("cert issue subscriber", 2, (*APP, "cert init-ca")),
    Said("cert issue server", 2, (*ALICE, "cert init-ca")),
    Said("cert renew device alice watch", 1, (*ALICE, "cert init-ca"), cures=True),
    Said("cert revoke 00 --yes", 1, CERTIFICATE),
    Said("cert revoke zz --yes", 1, CERTIFICATE),
    Said("cert issue device alice watch --out {tmp}/none", 1, (*ALICE, "cert init-ca"), cures=True),
    Said("topic check --as alice/watch", 2, ALICE),
    Said("topic check --as nobody --publish a", 1, ALICE),
    Said("trace nobody", 1, ALICE),
    Said("events list --type hart_rate", 2, ALICE),
    Said("rejected show 9", 1, ALICE),
    Said("token revoke xyz", 1, (*ALICE, "device token alice watch --token-file {tmp}/token")),
    Said("token revoke", 2, (*ALICE, *APP[-1:], "device token alice watch --token-file {tmp}/token")),
    Said("sink set file", 2, FILE_SINK),
    Said("sink add influxdb ftp://somewhere --no-test", 2, ALICE),
    Said("sink status file", 0, (*FILE_SINK, "sink suspend file")),
    Said("sample {tmp}", 1),
    Said("broker password list", 0, ALICE),
    Said("broker password rotate nobody", 1, ALICE),
    Said("broker provision mosquitto", 1, ALICE),
    Said("events list", 0, ALICE),
    Said("events tail", 69, ALICE),
    Said("client list", 69, ALICE),
    Said("status", 0, ALICE),
    Said("broker provision rabbitmq", 2, ALICE),
    Said("sample walk.fit", 0),
    Said("sink list", 0, CA),
    Said("rejected replay", 2, ALICE),
]
RUNS = ("up", "auth serve", "broker provision mosquitto", "import", "replay", "rejected replay", "sink add influxdb")
"""They need a server, or are one; tests/integration/test_fixes.py runs them."""


class Reader:
    """Somebody who types, on a directory that is named on each line."""

    def __init__(self, tmp: Path) -> None:
        self.data = tmp / "data"
        self.known = {"tmp": str(tmp)}
        self.blanks = {
            "USER": "alice", "DEVICE": "watch", "NAME": "app", "HOST": "broker.example", "DIR": str(tmp / "mosquitto"),
            "FILE": str(tmp / "token"),
        }  # fmt: skip

    def words(self, line: str) -> list[str]:
        for state in ("signing", "verifying"):
            if f"{{{state}}}" in line:
                self.known[state] = self._row("key list", state)
        if "{serial}" in line:
            self.known["serial"] = self._row("cert list", "alice-watch")
        return [word.format_map(self.known) for word in shlex.split(line)]

    def _row(self, line: str, of: str) -> str:
        return next(each for each in self.run(line).stdout.splitlines() if of in each).split("\t")[0]

    def run(self, line: str) -> Result:
        words = self.words(line)
        return CliRunner().invoke(program(needed(words)), [*words, "--data", str(self.data)])

    def type(self, command: str) -> int:
        """What was printed, with its capitals filled in; a program of the system is run as it is."""
        words = [self.blanks.get(word, word) for word in shlex.split(command)]
        if "JTI" in words:
            issued = self.run("audit list --action token.issued --json").stdout.splitlines()
            words[words.index("JTI")] = json.loads(issued[-1])["detail"]["jti"]
        if words[0] in SYSTEM:
            return subprocess.run(words, check=False).returncode
        return CliRunner().invoke(program(needed(words[1:])), words[1:]).exit_code


@pytest.mark.parametrize("said", SAID, ids=lambda said: said.line)
def test_what_is_printed_is_typed(said: Said, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HEALTHSYNC_DATA", raising=False)
    reader = Reader(tmp_path)
    for line in said.before:
        assert reader.run(line).exit_code == 0, line
    result = reader.run(said.line)
    assert result.exit_code == said.code, (result.stdout, result.stderr, result.exception)
    printed = result.stdout + result.stderr
    commands = typed_in(printed)
    assert commands, printed
    for command in commands:
        path = command.removeprefix("healthsync ").replace(f" --data {reader.data}", "")
        assert path != command or command.split()[0] in SYSTEM, command
        if not any(path == each or path.startswith(f"{each} ") for each in RUNS):
            assert reader.type(command) == 0, command
        elif command.startswith("healthsync"):
            assert f" --data {reader.data}" in printed
    if said.cures:
        assert reader.run(said.line).exit_code == 0
