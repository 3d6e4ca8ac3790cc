"""The canaries' worlds: every bridge has its own, and none reaches another."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.broker.external.canary_world import COMMON, canaries, is_canary, world_of
from healthsync_mqtt.broker.external.grants import grants_of
from healthsync_mqtt.model.principal import Role
from healthsync_mqtt.topics.access import AccessRules
from healthsync_mqtt.topics.grammar import is_id
from healthsync_mqtt.topics.registry import TopicRegistry

RULES = AccessRules(TopicRegistry.load())
IDS = st.text("ab-_", min_size=1, max_size=5) | st.text("ab-", min_size=36, max_size=64)


@given(st.lists(IDS, min_size=1, max_size=6, unique=True))
def test_nobody_is_in_two_worlds(bridges: list[str]) -> None:
    names = [each.client_id for each in canaries(bridges)]
    users = [str(each.user) for each in canaries(bridges) if each.role is Role.device]
    for told in (names, users):
        assert len(set(told)) == len(told)
        assert all(is_id(name) and is_canary(name) for name in told)


def test_names_stay_what_brokers_know() -> None:
    """Another name is one that no broker lets in until it is told."""
    assert [each.client_id for each in COMMON.everybody] == [
        f"healthsync-canary-{name}" for name in ("a-probe", "b-probe", "perch", "reader", "cloud", "c-probe")
    ]
    assert [each.client_id for each in world_of("main").everybody] == [
        f"healthsync-canary-main-{name}" for name in ("a-probe", "b-probe", "perch", "reader", "cloud", "c-probe")
    ]
    assert world_of("x" * 64).probe.client_id == f"healthsync-canary-{'x' * 29}-7ce10097-c-probe"


def test_no_right_reaches_into_another_world() -> None:
    worlds = (COMMON, world_of("one"), world_of("two"))
    for own, other in itertools.permutations(worlds, 2):
        names = {name for each in other.everybody for name in (each.client_id, str(each.user))} - {"None"}
        for each in own.everybody:
            grants = grants_of(RULES, each)
            filters = [*(grant.filter for grant in grants.publish), *grants.subscribe, *grants.screened]
            assert filters
            assert not [name for name in filters if names & set(name.split("/"))]
            assert not [name for name in filters if "+" in name.split("/")[:2] or name == "#"]
