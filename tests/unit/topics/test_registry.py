from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.errors import ConfigError
from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.principal import Role
from healthsync_mqtt.topics.document import Direction, TopicsFileError, read_document
from healthsync_mqtt.topics.grammar import TopicError, matches
from healthsync_mqtt.topics.registry import TopicRegistry, default_path

REGISTRY = TopicRegistry.load(types=None)
SHIPPED = default_path().read_text(encoding="utf-8")

Loader = Callable[[str], TopicRegistry]


@pytest.fixture
def load(tmp_path: Path) -> Loader:
    """Loads the given text as a topics file."""

    def load_text(text: str) -> TopicRegistry:
        path = tmp_path / "topics.yaml"
        path.write_text(text, encoding="utf-8")
        return TopicRegistry.load(path)

    return load_text


def line_of(text: str, part: str) -> int:
    return text[: text.index(part)].count("\n") + 1


def changed(old: str, new: str) -> str:
    assert SHIPPED.count(old) >= 1
    return SHIPPED.replace(old, new, 1)


def test_the_shipped_file_declares_the_designed_topics() -> None:
    assert {channel.key: channel.template.text for channel in REGISTRY} == {
        "user_events": "users/{user}/events",
        "device_events": "users/{user}/devices/{device}/events",
        "format_messages": "users/{user}/devices/{device}/formats/{format}/#",
        "adapter_events": "users/{user}/adapters/{provider}/events",
        "receipts": "users/{user}/devices/{device}/receipts",
        "status": "users/{user}/devices/{device}/status",
        "commands": "users/{user}/devices/{device}/commands",
        "canonical": "users/{user}/canonical/{type}",
        "latest": "users/{user}/latest/{type}",
        "homeassistant_config": "homeassistant/device/{user}/{type}/config",
        "homeassistant_status": "homeassistant/status",
        "connection": "users/{user}/connections/{provider}",
        "insight": "users/{user}/insights/{kind}",
        "token_request": "users/{user}/devices/{device}/token/request",
        "token_response": "users/{user}/devices/{device}/token/response",
        "enroll_request": "enroll/{client}/request",
        "enroll_response": "enroll/{client}/response",
        "changes_request": "changes/{client}/request",
        "changes_response": "changes/{client}/response",
        "gateway_request": "gateway/{client}/request",
        "gateway_answer": "gateway/{client}/answer",
        "bridge_status": "bridge/{bridge}/status",
        "bridge_rejected": "bridge/{bridge}/rejected",
    }
    assert {c.key for c in REGISTRY if Role.admin not in c.roles_subscribe} == {c.key for c in REGISTRY if c.private}
    assert {c.key: c.answer for c in REGISTRY if c.answer} == {
        "token_request": "token_response",
        "enroll_request": "enroll_response",
        "changes_request": "changes_response",
        "gateway_request": "gateway_answer",
    }
    assert {c.key for c in REGISTRY if c.retain} == {
        "status", "connection", "insight", "latest", "homeassistant_config", "homeassistant_status", "bridge_status",
    }  # fmt: skip
    assert {c.key for c in REGISTRY if c.will} == {"status", "homeassistant_status", "bridge_status"}
    assert {c.key for c in REGISTRY if c.screened} == {"homeassistant_config", "homeassistant_status"}
    assert {c.key for c in REGISTRY if Role.device in c.roles_publish} == {
        "user_events", "device_events", "format_messages", "status", "token_request", "changes_request",
    }  # fmt: skip
    assert REGISTRY["canonical"].direction is Direction.out


def test_the_fast_reader_of_the_shipped_file_reads_what_the_exact_one_does() -> None:
    fast, exact = (read_document(SHIPPED, "topics.yaml", shipped=shipped) for shipped in (True, False))
    assert (fast.prefix, fast.channels) == (exact.prefix, exact.channels)
    places = [("channels", key, name) for key in exact.channels for name in ("topic", "roles", "summary")]
    assert [fast.line(*place) for place in places] == [exact.line(*place) for place in places]


def test_only_events_channels_are_for_the_journal() -> None:
    assert [c.key for c in REGISTRY.ingest_channels()] == [
        "user_events",
        "device_events",
        "format_messages",
        "adapter_events",
    ]
    assert REGISTRY.bridge_filters() == (
        "users/+/events",
        "users/+/devices/+/events",
        "users/+/devices/+/formats/+/#",
        "users/+/adapters/+/events",
    )


_levels = st.sampled_from(["users", "alice", "events", "devices", "watch-1", "adapters", "fitbit", "formats", "x", ""])


@given(st.lists(_levels, min_size=1, max_size=6).map("/".join))
def test_no_topic_matches_two_bridge_filters(topic: str) -> None:
    assert sum(matches(topic_filter, topic) for topic_filter in REGISTRY.bridge_filters()) <= 1


@pytest.mark.parametrize("key", REGISTRY.channels)
def test_parse_is_the_inverse_of_build(key: str) -> None:
    variables = {name: f"{name}-1" for name in REGISTRY[key].template.variables}
    assert REGISTRY.parse(REGISTRY.build(key, **variables)) == (REGISTRY[key], variables)


