"""A broker's question and our answer, and how their forms are read. Pure.

Whatever cannot be read is answered with no, and always with status 200 where the broker would take another status for
"ask somebody else".
"""

import json
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from healthsync_mqtt.broker.external.gatekeeper import Gatekeeper

_JSON = "application/json"
TEXT = "text/plain"


class Question(NamedTuple):
    """A hook's request: its path below the service's own, its headers in lower case, its body, and the time."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    now: float


class HookAnswer(NamedTuple):
    """A hook's response."""

    body: bytes
    content_type: str = _JSON
    status: int = 200


class Unreadable(Exception):  # noqa: N818  # it is no error of ours
    """The question has not the form of this broker."""


class Hook(NamedTuple):
    """One hook of a broker: who decides, and what is said when the question cannot be answered."""

    decide: Callable[[Gatekeeper, Question], HookAnswer]
    refusal: HookAnswer


def said(value: Mapping[str, Any]) -> HookAnswer:
    return HookAnswer(json.dumps(value, separators=(",", ":")).encode())


def read_json(body: bytes) -> dict[str, Any]:
    value = json.loads(body)
    if not isinstance(value, dict):
        raise Unreadable
    return value


def read_form(body: bytes) -> dict[str, Any]:
    pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True, max_num_fields=20)
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Unreadable
    return fields


def read_either(question: Question) -> dict[str, Any]:
    is_form = question.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    return read_form(question.body) if is_form else read_json(question.body)


def text_of(asked: Mapping[str, Any], key: str) -> str:
    value = asked.get(key)
    if not isinstance(value, str):
        raise Unreadable
    return value


def address_of(asked: Mapping[str, Any], key: str) -> str:
    """The client's address, where the broker says it; whatever is none is an empty text."""
    try:
        return str(ip_address(asked.get(key) or ""))
    except ValueError:
        return ""


def flag_of(value: object) -> bool:
    """A yes or no as templates write it; whatever is not a clear no is a yes, which allows less."""
    return value not in (False, 0, "false", "0", None)
