"""Whether a client has what it asks for, however it and the proxies between say so."""

import pytest
from starlette.requests import Request

from healthsync_mqtt.gateway.bodies.entity_tag import has

TAG = '"abc"'


def asking(*lines: str) -> Request:
    headers = [(b"if-none-match", line.encode()) for line in lines]
    return Request({"type": "http", "method": "GET", "path": "/", "headers": headers})


@pytest.mark.parametrize(
    "lines",
    [('"abc"',), ('W/"abc"',), ("*",), ('"x", "abc"',), ('W/"x",W/"abc"',), ('"x"', '"abc"'), (' "abc" ',)],
)
def test_it_is_named(lines: tuple[str, ...]) -> None:
    assert has(asking(*lines), TAG)


@pytest.mark.parametrize("lines", [(), ("",), ('"x"',), ("abc",), ('w/"abc"',), ('"abcd"',), ('"W/"abc""',)])
def test_it_is_not(lines: tuple[str, ...]) -> None:
    assert not has(asking(*lines), TAG)
