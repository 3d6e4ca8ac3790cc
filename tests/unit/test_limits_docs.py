"""The pages that state the bounds, and the table that the code takes them from, say the same."""

import ast
import importlib
import re
from collections.abc import Iterator
from functools import cache, reduce
from pathlib import Path

import pytest

from bridge import pressure
from healthsync_mqtt.broker.embedded import connection, wire
from healthsync_mqtt.config.sections import EventSettings, GatewaySettings, LimitSettings, QuarantineSettings
from tests.support.floods.profile import strict
from tests.support.floods.sums import disk_mb, memory_mb, parts, stated
from tests.support.stated_bounds import ELSEWHERE, STATED, UNSTATED

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
ROW = re.compile(r"^\| `((?:limits|events|quarantine|gateway)\.\w+)` \| ([\d.,]+) \|", re.MULTILINE)
FIXED = re.compile(r"^\| `([a-z_.]+)` \| ([\d,]+) \| \w", re.MULTILINE)
NAMED = re.compile(r"`([a-z_.]+)` ([\d,]+)")
BOUND = re.compile(
    r"(?:^|_)(MOST|MAX|LIMITS?|LONGEST|LARGEST|AT_ONCE|REMEMBER|REMEMBERED|KNOWN|WAITING|TRIES|ATTEMPTS|BACKLOG|QUEUED?)(?:_|$)"
)
PERHAPS = re.compile(
    r"^\s*[A-Z0-9_]*(?:MOST|MAX|LIMIT|LONGEST|LARGEST|ONCE|REMEMBER|KNOWN|WAITING|TRIES|ATTEMPTS|BACKLOG|QUEUE)"
    r"[A-Z0-9_]*\b.*=|(?:Semaphore|deque|Queue)\(",
    re.MULTILINE,
)
COUNTED = {"Semaphore", "BoundedSemaphore", "deque", "Queue", "LifoQueue"}
KIND = re.compile(r"^\| [a-z ]+ \| (`.+`) \|$", re.MULTILINE)

SECTIONS = (("limits", LimitSettings), ("events", EventSettings), ("quarantine", QuarantineSettings))
IN_CODE = {
    f"{section}.{name}": float(field.default)
    for section, model in SECTIONS
    for name, field in model.model_fields.items()
} | {
    f"gateway.{name}": float(field.default)
    for name, field in GatewaySettings.model_fields.items()
    if isinstance(field.default, int | float) and not isinstance(field.default, bool)
}


def number(text: str) -> float:
    return float(text.replace(",", ""))


@pytest.mark.parametrize("page", ["howto/limits.md", "security.md"])
def test_every_bound_is_stated_with_its_default(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    stated = {name: number(value) for name, value in ROW.findall(text.partition("## Every bound")[2])}
    assert stated == IN_CODE


def value_of(constant: str) -> float:
    """What the code has for ``module:NAME``, or for ``module:Class.NAME``."""
    module, _, name = constant.partition(":")
    return float(reduce(getattr, name.split("."), importlib.import_module(module)))  # type: ignore[arg-type]


def fixed() -> dict[str, float]:
    """The fixed bounds of the page: some are a part of a setting, or not of our code."""
    return {name: value_of(constant) for name, constant in STATED.items()} | {
        "bridge.held_back": LimitSettings().backlog_bytes,
        "connection.last_words_ms": wire._GONE_S * 1_000,
        "backlog.reserve": LimitSettings().backlog_bytes // pressure.RESERVE,
        "backlog.little": LimitSettings().backlog_bytes // pressure.LITTLE,
        "backlog.plenty": LimitSettings().backlog_bytes // pressure.PLENTY,
        "skipped_packet": connection.SKIP * LimitSettings().max_packet,
        "read_buffer": 262_144,  # of uvloop's TLS, and of asyncio's
        "write_buffer": 65_536,  # asyncio's and uvloop's high-water mark
    }


def test_the_fixed_bounds_are_those_of_the_code() -> None:
    text = (
        (DOCS / "howto" / "limits.md")
        .read_text(encoding="utf-8")
        .partition("These are not settings")[2]
        .partition("\n## ")[0]
    )
    assert {name: number(value) for name, value in FIXED.findall(text)} == fixed()


def test_what_they_come_to_is_the_sum_of_the_bounds_that_are_named() -> None:
    bounds = IN_CODE | fixed()
    assert {name for name, of in parts().items() if not of} == {"memory.program"}  # measured by each flood
    sums = {name: sum(times * bounds[bound] for times, bound in of) for name, of in parts().items() if of}
    assert sums == {name: value for name, value in stated().items() if name in sums}
    each, all_of_them = sums["memory.connection"], stated()["memory.program"] + sums["memory.messages"]
    assert memory_mb(10) == pytest.approx((all_of_them + 10 * each) / 1e6)
    assert disk_mb() == pytest.approx(sums["disk.kept"] / 1e6)


OF_ONE = {"limits.session_bytes", "limits.connect_bytes"} | {
    f"quarantine.{of}_bytes" for of in ("device", "user", "row")
}
"""Bytes of one client, user or refusal: there are bounds of all of them together."""


def test_every_bound_of_bytes_of_everybody_is_in_a_sum() -> None:
    """A new one would be memory or disk that the sums do not have."""
    summed = {bound for of in parts().values() for _, bound in of}
    kept = {name for name in IN_CODE if name.startswith(("limits.", "quarantine.")) and name.endswith("_bytes")}
    assert kept - summed == OF_ONE


def test_what_the_page_says_of_http_are_bounds_of_the_two_tables() -> None:
    text = (DOCS / "howto" / "limits.md").read_text(encoding="utf-8").partition("## Over HTTP")[2]
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| what |")]
    bounds = IN_CODE | fixed()
    assert len(rows) > 8
    for row in rows:
        named = NAMED.findall(row)
        assert named, row
        assert {name: number(value) for name, value in named} == {name: bounds[name] for name, _ in named}


@cache
def trees() -> dict[Path, ast.Module]:
    """Our programs, as far as there may be a bound in them."""
    texts = {
        path.relative_to(ROOT): path.read_text(encoding="utf-8")
        for package in ("bridge", "healthsync_mqtt")
        for path in sorted((ROOT / package).rglob("*.py"))
    }
    return {path: ast.parse(text) for path, text in texts.items() if PERHAPS.search(text)}


def module_of(path: Path) -> str:
    return ".".join(path.with_suffix("").parts).removesuffix(".__init__")


def constants(path: Path, tree: ast.Module) -> Iterator[str]:
    """Numbers of a module and of its classes whose names say that they are the most of something."""
    module = module_of(path)
    for owner in (tree, *(node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))):
        of = f"{owner.name}." if isinstance(owner, ast.ClassDef) else ""
        for node in owner.body:
            target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
            value = getattr(node, "value", None)
            if isinstance(target, ast.Name) and target.id.isupper() and BOUND.search(target.id) and is_number(value):
                yield f"{module}:{of}{target.id}"


