"""Access decisions: examples from the design, then properties against an oracle that enumerates a small world."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.model.principal import Principal, Role
from healthsync_mqtt.topics import access, grammar
from healthsync_mqtt.topics.access import AccessGround, AccessRules
from healthsync_mqtt.topics.grammar import is_id, matches
from healthsync_mqtt.topics.registry import TopicRegistry

REGISTRY = TopicRegistry.load(types=None)
RULES = AccessRules(REGISTRY)

WATCH = Principal(
    role=Role.device, client_id="alice-watch-1", user="alice", device="watch-1", formats=frozenset({"openscale"})
)
READER = Principal(role=Role.subscriber, client_id="app", users=frozenset({"alice"}), types=None)
STEPS = Principal(role=Role.subscriber, client_id="steps", users=frozenset({"alice"}), types=frozenset({"steps"}))
EVERYONE = Principal(role=Role.subscriber, client_id="all", users=None, types=None)
ADMIN = Principal(role=Role.admin, client_id="root")
FITBIT = Principal(role=Role.adapter, client_id="fitbit", provider="fitbit", users=None)
BRIDGE = Principal(role=Role.bridge, client_id="bridge-main")
GATEWAY = Principal(role=Role.gateway, client_id="healthsync-gateway", users=None, types=None)
GUEST = Principal(role=Role.enroll, client_id="enroll-a")

OWN = {
    "user": "alice", "device": "watch-1", "provider": "fitbit", "type": "steps", "kind": "sleep", "bridge": "main",
    "client": "enroll-a", "format": "openscale",
}  # fmt: skip
OTHERS = {
    "user": "bob", "device": "watch-2", "provider": "oura", "type": "weight", "kind": "load", "bridge": "b2",
    "client": "enroll-b", "format": "nightscout",
}  # fmt: skip
PRIVATE = {channel.key for channel in REGISTRY if channel.private}

PUBLISHES = {
    Role.device: {"user_events", "device_events", "format_messages", "status", "token_request", "changes_request"},
    Role.enroll: {"enroll_request"},
    Role.gateway: {"device_events", "format_messages", "gateway_request"},
    Role.subscriber: {"commands", "homeassistant_status", "changes_request"},
    Role.admin: {"commands"},
    Role.adapter: {"adapter_events", "connection"},
    Role.bridge: {
        "receipts",
        "canonical",
        "latest",
        "homeassistant_config",
        "insight",
        "bridge_status",
        "bridge_rejected",
        "token_response",
        "enroll_response",
        "changes_response",
        "gateway_answer",
    },
}
SUBSCRIBES = {
    Role.device: {"receipts", "commands", "status", "token_response", "changes_response"},
    Role.enroll: {"enroll_response"},
    Role.gateway: {"gateway_answer"},
    Role.subscriber: {
        "canonical",
        "latest",
        "homeassistant_config",
        "status",
        "connection",
        "insight",
        "changes_response",
    },
    Role.admin: set(REGISTRY.channels) - PRIVATE,
    Role.adapter: set(),
    Role.bridge: {
        "user_events",
        "device_events",
        "format_messages",
        "adapter_events",
        "status",
        "connection",
        "token_request",
        "enroll_request",
        "changes_request",
        "gateway_request",
        "homeassistant_status",
        "bridge_status",
        "bridge_rejected",
    },
}
BOUND = {
    Role.device: {"user", "device", "format", "client"},
    Role.enroll: {"client"},
    Role.subscriber: {"user", "type", "client"},
    Role.admin: set(),
    Role.gateway: {"client"},
    Role.adapter: {"user", "provider"},
    Role.bridge: set(),
}
ALICE_FITBIT = Principal(role=Role.adapter, client_id="f", provider="fitbit", users=frozenset({"alice"}))
PRINCIPALS = [WATCH, STEPS, ADMIN, ALICE_FITBIT, BRIDGE, GUEST, GATEWAY]


def topic(key: str, **changes: str) -> str:
    values = OWN | changes
    return REGISTRY.build(key, **{name: values[name] for name in REGISTRY[key].template.variables})


@pytest.mark.parametrize(("principal", "key"), list(product(PRINCIPALS, REGISTRY.channels)), ids=str)
def test_the_matrix_of_roles_and_channels(principal: Principal, key: str) -> None:
    """Each role, each channel, with own ids and with each id in turn replaced by another's."""
    own = OWN | ({"client": principal.client_id} if key.startswith(("changes", "gateway")) else {})
    worlds = [own] + [own | {name: OTHERS[name]} for name in REGISTRY[key].template.variables]
    for values in worlds:
        foreign = {
            name for name in BOUND[principal.role] & set(REGISTRY[key].template.variables) if values[name] != own[name]
        }
        name = topic(key, **values)
        published = RULES.may_publish(principal, name)
        assert published.allowed == (key in PUBLISHES[principal.role] and not foreign), published.rule
        subscribed = RULES.may_subscribe(principal, name)
        narrow = key == "insight" and principal is STEPS  # it is made of all general types
        assert subscribed.allowed == (key in SUBSCRIBES[principal.role] and not foreign and not narrow), subscribed.rule
        assert published.channel is REGISTRY[key]


