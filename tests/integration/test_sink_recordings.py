"""The double of InfluxDB, exchange by exchange, beside what real servers were recorded to answer.

Each recorded request goes over a socket to the double, in the order of the recording. It answers as the server did, or
refuses loudly: 599, and whoever asked fails. Nothing in between, so that no test can rest on an answer that no server
would give.
"""

import gzip
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support import influx_double as canned
from tests.support.influx_double import InfluxDouble, Reply
from tests.support.patience import PATIENCE_S

pytestmark = pytest.mark.shared_data

REFUSED = 599
FOLDERS = {"2.7.12": "influxdb-2.7.12", "3.6.0": "influxdb3-core-3.6.0", "1.6.7": "influxdb-1.6.7"}
#: What must be answered, not refused: the kinds of requests that sinks make, and the answers that they must know.
ANSWERED = {
    "2.7.12": {
        1, 19, 20, 25, 74, 75, 76, 77, 79, 81, 99, 100, 101, 102, 120, 131, 132, 138, 142, 159, 203, 204, 205, 208,
        229, 234, 235, 250, 263, 276,
    },
    "3.6.0": {1, 5, 14, 15, 24, 25, 28, 107, 108, 109, 134, 143, 166},
    "1.6.7": {1, 3, 9, 10, 28, 29, 45, 47, 72},
}  # fmt: skip
#: The request is a good one; it is refused for what the server was set up with, which the double has no word for.
SET_UP_OTHERWISE = {
    "2.7.12": {
        6: "before the first set-up", 103: "the token may only read", 104: "the token may only read",
        110: "the token is inactive", 111: "the token may only write", 248: "the token may only read",
    },
    "3.6.0": {},
    "1.6.7": {4: "there is no database yet"},
}  # fmt: skip
_VARIES = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{5,9}Z|(?<=,1970-01-01T00:00:00Z,)[^,]*Z")


class Exchange(NamedTuple):
    """One file."""

    number: int
    name: str
    note: str
    request: bytes
    sent: str
    status: int
    body: str
    whole: bool
    usual: bool


def exchanges(folder: Path) -> Iterator[Exchange]:
    """All of a folder in the order of time; ``usual``: the server had the settings of the first."""
    usual = b""
    for path in sorted(folder.glob("[0-9]*.http")):
        note, rest = path.read_bytes().split(b"=== REQUEST ", 1)
        settings = note.split(b"\n")[0].partition(b"; fresh server")[0]
        usual = usual or settings
        mark, rest = rest.split(b" ===\n", 1)
        request, rest = rest.split(b"\n=== RESPONSE ", 1)
        answer_mark, rest = rest.split(b" ===\n", 1)
        head, _, body = rest[: -len(b"\n=== END ===\n")].partition(b"\n\n")
        asked, _, sent = request.partition(b"\n\n")
        packed = gzip.compress(sent) if b"gzip" in mark else sent
        kept = [line for line in asked.split(b"\n") if not line.lower().startswith((b"content-length", b"transfer-"))]
        lines = [*kept, b"Content-Length: %d" % len(packed), b"", b""]
        yield Exchange(
            int(path.name[:3]), path.name, note.decode(), b"\r\n".join(lines) + packed,
            sent.decode(errors="replace"),
            int(head.split(b" ")[1]) if head else 0, body.decode(errors="replace"),
            b"abbreviated" not in mark + answer_mark, settings == usual,
        )  # fmt: skip


def ask(double: InfluxDouble, request: bytes) -> tuple[int, str]:
    host, _, port = double.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=PATIENCE_S) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while more := connection.recv(65536):
            answer += more
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), body.decode()


def alike(text: str) -> str:
    """Without moments of the recording, and the line end that a file of a recording may lack."""
    return _VARIES.sub("TIME", text).strip()


@pytest.mark.parametrize("version", FOLDERS)
def test_the_double_answers_as_recorded_or_refuses_loudly(version: str, shared_data: Path) -> None:
    wrong, answered, seen = [], set(), set()
    with InfluxDouble(version, token="TOKEN" if version != "1.6.7" else None) as double:
        for each in exchanges(shared_data / "influx" / FOLDERS[version]):
            seen.add(each.number)
            if not each.whole or not each.usual or each.number in SET_UP_OTHERWISE[version]:
                double.lose_sight(each.sent)
                continue
            if "fresh server" in each.note:
                double.points.clear()
            status, body = ask(double, each.request)
            if status == REFUSED:
                continue
            answered.add(each.number)
            if (status, alike(body)) != (each.status, alike(each.body)):
                wrong.append(f"{each.name}: {each.status} {each.body[:300]!r}, the double says {status} {body[:300]!r}")
        refused = len(double.unforeseen)
        double.unforeseen.clear()
    assert wrong == []
    assert seen >= ANSWERED[version] | SET_UP_OTHERWISE[version].keys()
    assert ANSWERED[version] - answered == set()
    assert refused > len(seen) // 3


_IOX = "iox::column_type::field::"
CANNED = [
    (canned.UNAUTHORIZED, "2.7.12", 99), (canned.FORBIDDEN, "2.7.12", 103),
    (canned.NO_BUCKET._replace(body=canned.NO_BUCKET.body.replace("healthsync", "nothere")), "2.7.12", 91),
    (canned.V1_NO_DATABASE, "1.6.7", 4), (canned.V1_UNAUTHORIZED, "1.6.7", 93),
    (canned.v2_partial(
        'field type conflict: input field "count" on measurement "steps" is type integer, already exists as type float',
        1, bool), "2.7.12", 75),
    (canned.v3_partial([(
        1, "steps,user=anna coun",
        f"invalid column type for column 'count', expected {_IOX}float, got {_IOX}integer")], bool), "3.6.0", 64),
]  # fmt: skip


@pytest.mark.parametrize(("reply", "version", "number"), CANNED, ids=lambda value: str(value)[:20])
def test_what_tests_put_into_its_mouth_was_recorded_too(
    reply: Reply, version: str, number: int, shared_data: Path
) -> None:
    (recorded,) = [each for each in exchanges(shared_data / "influx" / FOLDERS[version]) if each.number == number]
    assert (reply.status, alike(reply.body)) == (recorded.status, alike(recorded.body))
