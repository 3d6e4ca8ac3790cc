"""The pages that state the bounds, and the table that the code takes them from, say the same."""

import re
from pathlib import Path

import pytest

from bridge import backlog, endpoint, group, pipeline, pressure
from bridge.edges import asking, changes
from bridge.follow import shared
from healthsync_mqtt.broker.embedded import (
    accepting,
    connection,
    handshakes,
    introductions,
    protocol,
    proxy_header,
    router,
    wills,
    wire,
)
from healthsync_mqtt.broker.embedded.limits import notices
from healthsync_mqtt.broker.embedded.limits.addresses import AddressGuard
from healthsync_mqtt.broker.external import serve
from healthsync_mqtt.config.sections import EventSettings, LimitSettings, QuarantineSettings
from healthsync_mqtt.identity.login import enrolment, password_line, tokens
from healthsync_mqtt.identity.people import revocation
from healthsync_mqtt.mqtt.codec import fields
from healthsync_mqtt.mqtt.codec.v5 import properties
from tests.support.floods.profile import strict

DOCS = Path(__file__).parents[2] / "docs"
ROW = re.compile(r"^\| `((?:limits|events|quarantine)\.\w+)` \| ([\d.,]+) \|", re.MULTILINE)
FIXED = re.compile(r"^\| `([a-z_.]+)` \| ([\d,]+) \| \w", re.MULTILINE)

SECTIONS = (("limits", LimitSettings), ("events", EventSettings), ("quarantine", QuarantineSettings))
IN_CODE = {
    f"{section}.{name}": float(field.default)
    for section, model in SECTIONS
    for name, field in model.model_fields.items()
}


def number(text: str) -> float:
    return float(text.replace(",", ""))


@pytest.mark.parametrize("page", ["howto/limits.md", "security.md"])
def test_every_bound_is_stated_with_its_default(page: str) -> None:
    text = (DOCS / page).read_text(encoding="utf-8")
    stated = {name: number(value) for name, value in ROW.findall(text.partition("## Every bound")[2])}
    assert stated == IN_CODE


def test_the_fixed_bounds_are_those_of_the_code() -> None:
    text = (DOCS / "howto" / "limits.md").read_text(encoding="utf-8").partition("These are not settings")[2]
    assert {name: number(value) for name, value in FIXED.findall(text)} == {
        "router.messages": router._MOST_BEHIND,
        "router.bytes": router._MOST_BYTES_BEHIND,
        "commit.work": group.GROUP_EVENTS,
        "commit.felt": backlog.MUCH,
        "commit.little": backlog.LIGHT,
        "commit.part": pipeline.PART_EVENTS,
        "commit.bytes": group.GROUP_BYTES,
        "bridge.held_back": LimitSettings().backlog_bytes,
        "connection.last_words_ms": wire._GONE_S * 1_000,
        "backlog.reserve": LimitSettings().backlog_bytes // pressure.RESERVE,
        "backlog.little": LimitSettings().backlog_bytes // pressure.LITTLE,
        "skipped_packet": connection.SKIP * LimitSettings().max_packet,
        "topic_aliases": protocol.MOST_ALIASES,
        "groups.members": shared.MOST_MEMBERS,
        "groups.opened": shared.MOST_GROUPS,
        "handshakes": handshakes.MOST,
        "handshake_s": accepting.HANDSHAKE_S,
        "failures.remembered": AddressGuard._REMEMBER,
        "write_buffer": 65_536,  # asyncio's and uvloop's high-water mark
        "wills": wills.MOST,
        "filters.packet": fields.MAX_FILTERS,
        "properties.repeated": properties.MAX_REPEATED,
        "token": tokens.MAX_TOKEN_CHARS,
        "tokens.revoked": revocation.MOST_REVOKED,
        "passwords.waiting": password_line._MOST,
        "enrolment.tries": enrolment.MAX_TRIES,
        "introductions": introductions.MOST,
        "introduction_s": introductions.WITHIN_S,
        "introduction.bytes": proxy_header.LONGEST,
        "changes.page": changes._MOST,
        "changes.waiting": asking._MOST_AT_ONCE,
        "log.lines": notices._MOST,
        "metrics.connections": endpoint._MOST_CONNECTIONS,
        "metrics.bytes": endpoint._MOST_BYTES,
        "hooks.body": serve._MOST_BODY,
    }


def test_the_strict_profile_can_be_set() -> None:
    profile = strict()
    assert profile
    assert all(value < IN_CODE[f"limits.{name}"] for name, value in profile.items())
    assert LimitSettings(**profile).max_packet == 131_072  # type: ignore[arg-type]