@pytest.mark.parametrize(
    ("principal", "topic_filter", "ground"),
    [
        (WATCH, "users/alice/devices/watch-1/receipts", AccessGround.allowed),
        (WATCH, "users/alice/devices/watch-1/#", AccessGround.role),
        (WATCH, "users/alice/devices/watch-1/+", AccessGround.role),
        (WATCH, "users/alice/devices/+/receipts", AccessGround.wildcard),
        (WATCH, "users/+/devices/watch-1/receipts", AccessGround.wildcard),
        (WATCH, "+/alice/devices/watch-1/receipts", AccessGround.allowed),
        (WATCH, "users/alice/devices/watch-1/receipts/#", AccessGround.allowed),
        (WATCH, "users/alice/devices/watch-2/receipts", AccessGround.identity),
        (WATCH, "users/bob/devices/watch-1/receipts", AccessGround.identity),
        (WATCH, "users/alice/#", AccessGround.role),
        (WATCH, "#", AccessGround.role),
        (WATCH, "+/+/+/+/+", AccessGround.role),
        (WATCH, "$share/g/users/alice/devices/watch-1/receipts", AccessGround.reserved),
        (WATCH, "$share/g/#", AccessGround.reserved),
        (WATCH, "$SYS/#", AccessGround.reserved),
        (WATCH, "$queue/users/alice/devices/watch-1/receipts", AccessGround.reserved),
        (WATCH, "$MQTT/#", AccessGround.reserved),
        (WATCH, "users/alice/devices/watch-1/canonical", AccessGround.unknown_topic),
        (WATCH, "users/alice/devices/watch 1/receipts", AccessGround.unknown_topic),
        (WATCH, "a/#/b", AccessGround.bad_topic),
        (WATCH, "a+", AccessGround.bad_topic),
        (WATCH, "", AccessGround.bad_topic),
        (WATCH, "\ud800", AccessGround.bad_topic),
        (WATCH, "/".join(["+"] * 1000), AccessGround.unknown_topic),
        (READER, "users/alice/canonical/+", AccessGround.allowed),
        (READER, "users/alice/canonical/#", AccessGround.allowed),
        (READER, "users/alice/canonical/steps", AccessGround.allowed),
        (READER, "users/+/canonical/+", AccessGround.wildcard),
        (READER, "users/bob/canonical/+", AccessGround.identity),
        (READER, "users/alice/devices/+/status", AccessGround.allowed),
        (READER, "users/alice/connections/+", AccessGround.allowed),
        (READER, "users/alice/insights/#", AccessGround.allowed),
        (READER, "users/alice/#", AccessGround.role),
        (READER, "users/alice/canonical", AccessGround.unknown_topic),
        (READER, "users/alice/canonical/steps/x", AccessGround.unknown_topic),
        (READER, "bridge/#", AccessGround.role),
        (STEPS, "users/alice/canonical/steps", AccessGround.allowed),
        (STEPS, "users/alice/canonical/+", AccessGround.wildcard),
        (STEPS, "users/alice/canonical/#", AccessGround.wildcard),
        (STEPS, "users/alice/canonical/weight", AccessGround.identity),
        (STEPS, "users/+/canonical/steps", AccessGround.wildcard),
        (EVERYONE, "users/+/canonical/+", AccessGround.allowed),
        (EVERYONE, "users/+/canonical/steps", AccessGround.allowed),
        (EVERYONE, "users/#", AccessGround.role),
        (EVERYONE, "users/+/events", AccessGround.role),
        (ADMIN, "#", AccessGround.allowed),
        (ADMIN, "bridge/+/status", AccessGround.allowed),
        (ADMIN, "users/+/devices/+/#", AccessGround.allowed),
        (ADMIN, "$SYS/#", AccessGround.reserved),
        (ADMIN, "users/alice", AccessGround.unknown_topic),
        (ADMIN, "users/" + "u" * 64 + "/devices/" + "d" * 64 + "/receipts", AccessGround.allowed),
        (ADMIN, "elsewhere/#", AccessGround.unknown_topic),
        (FITBIT, "users/+/adapters/fitbit/events", AccessGround.role),
        (BRIDGE, "users/+/devices/+/events", AccessGround.allowed),
        (BRIDGE, "enroll/+/request", AccessGround.allowed),
        (WATCH, "users/alice/devices/watch-1/token/response", AccessGround.allowed),
        (WATCH, "users/alice/devices/watch-1/token/+", AccessGround.unknown_topic),
        (WATCH, "users/alice/devices/watch-1/token/response/#", AccessGround.unknown_topic),
        (WATCH, "users/alice/devices/watch-2/token/response", AccessGround.identity),
        (WATCH, "enroll/alice-watch-1/response", AccessGround.role),
        (ADMIN, "users/alice/devices/watch-1/token/response", AccessGround.role),
        (ADMIN, "enroll/+/response", AccessGround.unknown_topic),
        (GUEST, "enroll/enroll-a/response", AccessGround.allowed),
        (GUEST, "enroll/enroll-b/response", AccessGround.identity),
        (GUEST, "enroll/+/response", AccessGround.unknown_topic),
        (GUEST, "enroll/enroll-a/request", AccessGround.role),
        (GUEST, "#", AccessGround.role),
        (GUEST, "users/alice/devices/watch-1/receipts", AccessGround.role),
    ],
)
def test_filters(principal: Principal, topic_filter: str, ground: AccessGround) -> None:
    decision = RULES.may_subscribe(principal, topic_filter)
    assert (decision.reason, decision.allowed) == (ground, ground is AccessGround.allowed), decision.rule
    assert decision.rule


