"""A service without sockets: keeps a log, writes receipts, and fails where a test tells it to."""

import asyncio
import contextlib
import json
from collections import deque

from healthsync_mqtt.client import ConnectionLostError
from healthsync_mqtt.client.transport import Answer
from healthsync_mqtt.errors import DeniedError
from tests.support.patience import PATIENCE_S


class FakeClock:
    """Sleepers wake when a test moves the time."""

    def __init__(self) -> None:
        self.now = 1_000_000.0
        self.slept: list[float] = []
        self._sleepers: list[tuple[float, asyncio.Future]] = []

    def time(self) -> float:
        return self.now

    def monotonic(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        future = asyncio.get_running_loop().create_future()
        self._sleepers.append((self.now + seconds, future))
        await future

    async def advance(self, seconds: float) -> None:
        self.now += seconds
        for at, future in self._sleepers:
            if at <= self.now and not future.done():
                future.set_result(None)
        self._sleepers = [(at, future) for at, future in self._sleepers if not future.done()]
        await settle()


async def settle() -> None:
    """Let everything run that can run without time passing, outbox threads included."""
    for _ in range(5):
        for _ in range(20):
            await asyncio.sleep(0)
        await asyncio.to_thread(int)


async def until(condition) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await settle()


def answered(receipt: dict, named: int) -> Answer:
    """A receipt as the embedded broker says it in a PUBACK."""
    rejected = receipt["rejected"]
    said = [(name, str(receipt[name])) for name in ("stored", "duplicate")]
    said += [("rejected", str(len(rejected))), ("seq", str(receipt["seq"])), ("epoch", receipt["epoch"])]
    if rejected:
        said += [("reason", rejected[0]["code"]), ("field", rejected[0]["field"])]
        said += [("rejection", json.dumps(each)) for each in rejected[:named]]
    held = sum(bool(each.get("held") or each.get("retry")) for each in rejected)
    if held:
        said.append(("held", str(held)))
    none_taken = rejected and not receipt["stored"] and not receipt["duplicate"]
    return Answer((0x83 if held else 0x99) if none_taken else 0, tuple(said))


class FakeService:
    """A transport whose connections share one log. ``drop_*`` fail once; ``hold`` keeps receipts back."""

    def __init__(self) -> None:
        self.epoch = "e1"
        self.log: dict[str, dict] = {}
        self.seq = 0
        self.deliveries: list[dict] = []
        self.statuses: list[tuple[str, bool]] = []
        self.subscribed: list[str] = []
        self.tokens: list[str] = []
        self.queue: deque[bytes] = deque()  # receipts the session keeps for the next connection
        self.live: FakeConnection | None = None
        self.connects = 0
        self.unreachable = False
        self.denied = False
        self.hold = False
        self.lose_receipts = 0
        self.reject: dict[str, str] = {}
        self.repeat_receipts = 1
        #: it speaks MQTT 5: acknowledgements say what receipts say, ``named`` rejections at most
        self.tells = False
        self.named = 32
        self.answer: Answer | None = None
        self.renewal_fails = False
        self.connection: type[FakeConnection] = FakeConnection

    @contextlib.asynccontextmanager
    async def connect(self, token: str):
        self.tokens.append(token)
        self.connects += 1
        if self.denied:
            raise DeniedError("the service refused the login")
        if self.unreachable:
            raise ConnectionLostError("cannot connect")
        self.live = connection = self.connection(self)
        while self.queue:
            connection.arrived.put_nowait(("users/alice/devices/watch/receipts", self.queue.popleft()))
        try:
            yield connection
        finally:
            connection.lose()
            self.live = None

    def receive(self, payload: bytes) -> Answer | None:
        batch = json.loads(payload)
        self.deliveries.append(batch)
        stored = duplicate = 0
        rejected = []
        for index, event in enumerate(batch["events"]):
            if event["id"] in self.reject:
                code = self.reject[event["id"]]
                rejected.append(
                    {"index": index, "id": event["id"], "code": code, "field": "value.bpm", "message": "no"}
                )
            elif event["id"] in self.log:
                duplicate += 1
            else:
                stored += 1
                self.seq += 1
                self.log[event["id"]] = event
        receipt = {"epoch": self.epoch, "seq": self.seq, "batch": batch["batch"], "stored": stored}
        receipt |= {"duplicate": duplicate, "rejected": rejected}
        if self.tells:
            return self.answer or answered(receipt, self.named)
        if self.lose_receipts:
            self.lose_receipts -= 1
            return None
        for _ in range(self.repeat_receipts):
            self.queue.append(json.dumps(receipt).encode())
        self.flush()
        return None

    def flush(self) -> None:
        while self.queue and self.live and not self.hold:
            self.live.arrived.put_nowait(("users/alice/devices/watch/receipts", self.queue.popleft()))

    def drop(self) -> None:
        if self.live:
            self.live.lose()


class FakeConnection:
    def __init__(self, service: FakeService) -> None:
        self.service = service
        self.arrived: asyncio.Queue = asyncio.Queue()
        self.lost = False
        self.tells = self.renews = service.tells
        self.renewed: list[str] = []
        self.end_with: ConnectionLostError | None = None

    def lose(self) -> None:
        self.lost = True
        self.arrived.put_nowait(None)

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> Answer | None:
        if self.lost:
            raise ConnectionLostError("gone")
        if topic.endswith("/status"):
            self.service.statuses.append((json.loads(payload)["status"], retain))
        else:
            assert topic == "users/alice/devices/watch/events"
            assert not retain
            return self.service.receive(payload)
        return None

    async def renew(self, token: str) -> None:
        if self.service.renewal_fails:
            raise ConnectionLostError("not accepted")
        self.renewed.append(token)

    async def subscribe(self, topic: str) -> None:
        self.service.subscribed.append(topic)

    async def messages(self):
        while (item := await self.arrived.get()) is not None:
            yield item
        raise self.end_with or ConnectionLostError("gone")
