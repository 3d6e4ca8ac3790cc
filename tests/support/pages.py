"""Reads a page as a person does who types its lines: the fenced blocks in order, what to type, what is shown.

``console`` blocks hold commands after ``$ `` (a line that ends with a backslash goes on) and what those print; a block
``sh`` is one script. A comment ``<!-- not run: REASON -->`` right above a block says why a test cannot run it. Other
languages are not typed: they have tests that read them as what they are.
"""

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.support import child
from tests.support.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
TYPED = ("console", "sh")
_BLOCK = re.compile(
    r"^(?:<!-- not run: (?P<reason>.+?) -->\n)?```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
FOLLOWED = {
    "README.md": "tests/integration/test_readme.py",
    "CONTRIBUTING.md": "tests/integration/test_contributing.py",
    "docs/operations.md": "tests/integration/test_storage_restore.py",
    "docs/tutorial.md": "tests/integration/test_howtos.py::test_the_tutorial",
    "docs/insights.md": "tests/integration/test_howtos.py::test_insights",
    "docs/upgrade.md": "tests/integration/test_upgrade.py",
    "docs/howto/certificates.md": "tests/integration/test_howtos.py::test_certificates",
    "docs/howto/changes.md": "tests/integration/test_howtos.py::test_changes",
    "docs/howto/clients.md": "tests/integration/test_client_examples.py",
    "docs/howto/compose.md": "tests/integration/test_deploy_image.py",
    "docs/howto/adapters.md": "tests/integration/test_howtos.py::test_adapters",
    "docs/howto/apps.md": "tests/integration/test_howtos.py::test_apps",
    "docs/howto/assistant.md": "tests/integration/test_assistant.py::test_the_page_is_typed",
    "docs/howto/ble.md": "tests/integration/test_ble.py::test_the_page_is_typed",
    "docs/howto/backup.md": "tests/integration/test_howtos.py::test_backup",
    "docs/howto/consent.md": "tests/integration/test_howtos.py::test_consent",
    "docs/howto/emqx.md": "tests/integration/test_howtos.py::test_emqx_as_far_as_it_goes_without_emqx",
    "docs/howto/enrolment.md": "tests/integration/test_howtos.py::test_enrolment",
    "docs/howto/erasure.md": "tests/integration/test_howtos.py::test_erasure",
    "docs/howto/export.md": "tests/integration/test_howtos.py::test_export",
    "docs/howto/gateway.md": "tests/integration/test_howtos.py::test_the_gateway",
    "docs/howto/home-assistant.md": "tests/integration/test_howtos.py::test_home_assistant",
    "docs/howto/import.md": "tests/integration/test_howtos.py::test_import",
    "docs/howto/influxdb.md": "tests/integration/test_sink_commands.py",
    "docs/howto/javascript.md": "clients/typescript/test/howto.test.ts",
    "docs/howto/kafka.md": "tests/integration/test_sink_kafka.py::test_the_page",
    "docs/howto/keys.md": "tests/integration/test_howtos.py::test_keys",
    "docs/howto/limits.md": "tests/unit/test_limits_docs.py",
    "docs/howto/load-balancer.md": "tests/integration/test_load_balancer.py::test_the_page_is_typed",
    "docs/howto/mapping.md": "tests/unit/formats/mapping/test_mapping.py",
    "docs/howto/mosquitto.md": "tests/integration/test_howtos.py::test_mosquitto",
    "docs/howto/mqtt5.md": "tests/unit/broker/embedded/test_version5_page.py",
    "docs/howto/oidc.md": "tests/unit/gateway/oidc/test_organisations.py",
    "docs/howto/postgresql.md": "tests/integration/test_postgres_service.py::test_the_howto_is_typed",
    "docs/howto/rabbitmq.md": "tests/integration/test_howtos.py::test_rabbitmq",
    "docs/howto/shared-groups.md": "tests/integration/test_howtos.py::test_shared_groups",
    "docs/howto/health-auto-export.md": "tests/integration/test_howtos.py::test_the_page_of_an_app[iphone]",
    "docs/howto/health-connect.md": "tests/integration/test_howtos.py::test_the_page_of_an_app[android]",
    "docs/howto/life-dashboard.md": "tests/integration/test_howtos.py::test_the_page_of_an_app[dashboard]",
    "docs/howto/nightscout.md": "tests/integration/test_howtos.py::test_the_page_of_an_app[sugar]",
    "docs/howto/openscale-sync.md": "tests/integration/test_howtos.py::test_the_page_of_an_app[openscale]",
    "docs/howto/scale-gateways.md": "tests/integration/test_howtos.py::test_the_page_of_an_app[scale]",
    "docs/howto/sleep-as-android.md": "tests/integration/test_howtos.py::test_the_page_of_an_app[sleep]",
    "docs/howto/theengs.md": "tests/integration/test_howtos.py::test_the_page_of_an_app[gateway]",
    "docs/howto/zepp.md": "tests/integration/test_howtos.py::test_the_page_of_an_app[amazfit]",
    "docs/howto/phone-certificates.md": "tests/integration/test_howtos.py::test_a_certificate_that_phones_accept",
    "docs/howto/summaries.md": "tests/integration/test_howtos.py::test_summaries",
    "docs/howto/systemd.md": "tests/integration/test_service_account.py::test_the_page_is_typed_with_a_real_account",
}
"""Which test follows which page. A test that is named types the page to its end, or fails; a file says that it does."""
finished: set[str] = set()
"""Pages that were typed to their end in this process."""
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
_MASKS = (
    (re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)"), "<time>"),
    (re.compile(r"\b[0-9A-Z]{4}(-[0-9A-Z]{4}){3}\b"), "<code>"),
    (re.compile(r"\b[0-9a-f]{8}[0-9a-f-]{8,}\b"), "<id>"),
    (re.compile(r"\s+"), " "),
)


@dataclass(frozen=True, slots=True)
class Command:
    """One thing that is typed, and the lines that the page shows after it."""

    text: str
    shown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a page."""

    section: str
    language: str
    text: str
    reason: str | None
    """Why it is not run here; None where it is."""

    @property
    def typed(self) -> bool:
        return self.language in TYPED and self.reason is None

    def commands(self) -> Iterator[Command]:
        """What a person types at each prompt; a script is one command."""
        if self.language != "console":
            yield Command(self.text)
            return
        text, shown = "", list[str]()
        for line in self.text.splitlines():
            if text.endswith("\\"):
                text = f"{text}\n{line}"
            elif line.startswith("$ "):
                if text:
                    yield Command(text, tuple(shown))
                text, shown = line[2:], []
            else:
                shown.append(line)
        yield Command(text, tuple(shown))


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page of this repository, in order."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = []
    for match in _BLOCK.finditer(text):
        section = ["", *_HEADING.findall(text[: match.start()])][-1]
        found.append(Block(section, match["language"], match["text"], match["reason"]))
    return found


def pages() -> list[str]:
    """What a newcomer types from: README, the tutorial and every howto."""
    howtos = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs/howto").glob("*.md"))
    return ["README.md", "docs/tutorial.md", *howtos]


def masked(text: str) -> str:
    """Without what differs from run to run: times, codes, ids, and how wide columns are."""
    for pattern, instead in _MASKS:
        text = pattern.sub(instead, text)
    return text.strip()


def is_shown(shown: str, printed: str) -> bool:
    """Whether a line that was printed is the one that the page shows; an ellipsis there stands for anything."""
    parts = [re.escape(part.strip()) for part in masked(shown).split("…")]
    return re.fullmatch(r"\s*.*\s*".join(parts), masked(printed)) is not None


@dataclass(frozen=True, slots=True)
class Typed:
    """What came of a command."""

    command: Command
    code: int
    out: str
    err: str

    def check(self) -> None:
        """Every line that the page shows was printed, in that order."""
        printed = iter(self.out.splitlines())
        for shown in filter(str.strip, self.command.shown):
            assert any(is_shown(shown, line) for line in printed), (
                f"{self.command.text}\nshows {shown!r}; printed was\n{self.out}{self.err}"
            )


Swap = str | Callable[[], str]


@dataclass(kw_only=True)
class Typist:
    """Types the blocks of a page in a directory. Close it: what keeps running ends then.

    ``swaps``: what is written differently on this machine (ports, places, names learned on the way), word for word, the
    first match first. ``stays``: commands that keep running, by a part of their text, each with what says that it is
    ready. ``fails``: commands that the page says are refused. ``become``: the words before what is typed, where another
    account does, or another machine is typed on.
    """

    cwd: Path
    env: Mapping[str, str]
    swaps: Mapping[str, Swap] = field(default_factory=dict)
    stays: Mapping[str, Callable[[], bool]] = field(default_factory=dict)
    fails: frozenset[str] = frozenset()
    become: Sequence[str] = ()
    patience_s: float = PATIENCE_S
    """How long one command may take, and one that keeps running until it is ready: an installation is long work."""
    _running: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def swapped(self, text: str) -> str:
        """The text as it is typed here."""
        for old, new in self.swaps.items():
            if old in text:
                text = text.replace(old, new if isinstance(new, str) else new())
        return text

    def type(self, block: Block) -> list[Typed]:
        """Run each command of a block and compare with what the page shows."""
        return [self.run(command) for command in block.commands()]

    def run(self, command: Command) -> Typed:
        """Type one command; one that keeps running is left to itself when it is ready."""
        text = self.swapped(command.text)
        for part, ready in self.stays.items():
            if part in command.text:
                self._stay(text, ready)
                return Typed(command, 0, "", "")
        done = subprocess.run(
            [*self.become, "bash", "-euo", "pipefail", "-c", text],
            cwd=self.cwd,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=max(300.0, self.patience_s),
            check=False,
        )
        typed = Typed(command, done.returncode, done.stdout, done.stderr)
        refused = any(part in command.text for part in self.fails)
        assert (done.returncode != 0) == refused, f"{text}\nexit {done.returncode}\n{done.stdout}{done.stderr}"
        typed.check()
        return typed

    def _stay(self, text: str, ready: Callable[[], bool]) -> None:
        log = self.cwd / f"stays-{len(self._running)}.log"
        with log.open("wb") as out:
            # A session of its own, so that all it started ends with it.
            process = child.start(
                [*self.become, "bash", "-euc", text],
                cwd=self.cwd,
                env=self.env,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        self._running.append(process)
        until = time.monotonic() + self.patience_s
        while not ready():
            assert process.poll() is None, f"{text}\nended\n{log.read_text(errors='replace')[-3000:]}"
            assert time.monotonic() < until, f"{text}\nis not ready\n{log.read_text(errors='replace')[-3000:]}"
            time.sleep(0.05)

    def said(self) -> str:
        """What those that keep running have said so far."""
        return "".join(path.read_text(errors="replace") for path in sorted(self.cwd.glob("stays-*.log")))

    def close(self) -> None:
        """End what keeps running, the latest first."""
        for process in reversed(self._running):
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
            child.end(process, signal.SIGTERM)


class Walk:
    """Types the blocks of one page from its top; ``done`` checks that none was left out."""

    def __init__(self, page: str, typist: Typist) -> None:
        self._page = page
        self._left = [block for block in blocks(page) if block.typed]
        self._typist = typist

    def go(self, count: int) -> list[Typed]:
        """Type the next blocks."""
        now, self._left = self._left[:count], self._left[count:]
        assert len(now) == count
        return [typed for block in now for typed in self._typist.type(block)]

    def done(self) -> None:
        """All that can be typed was."""
        assert self._left == []
        finished.add(self._page)
