"""Rights as lists of filters: as much as the door allows, and nothing that it would not."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.broker.external.canary_world import COMMON, canaries
from healthsync_mqtt.broker.external.grants import grants_of
from healthsync_mqtt.broker.external.identities import bridge_principal, principals
from healthsync_mqtt.broker.external.mosquitto.dynsec import MARK, Present, WantedClient, acls_of, changes, role_name
from healthsync_mqtt.errors import ConfigError, ConflictError, UsageError
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.principal import Principal, Role
from healthsync_mqtt.model.shard import Shard
from healthsync_mqtt.topics.access import AccessRules
from healthsync_mqtt.topics.grammar import matches
from healthsync_mqtt.topics.registry import TopicRegistry

RULES = AccessRules(TopicRegistry.load())
IDS = st.sampled_from(["alice", "bob", "eve"])
DEVICES = st.sampled_from(["watch", "phone"])
TYPES = st.sampled_from([*sorted(CATALOGUE)[:4], "menstruation"])


def _principal(
    role: Role, user: str, device: str, users: frozenset[str] | None, types: frozenset[str] | None
) -> Principal:
    if role is Role.device:
        return Principal(role=role, client_id="c", user=user, device=device)
    if role is Role.subscriber:
        return Principal(role=role, client_id="c", users=users, types=types)
    return Principal(role=role, client_id="c", users=None, types=None)


PRINCIPALS = st.builds(
    _principal,
    st.sampled_from([Role.device, Role.subscriber, Role.admin, Role.bridge]),
    IDS,
    DEVICES,
    st.none() | st.frozensets(IDS, min_size=1),
    st.none() | st.frozensets(TYPES, min_size=1),
)
TOPICS = st.sampled_from(sorted(RULES.registry.channels)).flatmap(
    lambda key: st.fixed_dictionaries(
        {
            name: {"user": IDS, "device": DEVICES, "type": TYPES}.get(name, st.just("x"))
            for name in RULES.registry[key].template.variables
        }
    ).map(lambda values: RULES.registry.build(key, **values))
)


@given(PRINCIPALS, TOPICS)
def test_a_topic_is_granted_exactly_when_the_door_allows_it(principal: Principal, topic: str) -> None:
    grants = grants_of(RULES, principal)
    publish = any(matches(grant.filter, topic) for grant in grants.publish)
    assert publish == RULES.may_publish(principal, topic).allowed
    retained = any(grant.retain and matches(grant.filter, topic) for grant in grants.publish)
    assert retained == RULES.may_publish(principal, topic, retain=True).allowed
    withheld = any(matches(name, topic) for name in grants.withheld)
    received = any(matches(name, topic) for name in grants.receive) and not withheld
    assert received == RULES.may_subscribe(principal, topic).allowed


@given(PRINCIPALS)
def test_every_filter_that_is_handed_out_passes_the_door(principal: Principal) -> None:
    for name in grants_of(RULES, principal).subscribe:
        assert RULES.may_subscribe(principal, name).allowed


def test_a_reader_of_too_many_named_users_is_told_so() -> None:
    many = Principal(
        role=Role.subscriber, client_id="c", users=frozenset(f"u{n}" for n in range(3000)), types=frozenset({"steps"})
    )
    with pytest.raises(ConfigError):
        grants_of(RULES, many)


# -- dynamic security


def client(principal: Principal, *, fresh: bool = True) -> WantedClient:
    return WantedClient(client_id=principal.client_id, password="p", fresh=fresh, grants=grants_of(RULES, principal))


def present(*clients: WantedClient, **other: object) -> Present:
    return Present(
        {
            each.client_id: {
                "username": each.client_id,
                "clientid": each.client_id,
                "textname": MARK,
                "roles": [{"rolename": role_name(each.client_id)}],
            }
            | other
            for each in clients
        },
        {
            role_name(each.client_id): frozenset(
                (acl["acltype"], acl["topic"], acl["allow"]) for acl in acls_of(each.grants)
            )
            for each in clients
        },
    )


def test_a_new_client_gets_a_role_and_is_bound_to_its_client_id() -> None:
    wanted = client(COMMON.intruder)
    role, made = changes(Present({}, {}), [wanted])
    assert (role["command"], role["rolename"]) == ("createRole", "healthsync:healthsync-canary-a-probe")
    assert made == {
        "command": "createClient",
        "username": COMMON.intruder.client_id,
        "password": "p",
        "clientid": COMMON.intruder.client_id,
        "textname": "healthsync",
        "roles": [{"rolename": "healthsync:healthsync-canary-a-probe", "priority": 0}],
    }


def test_what_is_so_is_not_said_again() -> None:
    wanted = [client(principal, fresh=False) for principal in (COMMON.intruder, bridge_principal("main"))]
    assert list(changes(present(*wanted), wanted)) == []


@pytest.mark.parametrize(
    ("there", "fresh", "command"),
    [
        ({"clientid": ""}, False, "setClientId"),
        ({"roles": []}, False, "modifyClient"),
        (
            {"roles": [{"rolename": "healthsync:healthsync-canary-a-probe"}, {"rolename": "admin"}]},
            False,
            "modifyClient",
        ),
        ({"disabled": True}, False, "enableClient"),
        ({}, True, "setClientPassword"),
    ],
)
def test_what_differs_is_put_right(there: dict[str, object], fresh: bool, command: str) -> None:
    wanted = client(COMMON.intruder, fresh=fresh)
    assert [each["command"] for each in changes(present(wanted, **there), [wanted])] == [command]


def test_a_denial_that_is_there_is_not_said_again_and_one_that_was_taken_out_is() -> None:
    reader = Principal(client_id="app", role=Role.subscriber, users=frozenset({"alice"}), types=None)
    wanted = client(reader, fresh=False)
    assert wanted.grants.withheld
    there = present(wanted)
    assert list(changes(there, [wanted])) == []
    role = role_name("app")
    loosened = Present(there.clients, {role: frozenset(rule for rule in there.roles[role] if rule[2])})
    assert [each["command"] for each in changes(loosened, [wanted])] == ["modifyRole"]


def test_rules_that_somebody_loosened_are_taken_back() -> None:
    wanted = client(COMMON.intruder, fresh=False)
    loose = present(wanted)
    role = role_name(wanted.client_id)
    loosened = Present(loose.clients, {role: loose.roles[role] | {("subscribePattern", "#", True)}})
    (said,) = changes(loosened, [wanted])
    assert (said["command"], said["acls"]) == ("modifyRole", acls_of(wanted.grants))


def test_a_client_that_is_wanted_no_longer_is_disabled_once() -> None:
    gone = client(COMMON.intruder, fresh=False)
    assert list(changes(present(gone), [])) == [{"command": "disableClient", "username": gone.client_id}]
    assert list(changes(present(gone, disabled=True), [])) == []


# -- names


def test_a_device_may_not_have_the_name_of_a_bridge(tmp_path: Path) -> None:
    with Registry.open(tmp_path / "registry.db") as registry:
        registry.add_user("healthsync-bridge", "all", 1)
        registry.add_device("healthsync-bridge", "main", 1)
        roster = registry.roster()
    with pytest.raises(ConflictError):
        principals(roster, ["main"])
    assert len(principals(roster, ["other"])) == len(canaries(["other"])) + 3


def test_nobody_has_the_name_of_a_canary(tmp_path: Path) -> None:
    """Also of one of a bridge that is not known here."""
    with Registry.open(tmp_path / "registry.db") as registry:
        for name in ("healthsync-canary-a", "healthsync-canary-elsewhere-a", "_erased_"):
            with pytest.raises(ConflictError, match="kept"):
                registry.add_user(name, "all", 1)
        registry.add_user("healthsync", "all", 1)
        registry.add_device("healthsync", "canary-elsewhere-a-probe", 1)
        roster = registry.roster()
    with pytest.raises(ConflictError, match="reserved"):
        principals(roster, ["main"])


@given(st.text(min_size=1, max_size=20), st.integers(1, 64))
def test_every_user_belongs_to_exactly_one_shard(user: str, parts: int) -> None:
    assert [Shard(number, parts).owns(user) for number in range(1, parts + 1)].count(True) == 1


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2", "1/2/3"])
def test_a_shard_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        Shard.parse(text)


def test_shards_stay_where_they_are() -> None:
    """The assignment is part of the installation's state: another one would tear a user's order apart."""
    assert [next(n for n in range(1, 9) if Shard(n, 8).owns(user)) for user in ("alice", "bob", "u_17")] == [8, 1, 3]