@pytest.mark.parametrize(
    ("principal", "name", "ground"),
    [
        (WATCH, "users/alice/events", AccessGround.allowed),
        (WATCH, "users/alice/devices/watch-1/receipts", AccessGround.role),
        (WATCH, "users/alice/devices/watch-1/commands", AccessGround.role),
        (WATCH, "users/alice/canonical/steps", AccessGround.role),
        (WATCH, "users/bob/events", AccessGround.identity),
        (WATCH, "users/alice/devices/watch-2/events", AccessGround.identity),
        (WATCH, "users/+/events", AccessGround.bad_topic),
        (WATCH, "users/alice/events/", AccessGround.unknown_topic),
        (WATCH, "/users/alice/events", AccessGround.unknown_topic),
        (WATCH, "users//events", AccessGround.unknown_topic),
        (WATCH, "x" * 65_535, AccessGround.unknown_topic),
        (WATCH, "x" * 65_536, AccessGround.bad_topic),
        (WATCH, "/" * 65_400, AccessGround.unknown_topic),
        (WATCH, "//", AccessGround.unknown_topic),
        (WATCH, "", AccessGround.bad_topic),
        (WATCH, "users/alice\0/events", AccessGround.bad_topic),
        (WATCH, "$SYS/broker", AccessGround.reserved),
        (ADMIN, "users/alice/events", AccessGround.role),
        (ADMIN, "elsewhere", AccessGround.unknown_topic),
        (READER, "users/alice/devices/watch-1/commands", AccessGround.allowed),
        (READER, "users/bob/devices/watch-1/commands", AccessGround.identity),
        (FITBIT, "users/alice/adapters/fitbit/events", AccessGround.allowed),
        (FITBIT, "users/alice/adapters/oura/events", AccessGround.identity),
    ],
)
def test_topics(principal: Principal, name: str, ground: AccessGround) -> None:
    decision = RULES.may_publish(principal, name)
    assert (decision.reason, decision.allowed) == (ground, ground is AccessGround.allowed), decision.rule


