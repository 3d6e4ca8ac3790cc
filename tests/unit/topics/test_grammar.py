import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import topic_matches_sub

from healthsync_mqtt.topics.grammar import Template, TopicError, is_id, matches, validate_filter, validate_topic_name
from tests.support.steps import steps

NOT_IDS = [
    "", "#", "+", "a/b", "../", "$SYS", ".*", "[a-z]", "a b", "a\0", "\ufeff", "\u202e", "é", "a\n", "x" * 65,
    "x" * 65536, "\ud800", "%u", "{user}", "a.b", None, 7, b"alice",
]  # fmt: skip


@pytest.mark.parametrize("text", NOT_IDS)
def test_what_is_not_of_the_alphabet_is_no_id(text: object) -> None:
    assert not is_id(text)


@pytest.mark.parametrize("text", ["a", "x" * 64, "A-Z_09", "__proto__", "-"])
def test_ids(text: str) -> None:
    assert is_id(text)


@pytest.mark.parametrize("topic", ["a", "a//b", "/", "é/ü", "$SYS/x", "x" * 65_535, "/" * 65_400])
def test_topic_names_that_mqtt_allows(topic: str) -> None:
    assert validate_topic_name(topic) == topic


@pytest.mark.parametrize("topic", ["", "a\0b", "a/#", "+", "a+", "x" * 65_536, "é" * 32_768, "\ud800"])
def test_topic_names_that_mqtt_forbids(topic: str) -> None:
    with pytest.raises(TopicError):
        validate_topic_name(topic)


@pytest.mark.parametrize("text", ["#", "+", "a/#", "+/+/#", "a/+/b", "$share/g/a", "/"])
def test_filters_that_mqtt_allows(text: str) -> None:
    assert validate_filter(text) == text


@pytest.mark.parametrize("text", ["", "#/a", "a#", "a/#/b", "a+/b", "+a", "a/b#", "a\0", "##", "\udfff"])
def test_filters_that_mqtt_forbids(text: str) -> None:
    with pytest.raises(TopicError):
        validate_filter(text)


@pytest.mark.parametrize(
    ("topic_filter", "topic", "expected"),
    [
        ("a/#", "a", True),
        ("a/#", "ab", False),
        ("#", "a/b", True),
        ("+", "a/b", False),
        ("+/b", "/b", True),
        ("+/+", "/", True),
        ("#", "$SYS/x", False),
        ("+/x", "$SYS/x", False),
        ("$SYS/#", "$SYS/x", True),
        ("a/+", "a/$b", True),
        ("a/b/#", "a", False),
    ],
)
def test_matching(topic_filter: str, topic: str, *, expected: bool) -> None:
    assert matches(topic_filter, topic) is expected


_level = st.sampled_from(["", "a", "b", "$a", "ab"])
_topics = st.lists(_level, min_size=1, max_size=6).map("/".join).filter(bool)
_filters = (
    st.tuples(st.lists(st.one_of(_level, st.just("+")), max_size=5), st.sampled_from(["#", "+", "a", "", "$a"]))
    .map(lambda parts: "/".join([*parts[0], parts[1]]))
    .filter(bool)
)


@given(_filters, _topics)
def test_matching_agrees_with_paho(topic_filter: str, topic: str) -> None:
    assert matches(topic_filter, topic) == topic_matches_sub(topic_filter, topic)


@given(st.text(max_size=40))
def test_validation_accepts_or_raises_its_own_error(text: str) -> None:
    for validate in (validate_filter, validate_topic_name):
        try:
            checked = validate(text)
        except TopicError:
            continue
        assert checked == text
        assert "\0" not in text


@pytest.mark.parametrize("many", [("+/", "+"), ("+a", ""), ("+/a/", "#"), ("/", ""), ("#", ""), ("a/", "+a")])
def test_pathological_filters_are_linear(many: tuple[str, str]) -> None:
    def work(times: int) -> int:
        topic_filter = many[0] * times + many[1]

        def judge() -> None:
            with contextlib.suppress(TopicError):
                validate_filter(topic_filter)
            matches(topic_filter, "a/" * times)

        return steps(judge)

    assert work(4000) <= 4 * work(1000) + 100


def test_a_template_builds_what_it_matches() -> None:
    template = Template.parse("users/{user}/canonical/{type}", prefix="home/health")
    topic = template.build({"user": "alice", "type": "steps"})
    assert topic == "home/health/users/alice/canonical/steps"
    assert template.match(topic) == {"user": "alice", "type": "steps"}
    assert template.filter == "home/health/users/+/canonical/+"
    assert template.text == "home/health/users/{user}/canonical/{type}"
    assert template.match("users/alice/canonical/steps") is None
    assert template.match("home/health/users/a+/canonical/steps") is None
    assert template.match("home/health/users/alice/events/steps") is None


@pytest.mark.parametrize("values", [{}, {"user": "a"}, {"user": "a", "kind": "b"}, {"user": "a", "type": "#"}])
def test_a_template_builds_only_from_ids(values: dict[str, str]) -> None:
    with pytest.raises(TopicError):
        Template.parse("users/{user}/canonical/{type}").build(values)


@pytest.mark.parametrize(
    ("text", "prefix", "part"),
    [
        ("", "", "level 1"),
        ("users//x", "", "level 2"),
        ("users/+/x", "", "level 2"),
        ("users/{name}/x", "", "known variable"),
        ("users/{user}/{user}", "", "twice"),
        ("users/x{user}", "", "level 2"),
        ("$SYS/{user}", "", "level 1"),
        ("a/b/c/d/e/f/g/h/i", "", "9 levels"),
        ("users/{user}", "a//b", "prefix"),
        ("users/{user}", "#", "prefix"),
        ("users/{user}/{device}/{type}/x", "p" * 64, "bytes"),
    ],
)
def test_bad_templates_say_what_is_wrong(text: str, prefix: str, part: str) -> None:
    with pytest.raises(TopicError, match=part) as caught:
        Template.parse(text, prefix=prefix)
    assert caught.value.hint


def test_eight_levels_after_a_prefix_are_allowed() -> None:
    assert len(Template.parse("a/b/c/d/e/f/g/h", prefix="p/q").levels) == 10


@given(st.fixed_dictionaries({"user": st.text(max_size=5), "type": st.text(max_size=5)}))
def test_build_and_match_are_inverse(values: dict[str, str]) -> None:
    template = Template.parse("users/{user}/canonical/{type}")
    try:
        topic = template.build(values)
    except TopicError:
        assert not all(map(is_id, values.values()))
    else:
        assert template.match(topic) == values
