"""HTTP load, a process of its own: ``python -m tests.support.bench.http_load`` with a JSON task on stdin.

Each connection is kept, and has one request on its way: the next goes when the last is answered. Requests are made
before the clock starts. Any answer but 200 ends the run. It prints one JSON object.
"""

import json
import selectors
import socket
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from tests.support.wire import Login
from tests.support.workload import payloads

SILENCE_S = 30.0
_END = b"\r\n\r\n"
_LENGTH = b"content-length: "


@dataclass(slots=True, kw_only=True)
class Talk:
    """One connection: what it has to say, and how long each answer took."""

    connection: socket.socket
    requests: list[bytes]
    at: int = 0
    sent_at: float = 0.0
    got: bytes = b""
    took: list[float] = field(default_factory=list)

    def ask(self) -> bool:
        """Send the next request; False: there is none."""
        if self.at == len(self.requests):
            return False
        self.sent_at = time.perf_counter()
        self.connection.sendall(self.requests[self.at])
        self.at += 1
        return True

    def hear(self) -> bool:
        """Read; whether the answer is whole. AssertionError for another answer than 200."""
        data = self.connection.recv(65_536)
        assert data, "the server closed the connection"
        self.got += data
        end = self.got.find(_END)
        if end < 0:
            return False
        head = self.got[:end].lower()
        begins = head.index(_LENGTH) + len(_LENGTH)
        length = int(head[begins : (head + b"\r").index(b"\r", begins)])
        if len(self.got) < end + len(_END) + length:
            return False
        assert head.startswith(b"http/1.1 200"), self.got[:300]
        self.took.append(time.perf_counter() - self.sent_at)
        self.got = b""
        return True


def request(path: str, token: str, body: bytes) -> bytes:
    """One request as bytes."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode() + body


def open_talks(task: dict[str, Any]) -> list[Talk]:
    """The connections with their requests; ``requests`` are spread over the logins."""
    logins = [Login(**login) for login in task["logins"]]
    each, events = -(-task["requests"] // len(logins)), task["events"]
    talks = []
    for place, login in enumerate(logins):
        bodies = payloads(task["run"], place * each * events, each, events)
        if task.get("user_id") is not None:  # the first API takes arrays of events that name their user
            named = b'{"user_id":%d,' % task["user_id"]
            bodies = (b"[" + body.strip(b"[]").replace(b'{"id":', named + b'"id":') + b"]" for body in bodies)
        connection = socket.create_connection(tuple(task["address"]), timeout=SILENCE_S)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        requests = [request(task["path"], login.token or "", body) for body in bodies]
        talks.append(Talk(connection=connection, requests=requests))
    return talks


def flood(talks: list[Talk]) -> float:
    """Everything is asked and answered; the seconds it took."""
    waiting = selectors.DefaultSelector()
    for talk in talks:
        waiting.register(talk.connection, selectors.EVENT_READ, talk)
    began, left = time.perf_counter(), sum(talk.ask() for talk in talks)
    while left:
        ready = waiting.select(SILENCE_S)
        assert ready, "no answer"
        for key, _ in ready:
            if key.data.hear() and not key.data.ask():
                left -= 1
    return time.perf_counter() - began


def main() -> None:
    task = json.loads(sys.stdin.readline())
    talks = open_talks(task)
    seconds = flood(talks)
    took = sorted(each for talk in talks for each in talk.took)
    for talk in talks:
        talk.connection.close()
    found = {
        "seconds": seconds,
        "requests": len(took),
        "events": len(took) * task["events"],
        "events_per_second": len(took) * task["events"] / seconds,
        "requests_per_second": len(took) / seconds,
        "p50_ms": took[len(took) // 2] * 1000,
        "p99_ms": took[int(len(took) * 0.99)] * 1000,
    }
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
