"""PersonSessions of people: what a link opens, what each token is good for, and what ends it all."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from healthsync_mqtt.errors import TokenError
from healthsync_mqtt.gateway.login.sessions import ACCESS_S, GRACE_S, PersonSessions
from healthsync_mqtt.identity.audit.log import AuditLog
from healthsync_mqtt.identity.people.sessions import IDLE_US, LONGEST_US, SessionRole
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.catalogue import GUARDED

NOW_US = 1_790_000_000_000_000
SECOND_US = 1_000_000


class Scene:
    def __init__(self, directory: Path) -> None:
        self.now_us = NOW_US
        self.registry = Registry.open(directory / "registry.db")
        self.audit = AuditLog.open(directory / "audit.db", directory / "audit.key")
        self.registry.add_user("alice", "all", NOW_US)
        self.registry.add_user("bob", "all", NOW_US)
        self.sessions = self.gateway()

    def gateway(self) -> PersonSessions:
        return PersonSessions(self.registry, self.audit, lambda: "a-secret", clock=lambda: self.now_us / SECOND_US)

    def invited(self, user: str = "alice") -> str:
        until_us = self.now_us + 86_400 * SECOND_US
        return self.registry.sessions.invite(SessionRole.user, user, self.now_us, until_us=until_us)

    def later(self, seconds: float) -> None:
        self.now_us += int(seconds * SECOND_US)


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    made = Scene(tmp_path)
    yield made
    made.registry.close()


async def test_a_link_opens_one_session_and_is_written_down(scene: Scene) -> None:
    code = scene.invited()
    tokens = await scene.sessions.begin(code)
    person = await scene.sessions.who(tokens.access)
    assert person is not None
    assert (person.user, scene.sessions.alive(person)) == ("alice", True)
    with pytest.raises(TokenError):
        await scene.sessions.begin(code)
    assert [row.action for row in scene.audit.rows()].count("session.begun") == 1


async def test_a_link_ends(scene: Scene) -> None:
    code = scene.invited()
    scene.later(86_400)
    with pytest.raises(TokenError):
        await scene.sessions.begin(code)


@pytest.mark.parametrize("wrong", ["", "x", "hssa.x.1.y", "hssr", "hssa...", "hssa.x.-1.y", "hssa.ä.1.x"])
async def test_what_is_no_token_is_nobodys(scene: Scene, wrong: str) -> None:
    assert await scene.sessions.who(wrong) is None
    with pytest.raises(TokenError):
        await scene.sessions.refresh(wrong)


async def test_each_byte_of_a_token_counts_and_each_kind_is_good_for_its_own(scene: Scene) -> None:
    tokens = await scene.sessions.begin(scene.invited())
    other = await scene.sessions.begin(scene.invited("bob"))
    assert await scene.sessions.who(tokens.refresh) is None
    with pytest.raises(TokenError):
        await scene.sessions.refresh(tokens.access)
    for place, letter in enumerate(tokens.access):
        changed = tokens.access[:place] + ("A" if letter != "A" else "B") + tokens.access[place + 1 :]
        assert await scene.sessions.who(changed) is None
    head, _, code = tokens.access.rpartition(".")
    assert await scene.sessions.who(f"{head}.{other.access.rpartition('.')[2]}") is None
    assert await scene.sessions.who(f"{head}.{code}") is not None


async def test_an_access_token_is_short_and_a_refresh_makes_the_next(scene: Scene) -> None:
    first = await scene.sessions.begin(scene.invited())
    scene.later(ACCESS_S)
    assert await scene.sessions.who(first.access) is None
    second = await scene.sessions.refresh(first.refresh)
    person = await scene.sessions.who(second.access)
    assert person is not None
    assert person.user == "alice"
    assert second.csrf == first.csrf == scene.sessions.csrf(person.session)
    scene.later(ACCESS_S)
    assert not scene.sessions.alive(person)


async def test_who_lost_the_answer_gets_the_same_again_for_a_minute(scene: Scene) -> None:
    first = await scene.sessions.begin(scene.invited())
    both = await asyncio.gather(*(scene.sessions.refresh(first.refresh) for _ in range(2)))
    assert both[0].access == both[1].access
    assert both[0].refresh == both[1].refresh
    assert await scene.sessions.who(first.access) is not None  # a request that was on its way
    scene.later(GRACE_S)
    assert await scene.sessions.who(first.access) is None


async def test_a_refresh_token_that_was_copied_ends_the_session(scene: Scene) -> None:
    first = await scene.sessions.begin(scene.invited())
    second = await scene.sessions.refresh(first.refresh)
    scene.later(GRACE_S)
    with pytest.raises(TokenError):
        await scene.sessions.refresh(first.refresh)
    assert await scene.sessions.who(second.access) is None
    with pytest.raises(TokenError):
        await scene.sessions.refresh(second.refresh)
    assert "session.ended" in [row.action for row in scene.audit.rows()]


async def test_a_copied_token_two_refreshes_old_ends_it_at_once(scene: Scene) -> None:
    first = await scene.sessions.begin(scene.invited())
    second = await scene.sessions.refresh(first.refresh)
    third = await scene.sessions.refresh(second.refresh)
    with pytest.raises(TokenError):
        await scene.sessions.refresh(first.refresh)
    assert await scene.sessions.who(third.access) is None


@pytest.mark.parametrize("how", ["suspend", "remove"])
async def test_who_is_suspended_or_removed_has_no_session(scene: Scene, how: str) -> None:
    tokens, unopened = await scene.sessions.begin(scene.invited()), scene.invited()
    person = await scene.sessions.who(tokens.access)
    assert person is not None
    if how == "suspend":
        scene.registry.revocation.suspend_user("alice", scene.now_us)
    else:
        scene.registry.remove_user("alice", scene.now_us)
    await scene.sessions.follow()
    assert not scene.sessions.alive(person)
    assert await scene.sessions.who(tokens.access) is None
    with pytest.raises(TokenError):
        await scene.sessions.begin(unopened)


async def test_a_session_ends_without_a_refresh_and_after_the_longest_time(scene: Scene) -> None:
    tokens = await scene.sessions.begin(scene.invited())
    scene.now_us += IDLE_US
    with pytest.raises(TokenError):
        await scene.sessions.refresh(tokens.refresh)
    tokens = await scene.sessions.begin(scene.invited())
    began = scene.now_us
    while scene.now_us + IDLE_US // 2 < began + LONGEST_US:
        scene.now_us += IDLE_US // 2
        tokens = await scene.sessions.refresh(tokens.refresh)
    scene.now_us = began + LONGEST_US
    with pytest.raises(TokenError):
        await scene.sessions.refresh(tokens.refresh)


async def test_another_gateway_knows_what_this_one_did(scene: Scene) -> None:
    other = scene.gateway()
    tokens = await scene.sessions.begin(scene.invited())
    assert await other.who(tokens.access) is not None
    second = await other.refresh(tokens.refresh)
    assert await scene.sessions.who(second.access) is not None
    await other.end(second.session.id)
    await scene.sessions.follow()
    assert await scene.sessions.who(second.access) is None


async def test_a_carer_sees_what_is_granted_until_then(scene: Scene) -> None:
    until_us = scene.now_us + 60 * SECOND_US
    scene.registry.carers.grant("alice", "bob", ["*"], until_us, scene.now_us)
    await scene.sessions.follow()
    grant = scene.sessions.carer("bob", "alice")
    assert grant is not None
    assert (grant.sees("steps", scene.now_us), grant.sees("steps", until_us)) == (True, False)
    assert not grant.sees(min(GUARDED), scene.now_us)  # asked for by name
    assert scene.sessions.carer("alice", "bob") is None
    assert scene.sessions.cared_for("bob") == {"alice": grant}
    scene.now_us = until_us
    assert scene.sessions.cared_for("bob") == {}
    scene.registry.remove_user("alice", scene.now_us)
    await scene.sessions.follow()
    assert scene.sessions.carer("bob", "alice") is None