def test_retain_only_where_the_channel_allows_it() -> None:
    assert RULES.may_publish(WATCH, topic("status"), retain=True).allowed
    assert RULES.may_publish(FITBIT, topic("connection"), retain=True).allowed
    assert RULES.may_publish(WATCH, topic("device_events"), retain=True).reason is AccessGround.retain
    assert RULES.may_publish(ADMIN, topic("commands"), retain=True).reason is AccessGround.retain
    assert RULES.may_publish(BRIDGE, topic("canonical"), retain=True).reason is AccessGround.retain
    assert RULES.may_publish(WATCH, topic("status", user="bob"), retain=True).reason is AccessGround.identity


@pytest.mark.parametrize("retain", [False, True])
def test_a_device_sets_its_will_on_its_own_status_only(*, retain: bool) -> None:
    assert RULES.may_will(WATCH, topic("status"), retain=retain).allowed
    assert RULES.may_will(BRIDGE, topic("bridge_status"), retain=retain).allowed
    assert not RULES.may_will(WATCH, topic("status", device="watch-2"), retain=retain).allowed
    assert not RULES.may_will(WATCH, topic("status", user="bob"), retain=retain).allowed
    for principal in (WATCH, READER, EVERYONE, ADMIN, FITBIT):
        own = {"status"} if principal is WATCH else set()
        if principal.role is Role.subscriber:
            own = {"homeassistant_status"}  # Home Assistant is a subscriber with a birth and a will
            assert RULES.may_will(principal, topic("homeassistant_status"), retain=retain).allowed
        for key in set(REGISTRY.channels) - own:
            assert not RULES.may_will(principal, topic(key), retain=retain).allowed
    for name in ("$SYS/x", "users/+/devices/watch-1/status", "#", "", "elsewhere"):
        assert not RULES.may_will(WATCH, name, retain=retain).allowed
    assert RULES.may_will(WATCH, topic("device_events")).reason is AccessGround.will


@pytest.mark.parametrize(
    "principal",
    [
        Principal(role=Role.device, client_id="x"),
        Principal(role=Role.device, client_id="x", user="alice"),
        Principal(role=Role.subscriber, client_id="x"),
        Principal(role=Role.adapter, client_id="x", users=None),
        Principal(role=Role.adapter, client_id="x", provider="fitbit"),
    ],
)
def test_an_identity_half_made_may_nothing_of_a_device_or_type(principal: Principal) -> None:
    for key in ("device_events", "adapter_events", "commands", "status", "connection"):
        assert not RULES.may_publish(principal, topic(key)).allowed
    for topic_filter in ("#", "users/alice/canonical/steps", topic("receipts"), "users/+/canonical/+"):
        assert not RULES.may_subscribe(principal, topic_filter).allowed


def test_types_of_the_catalogue_limit_canonical_filters() -> None:
    rules = AccessRules(TopicRegistry.load())
    assert rules.may_subscribe(READER, "users/alice/canonical/steps").allowed
    assert rules.may_subscribe(READER, "users/alice/canonical/+").allowed
    assert rules.may_subscribe(READER, "users/alice/canonical/hr").reason is AccessGround.unknown_topic


def test_a_hash_above_a_bound_level_is_a_wildcard_there() -> None:
    rules = AccessRules(TopicRegistry([REGISTRY["canonical"]]))
    named_as_the_variable = Principal(role=Role.subscriber, client_id="x", users=None, types=frozenset({"type"}))
    for topic_filter in ("#", "users/#", "users/alice/#", "users/alice/canonical/#"):
        assert rules.may_subscribe(named_as_the_variable, topic_filter).reason is AccessGround.wildcard
        assert rules.may_subscribe(EVERYONE, topic_filter).allowed


def test_a_prefix_changes_nothing_else() -> None:
    rules = AccessRules(TopicRegistry.load(prefix="home/health"))
    assert rules.may_publish(WATCH, "home/health/users/alice/events").allowed
    assert rules.may_subscribe(READER, "home/health/users/alice/canonical/#").allowed
    assert rules.may_subscribe(READER, "home/+/users/alice/canonical/#").allowed
    assert not rules.may_publish(WATCH, "users/alice/events").allowed
    assert not rules.may_subscribe(READER, "users/alice/canonical/#").allowed
    assert not rules.may_subscribe(WATCH, "home/#").allowed