@given(st.lists(st.one_of(_levels, st.sampled_from(["canonical", "status", "+", "#", "$x", "é"])), max_size=7))
def test_parse_agrees_with_matching_every_template(levels: list[str]) -> None:
    topic = "/".join(levels)
    expected = [(c, found) for c in REGISTRY if (found := c.template.match(topic)) is not None]
    parsed = REGISTRY.parse(topic)
    assert ([parsed] if parsed else []) == expected


@pytest.mark.parametrize(
    "topic",
    ["", "/", "//", "users", "users/alice", "users/alice/events/", "/users/alice/events", "Users/alice/events",
     "users//events", "users/+/events", "users/a b/events", "users/é/events", "users/alice/events\0", "\ud800",
     "x" * 65_535, "/" * 65_400, f"users/{'x' * 65}/events", "$SYS/x"],
)  # fmt: skip
def test_other_topics_are_not_declared(topic: str) -> None:
    assert REGISTRY.parse(topic) is None


def test_build_refuses_what_is_no_id() -> None:
    with pytest.raises(TopicError):
        REGISTRY.build("receipts", user="alice", device="#")


def test_types_limit_what_a_type_may_be() -> None:
    registry = TopicRegistry.load()
    assert registry.types == frozenset(CATALOGUE)
    assert registry.parse("users/alice/canonical/steps")
    assert registry.parse("users/alice/canonical/hr") is None
    assert registry.parse("users/alice/events")


def test_a_prefix_goes_in_front_of_every_topic(load: Loader) -> None:
    for registry in (load("prefix: home/health\n" + SHIPPED), TopicRegistry.load(prefix="home/health")):
        assert registry.build("user_events", user="alice") == "home/health/users/alice/events"
        assert registry.parse("home/health/users/alice/events")
        assert registry.parse("users/alice/events") is None
        assert all(topic_filter.startswith("home/health/") for topic_filter in registry.bridge_filters())


def test_a_prefix_of_the_caller_replaces_the_one_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "topics.yaml"
    path.write_text("prefix: home\n" + SHIPPED, encoding="utf-8")
    assert TopicRegistry.load(path, prefix="lab").build("user_events", user="a") == "lab/users/a/events"
    assert TopicRegistry.load(path, prefix="").build("user_events", user="a") == "users/a/events"
    with pytest.raises(ConfigError):
        TopicRegistry.load(path, prefix="a/#")


def test_a_file_may_declare_more_channels(load: Loader) -> None:
    extra = """  notes:
    topic: users/{user}/notes
    direction: peer
    payload: Note
    qos: 0
    retain: true
    roles: {publish: [subscriber], subscribe: [subscriber, admin]}
    summary: Notes.
"""
    assert load(SHIPPED + extra)["notes"].qos == 0


