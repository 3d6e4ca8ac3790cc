"""Refresh tokens (T19): one child a parent, a minute's grace, reuse ends the family; as examples and as a machine."""

from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from healthsync_mqtt.errors import TokenError
from healthsync_mqtt.identity.login.refresh import FAMILY_S, GRACE_S, IDLE_S, Refreshed, ReuseError, is_genuine
from healthsync_mqtt.identity.registry import Registry

NOW_US = 1_800_000_000_000_000
S = 1_000_000


@pytest.fixture
def registry(tmp_path: Path):
    with Registry.open(tmp_path / "registry.db") as opened:
        opened.add_user("alice", "all", NOW_US)
        opened.add_device("alice", "watch", NOW_US)
        yield opened


@pytest.fixture
def first(registry: Registry) -> Refreshed:
    with registry.write():
        return registry.refresh_tokens.begin("alice", "watch", NOW_US)


def test_a_chain_of_tokens(registry: Registry, first: Refreshed) -> None:
    token = first.token
    for hour in range(1, 5):
        refreshed = registry.refresh_tokens.rotate(token, NOW_US + hour * 3600 * S)
        assert (refreshed.user_id, refreshed.device_id) == ("alice", "watch")
        assert refreshed.token != token
        token = refreshed.token


@pytest.mark.parametrize(("after_s", "same"), [(0, True), (GRACE_S, True), (GRACE_S + 0.000001, False), (-5, True)])
def test_the_grace_after_a_lost_answer(registry: Registry, first: Refreshed, after_s: float, same: bool) -> None:
    child = registry.refresh_tokens.rotate(first.token, NOW_US)
    again_us = NOW_US + int(after_s * S)
    if same:
        assert registry.refresh_tokens.rotate(first.token, again_us).token == child.token
        assert registry.refresh_tokens.rotate(child.token, again_us).token != child.token
        return
    with pytest.raises(ReuseError) as caught:
        registry.refresh_tokens.rotate(first.token, again_us)
    assert (caught.value.user_id, caught.value.device_id) == ("alice", "watch")
    with pytest.raises(TokenError):
        registry.refresh_tokens.rotate(child.token, again_us)
    assert registry.refresh_tokens.live(again_us) == []


def test_reuse_after_the_child_was_used_ends_the_family_also_within_the_minute(registry: Registry, first) -> None:
    child = registry.refresh_tokens.rotate(first.token, NOW_US)
    registry.refresh_tokens.rotate(child.token, NOW_US + 1)
    before = registry.generation()
    with pytest.raises(ReuseError):
        registry.refresh_tokens.rotate(first.token, NOW_US + 2)
    assert registry.generation() > before


def test_rotation_is_quiet(registry: Registry, first: Refreshed) -> None:
    before = registry.generation()
    registry.refresh_tokens.rotate(first.token, NOW_US)
    assert registry.generation() == before


def test_invented_tokens_end_nobodys_family(registry: Registry, first: Refreshed) -> None:
    head, _, tag = first.token.rpartition(".")
    prefix, family, secret = head.split(".")
    for forged in (
        "",
        "hsr.",
        first.token[:-1],
        first.token + "A",
        f"{prefix}.{family}.{'A' * 43}.{tag}",
        f"{prefix}.{'A' * 16}.{secret}.{tag}",
        f"{head}.{'A' * 22}",
    ):
        with pytest.raises(TokenError) as caught:
            registry.refresh_tokens.rotate(forged, NOW_US)
        assert not isinstance(caught.value, ReuseError)
        assert str(caught.value) == "the credentials were refused"
    assert registry.refresh_tokens.rotate(first.token, NOW_US)


@pytest.mark.parametrize("after_s", [IDLE_S, FAMILY_S])
def test_tokens_end(registry: Registry, first: Refreshed, after_s: int) -> None:
    with pytest.raises(TokenError):
        registry.refresh_tokens.rotate(first.token, NOW_US + after_s * S)
    assert registry.refresh_tokens.live(NOW_US + after_s * S) == []


def test_removal_and_revocation_end_the_family(registry: Registry, first: Refreshed) -> None:
    with registry.write():
        second = registry.refresh_tokens.begin("alice", "watch", NOW_US)
    registry.revocation.revoke_device_tokens("alice", "watch", NOW_US)
    registry.remove_device("alice", "watch", NOW_US)
    for token in (first.token, second.token):
        with pytest.raises(TokenError):
            registry.refresh_tokens.rotate(token, NOW_US)


def test_no_token_is_in_the_file(registry: Registry, first: Refreshed, tmp_path: Path) -> None:
    child = registry.refresh_tokens.rotate(first.token, NOW_US)
    content = (tmp_path / "registry.db").read_bytes()
    for token in (first.token, child.token):
        assert token.encode() not in content
        assert token.split(".")[2].encode() not in content
        assert token not in repr((first, child))


class Chain(RuleBasedStateMachine):
    """Any order of uses, repetitions and pauses, against a model that knows every token's place in the chain."""

    tokens = Bundle("tokens")

    @initialize(target=tokens)
    def start(self) -> str:
        self.registry = Registry.open(Path(self._directory.name) / "registry.db")
        self.registry.add_user("alice", "all", NOW_US)
        self.registry.add_device("alice", "watch", NOW_US)
        with self.registry.write():
            token = self.registry.refresh_tokens.begin("alice", "watch", NOW_US).token
        self.now = self.rotated = NOW_US
        self.chain = [token]
        self.revoked = False
        return token

    def __init__(self) -> None:
        import tempfile

        super().__init__()
        self._directory = tempfile.TemporaryDirectory()

    @rule(seconds=st.sampled_from([0, 1, 30, 61]))
    def wait(self, seconds: int) -> None:
        self.now += seconds * S

    @rule(target=tokens, token=tokens)
    def use(self, token: str) -> str:
        place = self.chain.index(token)
        newest = len(self.chain) - 1
        fresh = place == newest - 1 and self.now - self.rotated <= GRACE_S * S
        if self.revoked or (place != newest and not fresh):
            with pytest.raises(TokenError):
                self.registry.refresh_tokens.rotate(token, self.now)
            self.revoked = True
            return token
        answer = self.registry.refresh_tokens.rotate(token, self.now).token
        if place == newest:
            self.chain.append(answer)
            self.rotated = self.now
        assert answer == self.chain[place + 1]
        return answer

    @invariant()
    def revoked_families_are_dead(self) -> None:
        if hasattr(self, "registry"):
            assert (self.registry.refresh_tokens.live(self.now) == []) == self.revoked
            assert all(
                is_genuine(token, self.registry._tables.column(str, "SELECT tag_key FROM refresh_families")[0])
                for token in self.chain
            )

    def teardown(self) -> None:
        if hasattr(self, "registry"):
            self.registry.close()
        self._directory.cleanup()


Chain.TestCase.settings = settings(max_examples=15, stateful_step_count=15, deadline=None)
TestChain = Chain.TestCase