# A small world: each variable has ids that principals are bound to and one, "other", that no principal names.

WORLD = {
    "user": ["alice", "bob", "other"],
    "device": ["watch-1", "phone", "other"],
    "provider": ["fitbit", "other"],
    "type": ["steps", "weight", "other"],
    "kind": ["sleep", "other"],
    "bridge": ["main", "other"],
    "client": ["client", "other"],
    "format": ["openscale", "other"],
}


def declared(extra: frozenset[str] = frozenset(), tail: str = "/x") -> list[str]:
    """Every declared topic over the ids of the world and ``extra``; where any levels may follow, also with some."""
    return [
        channel.template.build(dict(zip(channel.template.variables, values, strict=True))) + rest
        for channel in REGISTRY
        for values in product(*({*WORLD[name], *extra} for name in channel.template.variables))
        for rest in (("", "/x", "/1", "/1/x", tail) if channel.template.rest else ("",))
    ]


TOPICS = sorted(declared())


def _some(ids: list[str]) -> st.SearchStrategy[frozenset[str] | None]:
    return st.one_of(st.none(), st.frozensets(st.sampled_from(ids)))


principals = st.builds(
    Principal,
    role=st.sampled_from(Role),
    client_id=st.just("client"),
    user=st.sampled_from([None, "alice", "bob"]),
    device=st.sampled_from([None, "watch-1", "phone"]),
    provider=st.sampled_from([None, "fitbit"]),
    users=_some(["alice", "bob"]),
    types=_some(["steps", "weight"]),
    formats=st.sampled_from([frozenset[str](), frozenset({"openscale"})]),
)


@st.composite
def filters(draw: st.DrawFn) -> str:
    """A topic of the world with some levels made wildcards or something else, and maybe its end cut off."""
    levels = draw(st.sampled_from(TOPICS)).split("/")
    levels = [draw(st.sampled_from([level, level, "+"])) for level in levels]
    match draw(st.integers(0, 4)):
        case 0:
            return "/".join([*levels[: draw(st.integers(0, len(levels)))], "#"])
        case 1:
            position = draw(st.integers(0, len(levels) - 1))
            levels[position] = draw(st.sampled_from(["other", "events", "users", "alice", "", "a+b", "$x"]))
        case 2:
            return "/".join(levels[: draw(st.integers(1, len(levels)))])
    return "/".join(levels)


_BEFORE_REST = len(REGISTRY["format_messages"].template.levels)


def is_private(name: str) -> bool:
    parsed = REGISTRY.parse(name)
    return parsed is not None and parsed[0].private


@given(principals, filters())
def test_a_filter_is_granted_exactly_when_all_it_matches_is(principal: Principal, topic_filter: str) -> None:
    named = frozenset(filter(is_id, topic_filter.split("/")))
    tail = "/" + "/".join("x" if level in {"+", "#"} else level for level in topic_filter.split("/")[_BEFORE_REST:])
    matched = [name for name in declared(named, tail) if matches(topic_filter, name)]
    if principal.role is not Role.bridge and ("+" in topic_filter or "#" in topic_filter):
        matched = [name for name in matched if not is_private(name)]
    expected = bool(matched) and all(RULES.may_subscribe(principal, name).allowed for name in matched)
    assert RULES.may_subscribe(principal, topic_filter).allowed == expected


@given(principals, st.sampled_from(TOPICS))
def test_topics_are_granted_by_role_and_ids(principal: Principal, name: str) -> None:
    parsed = REGISTRY.parse(name)
    assert parsed
    channel, variables = parsed
    by_role: dict[Role, dict[str, set[str | None] | frozenset[str] | None]] = {
        Role.device: {
            "user": {principal.user},
            "device": {principal.device},
            "format": principal.formats,
            "client": {"client"},
        },
        Role.subscriber: {
            "user": principal.users,
            "type": principal.types,
            "kind": None if principal.types is None else frozenset(),
            "client": {"client"},
        },
        Role.adapter: {"user": principal.users, "provider": {principal.provider}},
        Role.enroll: {"user": principal.users, "client": {"client"}},
        # A bridge is for everybody, unless it is the canaries': then users are its only ids of any kind.
        Role.bridge: dict.fromkeys(("user", "bridge", "client"), principal.users or None),
    }
    bounds = by_role.get(principal.role, {})
    own = all((bound := bounds.get(name)) is None or value in bound for name, value in variables.items())
    assert RULES.may_publish(principal, name).allowed == (principal.role in channel.roles_publish and own)
    assert RULES.may_subscribe(principal, name).allowed == (principal.role in channel.roles_subscribe and own)


