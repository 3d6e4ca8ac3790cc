"""What a server says when it cannot be read is an error of its kind, never "there is nothing"."""

import json

import pytest

from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.sinks.config import Dialect
from healthsync_mqtt.sinks.influx.line import ServerAnswer
from healthsync_mqtt.sinks.influx.readback import Readback

DIALECTS: tuple[Dialect, ...] = ("v1", "v2", "v3", "victoria")
EMPTY = {"v1": '{"results":[{"statement_id":0}]}', "v2": "\r\n", "v3": "[]", "victoria": ""}


class Says:
    """A server with one answer to every question."""

    def __init__(self, answer: ServerAnswer) -> None:
        self._answer = answer

    def get(self, path: str, query: dict[str, str]) -> ServerAnswer:
        return self._answer

    def query(self, statement: str) -> ServerAnswer:
        return self._answer


def read(dialect: Dialect, answer: ServerAnswer) -> dict:
    return Readback(Says(answer), dialect, "healthsync").read("heart_rate", "u", 0, 1)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_nothing_there_is_no_error(dialect: Dialect) -> None:
    assert read(dialect, ServerAnswer(200, EMPTY[dialect])) == {}


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("status", [204, 302, 400, 401, 403, 404, 429, 500, 503])
def test_every_other_status_is_an_outage_that_names_it(dialect: Dialect, status: int) -> None:
    with pytest.raises(UnavailableError, match=f"status {status}") as caught:
        read(dialect, ServerAnswer(status, "<html>72.5</html>"))
    assert "72.5" not in str(caught.value)


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("fault", ["timeout", "unreachable", "reset", "tls", "unreadable"])
def test_an_answer_that_never_came_is_an_outage_that_says_why(dialect: Dialect, fault: str) -> None:
    with pytest.raises(UnavailableError, match=fault):
        read(dialect, ServerAnswer(0, "", None, fault))


@pytest.mark.parametrize(
    ("dialect", "body"),
    [
        ("v1", json.dumps({"results": [{"statement_id": 0, "error": "timeout at 72.5"}]})),
        ("v2", "#datatype,string,long\r\n,error,reference\r\n,runtime error at 72.5,897\r\n"),
    ],
)
def test_a_query_that_failed_behind_a_200_is_no_empty_answer(dialect: Dialect, body: str) -> None:
    with pytest.raises(UnavailableError, match="did not run the query") as caught:
        read(dialect, ServerAnswer(200, body))
    assert "72.5" not in str(caught.value)


@pytest.mark.parametrize("status", [400, 404, 500])
def test_3_core_has_no_table_before_the_first_point(status: int) -> None:
    answer = ServerAnswer(status, "Error during planning: table 'public.iox.heart_rate' not found")
    assert read("v3", answer) == {}
    for dialect in ("v1", "v2", "victoria"):
        with pytest.raises(UnavailableError):
            read(dialect, answer)  # type: ignore[arg-type]
