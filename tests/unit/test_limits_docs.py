"""The pages that state the bounds, and the table that the code takes them from, say the same."""

import re
from pathlib import Path

import pytest

from bridge import backlog, endpoint, folds, group, pipeline, pressure
from bridge.edges import asking, changes
from bridge.follow import shared, shared_group
from bridge.stages import acknowledge
from healthsync_mqtt.broker.embedded import (
    accepting,
    connection,
    dialect,
    handshakes,
    introductions,
    protocol,
    proxy_header,
    router,
    wills,
    wire,
)
from healthsync_mqtt.broker.embedded.limits import notices, turned_away
from healthsync_mqtt.broker.embedded.limits.addresses import AddressGuard
from healthsync_mqtt.broker.external import serve
from healthsync_mqtt.config.sections import EventSettings, LimitSettings, QuarantineSettings
from healthsync_mqtt.formats import port
from healthsync_mqtt.gateway import callers, uploads
from healthsync_mqtt.gateway import enrolment as http_enrolment
from healthsync_mqtt.gateway import tokens as revoking
from healthsync_mqtt.identity import refused_counts
from healthsync_mqtt.identity.login import app_login, enrolment, password_line, refused, tokens
from healthsync_mqtt.identity.people import revocation
from healthsync_mqtt.linked import inbox
from healthsync_mqtt.mqtt.codec import fields
from healthsync_mqtt.mqtt.codec.v5 import properties
from tests.support.floods.profile import strict

DOCS = Path(__file__).parents[2] / "docs"
ROW = re.compile(r"^\| `((?:limits|events|quarantine)\.\w+)` \| ([\d.,]+) \|", re.MULTILINE)
FIXED = re.compile(r"^\| `([a-z_.]+)` \| ([\d,]+) \| \w", re.MULTILINE)
KIND = re.compile(r"^\| [a-z ]+ \| (`.+`) \|$", re.MULTILINE)

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
        "commit.portion": group.PORTION,
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
        "passwords.remembered": app_login._MOST_KNOWN,
        "refused_logins.of_client": refused.MOST_OF_CLIENT,
        "refused_logins": refused.MOST,
        "turned_away": turned_away._MOST,
        "audit.refused": refused_counts._MOST_COUNTED,
        "taken_back": folds._MOST_GONE,
        "format.state": port.MOST_STATE,
        "receipt.rejections": acknowledge.MOST_LISTED,
        "topic_aliases.sent": dialect.MOST_ALIASES,
        "groups.taken": shared_group.MOST_OPEN,
        "inbox": inbox.MOST_ROWS,
        "inbox.bytes": inbox.MOST_BYTES,
        "http.credentials": callers._LONGEST,
        "http.enrolments": http_enrolment._MOST_AT_ONCE,
        "http.revocations": revoking._MOST_AT_ONCE,
        "http.uploads": uploads._WAITING,
    }


def test_each_fixed_bound_is_stated_once_and_the_other_page_names_its_kind_and_leads_there() -> None:
    limits = (DOCS / "howto" / "limits.md").read_text(encoding="utf-8").partition("## Fixed bounds")[2]
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