CANONICAL_QOS = "    payload: CanonicalMessage\n    qos: "
MISTAKES = {
    "unknown role": ("publish: [adapter]", "publish: [wizard]", "wizard", "'device'", "channels.adapter_events.roles"),
    "unknown field": ("    ingest: true", "    injest: true", "injest", "ingest", "channels.user_events.injest"),
    "unknown roles field": ("      publish: [device]", "      write: [device]", "write", "subscribe", "roles.write"),
    "bad qos": (f"{CANONICAL_QOS}1", f"{CANONICAL_QOS}3", "3", "0, 1 or 2", "channels.canonical.qos"),
    "qos as text": (f"{CANONICAL_QOS}1", f"{CANONICAL_QOS}'1'", "'1'", "0, 1 or 2", "channels.canonical.qos"),
    "qos as bool": (f"{CANONICAL_QOS}1", f"{CANONICAL_QOS}true", "True", "0, 1 or 2", "channels.canonical.qos"),
    "bad retain": ("    retain: true", "    retain: 'no'", "boolean", "false", "channels.status.retain"),
    "bad direction": ("direction: out", "direction: up", "up", "'in'", "channels.receipts.direction"),
    "other direction": ("direction: out", "direction: peer", "the other way", "write out",
                        "channels.receipts.direction"),
    "bad payload": ("payload: Receipt", "payload: a b", "a b", "schema name", "channels.receipts.payload"),
    "empty summary": ("summary: Commands from a backend to one device.", "summary: ''", "empty", "summary", "commands"),
    "empty roles": ("subscribe: [device, admin]", "subscribe: []", "empty", "subscribe", "receipts.roles.subscribe"),
    "missing field": ("    qos: 1\n", "", "`qos` is missing", "qos: 1", "channels.user_events.qos"),
    "roles is text": ("    roles:\n      publish: [device]\n      subscribe: [bridge, admin]", "    roles: all", "",
                      "publish", "channels.user_events.roles"),
    "repeated key": ("    qos: 1\n", "    qos: 1\n    qos: 2\n", "twice", "one of the two", "channels.user_events.qos"),
    "repeated channel": ("  device_events:", "  user_events:", "first in line", "one of the two",
                         "channels.user_events"),
    "bad template": ("topic: users/{user}/events", "topic: users/+/events", "level 2", "A-Z", "user_events.topic"),
    "unknown variable": ("canonical/{type}", "canonical/{colour}", "colour", "{user}", "channels.canonical.topic"),
    "other variables": ("canonical/{type}", "canonical/{kind}", "variables", "{type}", "channels.canonical.topic"),
    "same topics": ("devices/{device}/receipts", "devices/{device}/events", "device_events", "own", "receipts.topic"),
    "overlapping events": ("users/{user}/devices/{device}/events", "users/{user}/{device}/x/events", "literal", "own",
                           "channels.device_events.topic"),
    "literal over variable": ("bridge/{bridge}/rejected", "bridge/all/{bridge}/x", "bridge_status", "own",
                              "channels.bridge_rejected.topic"),
    "retained canonical": ("    payload: CanonicalMessage\n    qos: 1\n    retain: false",
                           "    payload: CanonicalMessage\n    qos: 1\n    retain: true", "never retained", "false",
                           "channels.canonical.retain"),
    "foreign publisher": ("publish: [bridge]", "publish: [bridge, device]", "only the bridge", "[bridge]",
                          "channels.receipts.roles.publish"),
    "will without retain": ("    ingest: true", "    will: true\n    ingest: true",
                            "retained", "will: false", "channels.user_events.will"),
    "events without a bridge": ("subscribe: [bridge, admin]", "subscribe: [admin]", "bridge", "add bridge",
                                "channels.user_events.roles.subscribe"),
    "no ingest": ("    ingest: true\n", "", "takes events", "true", "channels.user_events.ingest"),
    "subscriber without user": ("      publish: [bridge]\n      subscribe: [admin, bridge]",
                                "      publish: [bridge]\n      subscribe: [admin, subscriber]", "no user", "{user}",
                                "channels.bridge_status.roles.subscribe"),
    "alias": ("    summary: Commands from a backend to one device.",
              "    summary: &a x\n    payload: *a", "", "", "channels.commands.payload"),
    "tag": ("qos: 1", "qos: !!python/object:os.system 1", "tag", "plain", "channels.user_events.qos"),
    "bad key": ("  receipts:", "  Receipts-1:", "well-formed", "a-z", "Receipts-1"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_reported_with_line_key_and_fix(load: Loader, tmp_path: Path, mistake: str) -> None:
    old, new, what, fix, key = MISTAKES[mistake]
    text = changed(old, new)
    with pytest.raises(TopicsFileError) as caught:
        load(text)
    found = [p for p in caught.value.problems if key in p.key and what in p.what and fix in p.fix]
    assert found, caught.value.problems
    assert str(tmp_path / "topics.yaml") in str(caught.value)
    first = line_of(SHIPPED, old)
    assert any(first - 8 <= problem.line <= first + 40 for problem in found)
    assert caught.value.hint
    assert caught.value.exit_code == 78


def test_the_line_is_the_line_of_the_mistake(load: Loader) -> None:
    text = changed(f"{CANONICAL_QOS}1", f"{CANONICAL_QOS}3")
    with pytest.raises(TopicsFileError) as caught:
        load(text)
    (problem,) = caught.value.problems
    assert problem.line == line_of(text, "qos: 3")
    assert str(caught.value) == f"{problem.file}:{problem.line}: channels.canonical.qos: 3 is not allowed here"
    assert caught.value.hint == "use one of: 0, 1 or 2"


def test_every_problem_is_reported_at_once(load: Loader) -> None:
    text = changed("publish: [adapter]", "publish: [wizard]").replace(f"{CANONICAL_QOS}1", f"{CANONICAL_QOS}9")
    with pytest.raises(TopicsFileError) as caught:
        load(text)
    assert [problem.line for problem in caught.value.problems] == [line_of(text, "wizard"), line_of(text, "qos: 9")]
    assert str(caught.value).count("(fix: ") == 2


def test_a_missing_channel_is_reported(load: Loader) -> None:
    start, end = SHIPPED.index("  insight:"), SHIPPED.index("  bridge_status:")
    with pytest.raises(TopicsFileError, match="`insight` is missing"):
        load(SHIPPED[:start] + SHIPPED[end:])


@pytest.mark.parametrize(
    "text", ["", "channels:", "channels: {}", "[]", "a: b: c", "x\0", "\t- ]", "prefix: '#'\n" + SHIPPED]
)
def test_what_is_no_topics_file(load: Loader, text: str) -> None:
    with pytest.raises(TopicsFileError) as caught:
        load(text)
    assert caught.value.problems[0].line >= 1


@given(st.text(max_size=60))
def test_any_text_loads_or_is_reported(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(ConfigError):
        TopicRegistry.load(path)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read"):
        TopicRegistry.load(tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(ConfigError, match="UTF-8"):
        TopicRegistry.load(tmp_path / "latin.yaml")