@given(principals, st.text(alphabet="users/alice+#$devcnt-1\0é", max_size=40), st.booleans())
def test_any_text_gets_a_decision_and_only_declared_topics_are_granted(
    principal: Principal, text: str, retain: bool
) -> None:
    published = RULES.may_publish(principal, text, retain=retain)
    assert not published.allowed or REGISTRY.parse(text)
    assert published.rule
    if RULES.may_subscribe(principal, text).allowed:
        assert any(matches(text, name) for name in TOPICS) or REGISTRY.parse(text)


@pytest.mark.parametrize("before", ["", "$share/g/", "$share/"])
def test_a_filter_longer_than_any_that_reaches_a_topic_is_refused_unread(
    before: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Thirty-two of 64 KiB, level by level, were 70 ms of one packet."""
    for module in (grammar, access):
        monkeypatch.setattr(module, "validate_filter", lambda _: pytest.fail("it was read"))
    decision = RULES.may_listen(WATCH, before + "a/" * 32_000)
    assert (decision.allowed, decision.reason) == (False, AccessGround.unknown_topic)


# The attacks of pattern text in ids, and of one user on another.

HOSTILE = ["#", "+", "a/b", "../", "$SYS", ".*", "[a-z]", "a\0", "\ufeff", "\u202e", "x" * 65_536, "", "\ud800"]


@pytest.mark.parametrize("hostile", HOSTILE)
def test_an_identity_of_pattern_text_is_granted_nothing(hostile: str) -> None:
    bound = frozenset({hostile})
    for principal in (
        Principal(role=Role.device, client_id=hostile, user=hostile, device=hostile),
        Principal(role=Role.subscriber, client_id=hostile, users=bound, types=bound),
        Principal(role=Role.adapter, client_id=hostile, provider=hostile, users=bound),
    ):
        for channel in REGISTRY:
            if not channel.template.variables:
                assert channel.key == "homeassistant_status"  # no id is asked for there, and nobody but admins hears it
                continue
            written = channel.template.text
            for name in channel.template.variables:
                written = written.replace(f"{{{name}}}", hostile)
            written = written.removesuffix("/#")
            for candidate in (written, channel.template.filter, topic(channel.key)):
                assert not RULES.may_publish(principal, candidate).allowed
                assert not RULES.may_will(principal, candidate).allowed
                assert not RULES.may_subscribe(principal, candidate).allowed


_bob_topics = st.one_of(filters(), st.sampled_from(TOPICS)).filter(lambda text: "bob" in text.split("/"))


@given(principals, _bob_topics)
def test_an_identity_of_alice_gets_nothing_of_bob_and_learns_nothing(principal: Principal, text: str) -> None:
    """Nothing under bob is granted, and the answer is word for word that for a user who does not exist."""
    alices = Principal(
        role=principal.role,
        client_id="client",
        user="alice",
        device=principal.device,
        provider=principal.provider,
        users=frozenset({"alice"}),
        types=principal.types,
        formats=principal.formats,
    )
    absent = text.replace("bob", "other")
    for ask in (RULES.may_publish, RULES.may_subscribe, RULES.may_will):
        decision = ask(alices, text)
        assert decision == ask(alices, absent)
        assert "bob" not in decision.rule
        if alices.role in {Role.device, Role.subscriber, Role.adapter} and text.split("/")[1:2] == ["bob"]:
            assert not decision.allowed


@given(filters())
def test_no_filter_of_alices_device_reaches_bob(topic_filter: str) -> None:
    if RULES.may_subscribe(WATCH, topic_filter).allowed:
        reached = {name for name in TOPICS if matches(topic_filter, name) and not is_private(name)}
        assert reached <= {topic("receipts"), topic("commands"), topic("status")}
