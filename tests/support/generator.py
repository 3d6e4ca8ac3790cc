"""The load generator, a process of its own: ``python -m tests.support.generator`` with a JSON task on stdin.

It sends QoS 1 PUBLISH packets that were encoded before the clock started, as fast as the window or the rate allows,
checks that each PUBACK is the expected one in the expected order, and prints one JSON object. In MQTT 3.1.1 PUBACKs are
compared and counted as bytes; in MQTT 5 (``"version": 5``), where each says what became of the events, one by one.
Latency in ``paced`` runs counts from the time at which a packet was due, so that a stalled server is not flattered.
"""

import json
import resource
import select
import selectors
import socket
import ssl
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from healthsync_mqtt.mqtt.codec import encode, encode_pubacks
from healthsync_mqtt.mqtt.codec.packets import Pingreq, Pingresp, Subscribe
from tests.support.wire import Login, connect, read_exactly, tls_context
from tests.support.workload import packet_id, stream

PUBACK_SIZE = 4
PUBACK = 0x40
ONLY_ID = 2
MOST_AT_ONCE = 1 << 17
SILENCE = 30.0
PINGREQ, PINGRESP = encode(Pingreq()), encode(Pingresp())


class Bytes:
    """PUBACKs of MQTT 3.1.1: four bytes each."""

    def __init__(self, messages: int) -> None:
        self._expected = encode_pubacks(packet_id(index) for index in range(messages))
        self._at = 0

    def take(self, data: bytes) -> int:
        """How many there were up to the end of ``data``; AssertionError for any other byte."""
        end = self._at + len(data)
        assert data == self._expected[self._at : end], "an unexpected packet, or PUBACKs out of order"
        self._at = end
        return end // PUBACK_SIZE


class Packets:
    """PUBACKs of MQTT 5: as long as what they say, at most two bytes of length here; each must be a success."""

    def __init__(self) -> None:
        self._rest = b""
        self._count = 0

    def take(self, data: bytes) -> int:
        """How many there were up to the end of ``data``; AssertionError for any other packet."""
        data = self._rest + data if self._rest else data
        at, end, count = 0, len(data), self._count
        while at + 2 < end:
            size, body = data[at + 1], at + 2
            if size > 0x7F:
                size, body = (size & 0x7F) + (data[body] << 7), body + 1
            if body + size > end:
                break
            expected = packet_id(count)
            assert data[at] == PUBACK, "an unexpected packet"
            assert data[body] << 8 | data[body + 1] == expected, "PUBACKs out of order"
            assert size == ONLY_ID or not data[body + 2], f"PUBACK with reason {data[body + 2]:#x}"
            at, count = body + size, count + 1
        self._rest, self._count = data[at:], count
        return count


