"""Consent: what decisions come to, checked against an oracle that reads the history backwards."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.errors import InputError, NotFoundError, StoreError
from healthsync_mqtt.identity.consent.decisions import (
    NO_PERMISSION,
    PURPOSES,
    Action,
    ConsentDecision,
    Purpose,
    in_force,
    standings,
)
from healthsync_mqtt.identity.registry import Registry

TYPES = ["heart_rate", "steps", "weight"]
USERS = ["alice", "bob"]


@st.composite
def histories(draw: st.DrawFn) -> list[ConsentDecision]:
    """Decisions of two users, in the order of time."""
    history = []
    at = 0
    for _ in range(draw(st.integers(0, 12))):
        at += draw(st.integers(1, 5))
        action = draw(st.sampled_from(Action))
        expires = draw(st.none() | st.integers(1, 20).map(lambda after, at=at: at + after))
        history.append(
            ConsentDecision(
                user_id=draw(st.sampled_from(USERS)),
                action=action,
                purpose=draw(st.sampled_from(PURPOSES)),
                types=draw(st.none() | st.frozensets(st.sampled_from(TYPES), min_size=1)),
                decided_us=at,
                expires_us=expires if action is Action.grant else None,
                text_version=None,
                recorded_by="test",
            )
        )
    return history


def oracle(history: list[ConsentDecision], user: str, purpose: Purpose, type_name: str, now: int) -> bool:
    """The last decision that names the type decides."""
    for decision in reversed(history):
        named = decision.types is None or type_name in decision.types
        if (decision.user_id, decision.purpose) == (user, purpose) and named:
            ends = decision.expires_us
            return decision.action is Action.grant and (ends is None or now < ends)
    return False


@given(histories(), st.integers(0, 100))
def test_the_last_decision_about_a_type_holds(history: list[ConsentDecision], after: int) -> None:
    now = (history[-1].decided_us if history else 0) + after
    permissions = in_force(history)
    for user in USERS:
        for purpose in PURPOSES:
            permission = permissions[purpose].get(user, NO_PERMISSION)
            for name in TYPES:
                span = permission.span(name)
                assert span.covers(now, now) == oracle(history, user, purpose, name, now)
            if permission.complete(now):
                assert all(oracle(history, user, purpose, name, now) for name in TYPES)


@given(histories())
def test_what_is_shown_is_what_holds(history: list[ConsentDecision]) -> None:
    own = [decision for decision in history if decision.user_id == "alice"]
    now = history[-1].decided_us if history else 0
    lines = {(line.purpose, line.type): line for line in standings(own)}
    for purpose in PURPOSES:
        for name in TYPES:
            line = lines.get((purpose, name), lines.get((purpose, None)))
            assert (line is not None and line.holds(now)) == oracle(own, "alice", purpose, name, now)


@given(histories())
def test_one_users_decisions_say_nothing_about_another(history: list[ConsentDecision]) -> None:
    together = in_force(history)
    alone = in_force(decision for decision in history if decision.user_id == "alice")
    assert all(together[purpose].get("alice") == alone[purpose].get("alice") for purpose in PURPOSES)


@given(histories(), st.integers(0, 60))
def test_a_grant_covers_what_comes_after_it_and_a_renewal_leaves_no_gap(
    history: list[ConsentDecision], received: int
) -> None:
    """What was received while there was no consent is not shared by a later grant."""
    now = history[-1].decided_us if history else 0
    own = [decision for decision in history if decision.user_id == "alice"]
    for name in TYPES:
        span = in_force(own)[Purpose.share].get("alice", NO_PERMISSION).span(name)
        if received > now or not span.covers(received, now):
            continue
        then = [decision for decision in own if decision.decided_us <= received]
        assert oracle(then, "alice", Purpose.share, name, received)


def test_a_grant_of_everything_brings_back_nothing_of_a_type_that_was_withdrawn() -> None:
    def decision(action: Action, types: frozenset[str] | None, at: int) -> ConsentDecision:
        return ConsentDecision(
            user_id="alice", action=action, purpose=Purpose.share, types=types, decided_us=at, expires_us=None,
            text_version=None, recorded_by="test",
        )  # fmt: skip

    history = [
        decision(Action.grant, None, 1),
        decision(Action.withdraw, frozenset({"heart_rate"}), 2),
        decision(Action.grant, None, 8),
    ]
    permission = in_force(history)[Purpose.share]["alice"]
    assert not permission.span("heart_rate").covers(5, 9)
    assert permission.span("heart_rate").covers(8, 9)
    assert permission.span("steps").covers(5, 9)


@pytest.fixture
def registry(tmp_path: Path):
    with Registry.open(tmp_path / "registry.db") as opened:
        opened.add_user("alice", None, 1)
        yield opened


def test_the_history_is_kept_and_cannot_be_changed(registry: Registry) -> None:
    registry.consent.grant("alice", ["steps"], 10, text_version="v1", recorded_by="os:root", expires_us=90)
    registry.consent.withdraw("alice", "all", 20, purposes=[Purpose.share])
    lines = registry.consent.history("alice")
    assert [(line.action.value, line.purpose.value) for line in lines] == [
        ("grant", "store"), ("grant", "share"), ("grant", "insights"), ("withdraw", "share"),
    ]  # fmt: skip
    assert (lines[0].text_version, lines[0].recorded_by, lines[0].expires_us) == ("v1", "os:root", 90)
    for sql in ("UPDATE consent_decisions SET types = '*'", "DELETE FROM consent_decisions"):
        with pytest.raises(StoreError), registry._tables.write():
            registry._tables._db.execute(sql)
    assert registry.consent.history("alice") == lines


def test_what_cannot_be_granted(registry: Registry) -> None:
    with pytest.raises(InputError):
        registry.consent.grant("alice", "all", 10, expires_us=10)
    with pytest.raises(InputError):
        registry.consent.grant("alice", ["a b"], 10)
    with pytest.raises(NotFoundError):
        registry.consent.grant("nobody", "all", 10)
    assert registry.consent.history("alice") == []


def test_an_older_registry_keeps_what_it_recorded_and_no_more(tmp_path: Path, monkeypatch) -> None:
    from healthsync_mqtt.identity.people import schema

    steps = schema.migrations()
    monkeypatch.setattr(schema, "migrations", lambda: steps[:1])
    database = schema.open_database(tmp_path / "registry.db")
    database.execute("INSERT INTO users VALUES ('alice', 1)")
    database.execute("INSERT INTO consents VALUES (1, 'alice', '[\"steps\"]', 'store', 5, 'cli')")
    database.commit()
    database.close()
    monkeypatch.setattr(schema, "migrations", lambda: steps)
    with Registry.open(tmp_path / "registry.db") as registry:
        (line,) = registry.consent.history("alice")
        assert (line.purpose, line.types, line.decided_us) == (Purpose.store, {"steps"}, 5)


def test_permissions_read_step_by_step_are_those_of_the_whole_history(registry: Registry) -> None:
    registry.add_user("bob", "all", 1)
    seen = [registry.consent.permissions()]
    for at, user in enumerate(["alice", "bob", "alice", "bob", "alice"], start=2):
        if at % 2:
            registry.consent.withdraw(user, ["steps"], at)
        else:
            registry.consent.grant(user, "all", at)
        seen.append(registry.consent.permissions())
        assert seen[-1] == in_force(registry.consent.history())
        assert registry.consent.permissions() is seen[-1]
    assert len({id(permissions) for permissions in seen}) == len(seen)
