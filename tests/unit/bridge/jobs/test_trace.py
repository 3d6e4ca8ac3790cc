"""Traces are bounded in clients, in lines and in time, and carry no value."""

import pytest

from bridge.jobs.trace import FORGET_S, MOST_CLIENTS, MOST_LINES, Traced, Traces
from healthsync_mqtt.errors import UsageError
from healthsync_mqtt.model.principal import Principal, Role

WATCH = Traced("alice-watch", "alice", "watch")
HERE = {"address": "192.0.2.1", "connected_at": "now"}
PRINCIPAL = Principal(role=Role.device, client_id="alice-watch", user="alice", device="watch")


def test_the_oldest_lines_go_and_how_many_is_said() -> None:
    traces = Traces(clock_us=lambda: 0, now=lambda: 0.0)
    begun = traces.look(WATCH, None, None)["next"]
    for _ in range(MOST_LINES + 5):
        traces.refused_message(PRINCIPAL, "not_allowed", "another topic")
    found = traces.look(WATCH, begun, None)
    assert len(found["lines"]) == MOST_LINES
    assert found["next"] == MOST_LINES + 5
    assert found["missed"] == 5


def test_no_more_than_some_clients_are_traced_and_a_forgotten_one_makes_room() -> None:
    now = [0.0]
    traces = Traces(clock_us=lambda: 0, now=lambda: now[0])
    for number in range(MOST_CLIENTS):
        traces.look(Traced(f"c{number}", None, None), 0, None)
    with pytest.raises(UsageError):
        traces.look(WATCH, 0, None)
    now[0] = FORGET_S + 1
    traces.look(WATCH, 0, None)


def test_nothing_is_kept_when_nobody_looks_and_a_refused_login_is_a_line() -> None:
    traces = Traces(clock_us=lambda: 0, now=lambda: 0.0)
    traces.refused_login("bad_credentials", "192.0.2.1", "alice-watch")
    first = traces.look(WATCH, None, HERE)
    assert [line["what"] for line in first["lines"]] == ["connected"]
    traces.refused_login("bad_credentials", "192.0.2.2", "alice-watch")
    (line,) = traces.look(WATCH, first["next"], HERE)["lines"]
    assert (line["what"], line["outcome"], line["address"]) == ("login", "refused", "192.0.2.2")


def test_who_never_came_is_not_gone_and_who_comes_again_is_told_again() -> None:
    traces = Traces(clock_us=lambda: 0, now=lambda: 0.0)
    seen = [traces.look(WATCH, None, None)]
    for connection in (None, HERE, HERE, HERE | {"connected_at": "later"}, None, None):
        seen.append(traces.look(WATCH, seen[-1]["next"], connection))
    assert [[line["what"] for line in each["lines"]] for each in seen] == [
        ["absent"], [], ["connected"], [], ["connected"], ["gone"], [],
    ]  # fmt: skip


def test_who_begins_to_look_is_told_nothing_of_before_and_tells_nobody_else() -> None:
    traces = Traces(clock_us=lambda: 0, now=lambda: 0.0)
    first = traces.look(WATCH, None, HERE)
    traces.refused_message(PRINCIPAL, "not_allowed", "another topic")
    second = traces.look(WATCH, None, HERE)
    assert [line["what"] for line in second["lines"]] == ["connected"]
    assert traces.look(WATCH, second["next"], HERE)["lines"] == []
    assert [line["what"] for line in traces.look(WATCH, first["next"], HERE)["lines"]] == ["message"]