@dataclass(slots=True, kw_only=True)
class Flow:
    """One connection's stream: how far it was sent and how many were acknowledged, with the times of both."""

    connection: socket.socket
    data: memoryview
    size: int
    messages: int
    answers_as: Bytes | Packets
    sent: int = 0
    answered: int = 0
    sends: list[tuple[float, int]] = field(default_factory=list)
    answers: list[tuple[float, int]] = field(default_factory=list)

    def send(self, window: int) -> bool:
        """Send what the window allows; true when there is more to send later than now."""
        limit = min(len(self.data), (self.answered + window) * self.size)
        while self.sent < limit:
            try:
                self.sent += self.connection.send(self.data[self.sent : min(limit, self.sent + MOST_AT_ONCE)])
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
                self.sends.append((time.perf_counter(), self.sent // self.size))
                return True
            self.sends.append((time.perf_counter(), self.sent // self.size))
        return False

    def receive(self) -> None:
        """Take the PUBACKs that are there; raises AssertionError for any other byte."""
        while True:
            try:
                data = self.connection.recv(65536)
            except (BlockingIOError, ssl.SSLWantReadError):
                return
            if not data:
                raise ConnectionError("the server closed the connection")
            self.answered = self.answers_as.take(data)
            self.answers.append((time.perf_counter(), self.answered))
            if not isinstance(self.connection, ssl.SSLSocket):
                return

    def latencies(self) -> list[float]:
        """Seconds between the send that completed a packet and the read that held its PUBACK."""
        found, reads = [], iter(self.answers)
        read_at, read_to = next(reads, (0.0, 0))
        done = 0
        for sent_at, sent_to in self.sends:
            while done < sent_to:
                while done >= read_to:
                    read_at, read_to = next(reads, (0.0, 1 << 62))
                found.append(read_at - sent_at)
                done += 1
        return found


def open_flows(task: dict[str, Any]) -> list[Flow]:
    """Connections with their streams encoded; ``messages`` are spread over the logins."""
    context = tls_context(task["ca_file"]) if task.get("ca_file") else None
    logins = [Login(**login) for login in task["logins"]]
    each = -(-task["messages"] // len(logins))
    events, version = task.get("events_per_message", 1), task.get("version", 4)
    flows = []
    for place, login in enumerate(logins):
        data, size = stream(login.topic, task["run"], place * each * events, each, events, version=version)
        flows.append(
            Flow(
                connection=connect(tuple(task["address"]), login, context=context, version=version),
                data=memoryview(data),
                size=size,
                messages=each,
                answers_as=Packets() if version == 5 else Bytes(each),
            )
        )
    for flow in flows:
        flow.connection.setblocking(False)
    return flows


def flood(flows: list[Flow], window: int) -> float:
    """Send everything with at most ``window`` messages unanswered a connection; the seconds it took."""
    selector = selectors.DefaultSelector()
    for flow in flows:
        selector.register(flow.connection, selectors.EVENT_READ, flow)
    began = time.perf_counter()
    blocked = {flow.connection: flow.send(window) for flow in flows}
    for flow in flows:
        if blocked[flow.connection]:
            selector.modify(flow.connection, selectors.EVENT_READ | selectors.EVENT_WRITE, flow)
    open_ones = len(flows)
    while open_ones:
        ready = selector.select(SILENCE)
        if not ready:
            raise TimeoutError(f"no PUBACK for {SILENCE} s")
        for key, events in ready:
            flow: Flow = key.data
            if events & selectors.EVENT_READ:
                flow.receive()
            waits = flow.send(window)
            if waits != blocked[flow.connection]:
                blocked[flow.connection] = waits
                mask = selectors.EVENT_READ | (selectors.EVENT_WRITE if waits else 0)
                selector.modify(flow.connection, mask, flow)
            if flow.answered == flow.messages:
                selector.unregister(flow.connection)
                open_ones -= 1
    return time.perf_counter() - began


def paced(flows: list[Flow], rate: float) -> list[float]:
    """One message after another over all connections at ``rate`` a second; the latency of each from its due time."""
    total = sum(flow.messages for flow in flows)
    by_connection = {flow.connection: (place, flow) for place, flow in enumerate(flows)}
    due = [0.0] * total
    latencies: list[float] = []
    began = time.perf_counter() + 0.05
    number = 0
    while len(latencies) < total:
        now = time.perf_counter()
        while number < total and (moment := began + number / rate) <= now:
            flow = flows[number % len(flows)]
            due[number] = moment
            flow.sent += flow.connection.send(flow.data[flow.sent : flow.sent + flow.size])
            assert flow.sent % flow.size == 0, "the socket buffer is full: the server does not read"
            number += 1
        wait = began + number / rate - time.perf_counter() if number < total else SILENCE
        # select() takes microseconds where epoll rounds up to milliseconds.
        ready, _, _ = select.select(list(by_connection), [], [], max(0.0, wait))
        if not ready and number == total:
            raise TimeoutError(f"no PUBACK for {SILENCE} s")
        for connection in ready:
            place, flow = by_connection[connection]
            first = flow.answered
            flow.receive()
            read_at = time.perf_counter()
            latencies += [read_at - due[place + index * len(flows)] for index in range(first, flow.answered)]
    return latencies


def hold(task: dict[str, Any]) -> dict[str, Any]:
    """Open one idle connection for each login, say so on a line, and keep them until a line comes on stdin.

    With ``subscribe`` each subscribes to its login's topic at QoS 1; without ``clean`` each has a session that lasts.
    """
    context = tls_context(task["ca_file"]) if task.get("ca_file") else None
    began = time.perf_counter()
    held = [
        connect(tuple(task["address"]), Login(**login), context=context, keep_alive=3600, clean=task.get("clean", True))
        for login in task["logins"]
    ]
    if task.get("subscribe"):
        for connection, login in zip(held, task["logins"], strict=True):
            connection.sendall(encode(Subscribe(1, ((login["topic"], 1),))))
            assert read_exactly(connection, 5)[-1] == 1, "a subscription is refused"
    took = time.perf_counter() - began
    say({"connected": len(held), "seconds": took})
    sys.stdin.readline()
    for connection in held:
        connection.sendall(PINGREQ)
    for connection in held:
        assert read_exactly(connection, len(PINGRESP)) == PINGRESP, "an idle connection does not answer"
    for connection in held:
        connection.close()
    return {"connected": len(held), "seconds": took}


def say(answer: dict[str, Any]) -> None:
    """One JSON line on stdout."""
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


def percentile(values: list[float], share: float) -> float:
    """The smallest value that at least ``share`` of ``values`` do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1)]


def run(task: dict[str, Any]) -> dict[str, Any]:
    """Do one task: ``mode`` is flood, paced or hold."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else soft, hard))
    if task["mode"] == "hold":
        return hold(task)
    flows = open_flows(task)
    cpu = time.process_time()
    began = time.perf_counter()
    if task["mode"] == "flood":
        seconds = flood(flows, task["window"])
        cpu = time.process_time() - cpu
        latencies = [latency for flow in flows for latency in flow.latencies()]
    else:
        latencies = paced(flows, task["rate"])
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    for flow in flows:
        flow.connection.close()
    messages = sum(flow.messages for flow in flows)
    return {
        "messages": messages,
        "events": messages * task.get("events_per_message", 1),
        "seconds": seconds,
        "messages_per_second": messages / seconds,
        "events_per_second": messages * task.get("events_per_message", 1) / seconds,
        "bytes_per_message": flows[0].size,
        "p50_ms": percentile(latencies, 0.5) * 1000,
        "p99_ms": percentile(latencies, 0.99) * 1000,
        "max_ms": max(latencies) * 1000,
        **({"latencies": latencies} if task.get("latencies") else {}),
        "generator_cpu": cpu / seconds,
    }


if __name__ == "__main__":
    say(run(json.loads(sys.stdin.readline())))
