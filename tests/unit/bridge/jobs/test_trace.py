"""Traces are bounded in clients, in lines and in time, and carry no value."""

import pytest

from bridge.jobs.trace import FORGET_S, MOST_CLIENTS, MOST_LINES, Traced, Traces
from healthsync_mqtt.errors import UsageError
from healthsync_mqtt.model.principal import Principal, Role

WATCH = Traced("alice-watch", "alice", "watch")
PRINCIPAL = Principal(role=Role.device, client_id="alice-watch", user="alice", device="watch")


def test_the_oldest_lines_go_and_how_many_is_said() -> None:
    traces = Traces(clock_us=lambda: 0, now=lambda: 0.0)
    traces.look(WATCH, 0, None)
    for _ in range(MOST_LINES + 5):
        traces.refused_message(PRINCIPAL, "not_allowed", "another topic")
    found = traces.look(WATCH, 1, None)
    assert len(found["lines"]) == MOST_LINES
    assert found["next"] == MOST_LINES + 6
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
    first = traces.look(WATCH, 0, {"address": "192.0.2.1"})
    assert [line["what"] for line in first["lines"]] == ["connected"]
    traces.refused_login("bad_credentials", "192.0.2.2", "alice-watch")
    (line,) = traces.look(WATCH, first["next"], {"address": "192.0.2.1"})["lines"]
    assert (line["what"], line["outcome"], line["address"]) == ("login", "refused", "192.0.2.2")