def is_number(value: ast.expr | None) -> bool:
    """Whether it is reckoned from numbers alone, or another name for one."""
    return value is not None and all(
        isinstance(node, ast.BinOp | ast.UnaryOp | ast.operator | ast.unaryop | ast.Name | ast.Attribute | ast.Load)
        or (isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool))
        for node in ast.walk(value)
    )


def test_every_fixed_bound_in_the_code_is_stated_or_has_a_reason_not_to_be() -> None:
    """Passkeys of a person, and rules of a client at a broker, had bounds that no page named."""
    found = {constant for path, tree in trees().items() for constant in constants(path, tree)}
    reasoned = set(STATED.values()) | set(UNSTATED)
    elsewhere = tuple(ELSEWHERE)
    assert [each for each in sorted(found - reasoned) if not each.startswith(elsewhere)] == []
    assert sorted(set(UNSTATED) - found) == [], "is no bound any more"
    assert sorted(set(UNSTATED) & set(STATED.values())) == []
    assert [each for each in UNSTATED if each.startswith(elsewhere)] == []
    assert [each for each in ELSEWHERE if not any(constant.startswith(each) for constant in found)] == []


def test_bounds_have_names() -> None:
    """How many there may be at a time is no number in the middle of a line."""
    unnamed = [
        f"{path}:{call.lineno}"
        for path, tree in trees().items()
        if not module_of(path).startswith(tuple(ELSEWHERE))
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and getattr(call.func, "attr", getattr(call.func, "id", "")) in COUNTED
        for value in (*call.args, *(word.value for word in call.keywords))
        if isinstance(value, ast.Constant) and isinstance(value.value, int) and value.value > 1
    ]
    assert unnamed == []


def test_each_fixed_bound_is_stated_once_and_the_other_page_names_its_kind_and_leads_there() -> None:
    limits = (
        (DOCS / "howto" / "limits.md").read_text(encoding="utf-8").partition("## Fixed bounds")[2].partition("\n## ")[0]
    )
    stated = [name for name, _ in FIXED.findall(limits)]
    security = (DOCS / "security.md").read_text(encoding="utf-8").partition("## Every bound")[2].partition("\n## ")[0]
    assert "(howto/limits.md#fixed-bounds)" in security
    kinds = KIND.findall(security.partition("| kind | fixed bounds |")[2])
    named = [name for names in kinds for name in re.findall(r"`([a-z_.]+)`", names)]
    assert stated
    assert sorted(named) == sorted(stated)


def test_the_strict_profile_can_be_set() -> None:
    profile = strict()
    assert profile
    assert all(value < IN_CODE[f"limits.{name}"] for name, value in profile.items())
    assert LimitSettings(**profile).max_packet == 131_072  # type: ignore[arg-type]
