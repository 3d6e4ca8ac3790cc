"""T49: a canary in every value, token, key, code and password; afterwards it sits in no file but the one that holds it.

The service runs at debug level and is led through its error paths: refused logins, broken packets, rejected events,
a full disk, loose files. Then everything it wrote is searched, and everything its commands printed.
"""

import asyncio
import base64
import contextlib
import gzip
import json
import os
import re
import secrets
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from healthsync_mqtt.client import enroll
from healthsync_mqtt.config.secrets import KEY_PASSPHRASE
from healthsync_mqtt.mqtt.codec import encode
from healthsync_mqtt.mqtt.codec.packets import Connack, Connect, Publish, Subscribe, Will
from tests.support.patience import PATIENCE_S, until
from tests.support.peer import Identity, Peer
from tests.support.service import HEALTHSYNC, Service

STORES = ("events.db", "events.db-wal")
SUMMED = (*STORES, "summaries.db", "summaries.db-wal")
"""Of what days are worked out: figures, and what measured them."""
SESSIONS = ("sessions.db", "sessions.db-wal")
"""A status that is retained is kept over a restart."""
DEBUG = {
    "HEALTHSYNC_LOG__LEVEL": "debug",
    "HEALTHSYNC_LOG__FORMAT": "json",
    "HEALTHSYNC_LIMITS__FAILED_LOGIN_BASE_S": "0.001",
    "PYTHONASYNCIODEBUG": "1",
}
FILE_LIMIT = 400_000


@dataclass
class Cage:
    """The canaries, each with the files that must hold it, and what the commands printed."""

    root: Path
    birds: dict[str, tuple[bytes, tuple[str, ...]]] = field(default_factory=dict)
    printed: list[bytes] = field(default_factory=list)

    def bird(self, where: str, *, stores: tuple[str, ...] = ()) -> str:
        """A new canary for one place."""
        text = f"Canary{secrets.token_hex(8)}"
        self.keep(where, text, stores=stores)
        return text

    def keep(self, where: str, secret: str | bytes, *, stores: tuple[str, ...] = ()) -> None:
        self.birds[where] = (secret.encode() if isinstance(secret, str) else secret, stores)

    def escaped(self) -> list[str]:
        """Where a canary was found that has no business there."""
        found = []
        texts = [(path.relative_to(self.root).as_posix(), path.read_bytes()) for path in self.files()]
        texts += [(f"output {number}", text) for number, text in enumerate(self.printed)]
        for where, (secret, stores) in self.birds.items():
            for name, text in texts:
                if not name.endswith(stores or ("\0",)) and any(form in text for form in forms(secret)):
                    found.append(f"{where} in {name}")
        return found

    def files(self) -> Iterator[Path]:
        for path in sorted(self.root.rglob("*")):
            if path.is_file() and not path.is_symlink():
                yield path


def forms(secret: bytes) -> Iterator[bytes]:
    """A secret as it stands, in hexadecimal, and in base64 wherever in a longer text it may begin."""
    yield secret
    yield secret.hex().encode()
    for shift in range(3):
        coded = base64.b64encode(bytes(shift) + secret)
        yield coded[4 if shift else 0 : -4]


class Run:
    """One run of the service, whose tokens and keys are canaries, too."""

    def __init__(self, cage: Cage, service: Service, env: dict[str, str]) -> None:
        self.cage = cage
        self.service = service
        self._env = env
        self._commands = 0
        self._peers: list[Peer] = []

    def command(self, *words: str) -> list[dict]:
        """Run a command; what it prints is searched, unless it is there to print a secret."""
        done = subprocess.run(
            [*HEALTHSYNC, *words, "--json"],
            env=os.environ | self._env | {"HEALTHSYNC_DATA": str(self.service.data)},
            capture_output=True, timeout=PATIENCE_S, check=False,
        )  # fmt: skip
        hands_out = words[0] in {"device", "subscriber"} and words[1] in {"add", "enroll", "token"}
        self.cage.printed += [done.stderr] if hands_out else [done.stdout, done.stderr]
        return [json.loads(line) for line in done.stdout.splitlines()]

    async def say(self, *words: str) -> list[dict]:
        return await asyncio.to_thread(self.command, *words)

    async def knock(self, *, tls: bool = False) -> Peer:
        if tls:
            context = ssl.create_default_context(cafile=self.service.ready["ca_file"])
            peer = await Peer.open(self.service.ready["mqtts"], tls=context)
        else:
            peer = await Peer.open(self.service.ready["mqtt"])
        self._peers.append(peer)
        return peer

    async def leave(self) -> None:
        for peer in self._peers:
            await peer.leave()

    async def device(self, user: str, name: str, verb: str = "add") -> Identity:
        (made,) = await self.say("device", verb, user, name)
        self._commands += 1
        self.cage.keep(f"token {self._commands} of {user}/{name}", made["token"].rsplit(".", 1)[1])
        self.cage.keep(f"claims {self._commands} of {user}/{name}", made["token"].split(".")[1])
        return Identity(client_id=made["client_id"], token=made["token"], user=user, device=name)


def measured(event_id: str, **changes: object) -> dict:
    return {"id": event_id, "type": "heart_rate", "start_time": "2026-01-01T00:00:00Z", "value": {"bpm": 70}} | changes


async def good_traffic(run: Run, alice: Identity) -> None:
    cage = run.cage
    peer = await run.knock(tls=True)
    await peer.connect(alice, will=Will(alice.status, cage.bird("will", stores=SESSIONS).encode(), 1, True))
    assert await peer.subscribe((alice.receipts, 1), (alice.commands, 1)) == (1, 1)
    events = [
        measured("g1", value={"bpm": 71.39391737}, source={"app": cage.bird("source", stores=SUMMED)}),
        measured("g2", device={"model": cage.bird("device model", stores=STORES)}),
        measured("g3", device={"odd": cage.bird("unknown field of device", stores=STORES)}),
    ]
    cage.keep("number", "71.39391737", stores=SUMMED)
    await peer.publish(alice.events, gzip.compress(json.dumps({"batch": "b", "events": events}).encode()))
    await peer.publish(alice.events, json.dumps(events[0]).encode(), qos=2)
    await peer.publish(alice.status, json.dumps({"status": cage.bird("status")}).encode(), retain=True)
    assert (await peer.receipt()).batch == "b"
    await peer.leave()  # the will is published


async def bad_events(run: Run, alice: Identity) -> None:
    cage = run.cage
    stored = {"stores": STORES}
    peer = await run.knock()
    await peer.connect(alice)
    payloads: list[object] = [
        measured("r1", type=cage.bird("unknown type", **stored)),
        measured("r2", value={"bpm": 9139391737}),
        measured("r3", value={"bpm": cage.bird("text for a number", **stored)}),
        measured("r4", user_id=cage.bird("foreign user", **stored)),
        measured("r5", odd=cage.bird("unknown field", **stored)),
        measured("r6", start_time=cage.bird("time", **stored)),
        measured("r7", source={"app": cage.bird("long text", **stored) * 200}),
        measured("r8", op=cage.bird("op", **stored)),
        {"batch": cage.bird("batch", **stored) * 10, "events": [measured("r9")]},
        [measured("ok"), cage.bird("no event", **stored)],
        cage.bird("bare text", **stored),
    ]
    cage.keep("implausible number", "9139391737", stores=STORES)
    raw = [json.dumps(payload).encode() for payload in payloads]
    raw += [
        b'{"id":"r","' + cage.bird("broken JSON", **stored).encode(),
        b'{"id":"r","id":"' + cage.bird("repeated key", **stored).encode() + b'"}',
        b"\xff\xfe" + cage.bird("no UTF-8", **stored).encode(),
        b"\x1f\x8b" + cage.bird("no gzip", **stored).encode(),
        b"[" * 5000 + cage.bird("deep", **stored).encode(),
    ]
    for payload in raw:
        await peer.publish(alice.events, payload)
    await peer.disconnect()


async def refused_logins(run: Run, alice: Identity) -> None:
    cage = run.cage
    head, claims, signature = alice.token.split(".")
    forged = base64.urlsafe_b64encode(json.dumps({"sub": cage.bird("forged claim")}).encode()).rstrip(b"=").decode()
    cage.keep("forged claims", forged)
    passwords = [
        cage.bird("password").encode(),
        cage.bird("password of no ASCII").encode() + b"\xff",
        f"{head}.{forged}.{signature}".encode(),
        f"{cage.bird('forged header')}.{claims}.{signature}".encode(),
        alice.token.encode()[:-2],
        None,
    ]
    for password in passwords:
        peer = await run.knock()
        peer.send(Connect(alice.client_id, True, 60, alice.client_id, password, None))
        assert (await peer.expect(Connack)).code == 5
        await peer.leave()
    for secret in (cage.bird("enrolment code"), cage.bird("refresh token")):
        peer = await run.knock()
        peer.send(Connect("enroll-x", True, 60, "enroll", secret.encode(), None))
        assert (await peer.expect(Connack)).code == 5
        await peer.leave()
    peer = await run.knock()
    will = Will("users/bob/devices/watch/status", cage.bird("will for another").encode(), 1, True)
    assert (await peer.connect(alice, will=will)).code == 5
    await peer.leave()


async def broken_packets(run: Run, alice: Identity) -> None:
    cage = run.cage
    topic = alice.events.encode()
    good = encode(Publish(topic, cage.bird("payload of a wrong packet id").encode(), 1, False, False, 7))
    for data in (
        encode(Publish(b"users/bob/devices/watch/events", cage.bird("for another").encode(), 1, False, False, 1)),
        encode(Publish(topic, cage.bird("retained event", stores=STORES).encode(), 1, True, False, 1)),
    ):
        peer = await run.knock()
        await peer.connect(alice)
        peer.send(data)
        await peer.settle()
        await peer.leave()
    raw = [
        good.replace(b"\x00\x07", b"\x00\x00", 1),
        b"\xf3\x10" + cage.bird("reserved packet").encode(),
        b"\x32\xff\xff\xff\x7f" + cage.bird("endless").encode(),
        encode(Subscribe(1, (("a/" + "b", 1),)))[:-1] + b"\x07" + cage.bird("bad QoS").encode(),
    ]
    for data in raw:
        peer = await run.knock()
        await peer.connect(alice)
        peer.send(data)
        await peer.closed()
    for number, data in enumerate(
        [b"GET / HTTP/1.1\r\nCookie: %s\r\n\r\n", b"\x10\x40\x00\x04MQTT\x04\x02\x00\x00%s", b"%s"]
    ):
        for tls in (False, True):
            peer = await run.knock(tls=tls)
            peer.send(data % cage.bird(f"stranger {number} {tls}").encode() + bytes(100))
            await peer.ended()
    host, _, port = run.service.ready["wss"].rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(cage.bird("no TLS").encode())
    with contextlib.suppress(OSError):
        await reader.read()
    await Peer(reader, writer).leave()


async def enrolment(run: Run) -> None:
    host, _, port = run.service.ready["mqtts"].rpartition(":")
    (opened,) = await run.say("device", "enroll", "alice", "ring")
    code = opened["code"]
    run.cage.keep("code", code)
    run.cage.keep("code without hyphens", code.replace("-", ""))
    got = await enroll(host, int(port), code=code, ca_file=run.service.ca_file)
    run.cage.keep("enrolled token", got.token.rsplit(".", 1)[1])
    assert got.refresh_token
    run.cage.keep("refresh token", got.refresh_token)


async def commands(run: Run) -> None:
    """Whatever does not exist to show a secret or a value shows none."""
    for words in (
        ("status",), ("doctor",), ("user", "list"), ("user", "show", "alice"), ("device", "list"), ("key", "list"),
        ("key", "jwks"), ("cert", "list"), ("audit", "list"), ("audit", "verify"),
        ("topic", "check", "--as", "alice/watch", "--subscribe", "#"),
        ("device", "token", "nobody", "nothing"),
    ):  # fmt: skip
        await run.say(*words)


async def full_disk(run: Run, alice: Identity) -> None:
    """Nothing is acknowledged, everything is retried, and all of it is logged."""
    peer = await run.knock()
    await peer.connect(alice)
    bird = run.cage.bird("event on a full disk", stores=STORES)
    for number in range(800):
        body = measured(f"f{number}", source={"app": bird}, device={"model": "m" * 900})
        peer.send(Publish(alice.events.encode(), json.dumps([body]).encode(), 1, False, False, number + 1))
    await until(lambda: "bridge.journal_lost" in run.service.log_path.read_text(), "the disk is full")
    await peer.leave()


def keys_of(cage: Cage, data: Path) -> None:
    for path in [*data.glob("keys/*.pem"), *data.glob("keys/*.key"), *data.glob("certs/*.key")]:
        content = path.read_bytes()
        lines = [line for line in content.splitlines() if line and not line.startswith(b"-----")]
        cage.keep(f"key {path.name}", lines[0], stores=(path.name,))


@pytest.fixture
def cage(tmp_path: Path) -> Cage:
    return Cage(tmp_path)


async def test_t49_no_canary_leaves_its_cage(cage: Cage, tmp_path: Path) -> None:
    data = tmp_path / "data"
    (tmp_path / "tmp").mkdir()
    env = DEBUG | {KEY_PASSPHRASE: cage.bird("passphrase"), "TMPDIR": str(tmp_path / "tmp")}
    service = await asyncio.to_thread(Service(data, env=env).start)
    run = Run(cage, service, env)
    try:
        await run.say("user", "add", "alice", "--consent", "all")
        await run.say("user", "add", "bob", "--consent", "all")
        alice, bob = await run.device("alice", "watch"), await run.device("bob", "watch")
        limits = await asyncio.to_thread(Path(f"/proc/{service.pid}/limits").read_text)
        assert re.search(r"^Max core file size +0 ", limits, re.MULTILINE)
        await good_traffic(run, alice)
        await bad_events(run, alice)
        await refused_logins(run, alice)
        await broken_packets(run, alice)
        await enrolment(run)
        await commands(run)
        await run.say("key", "rotate", "--publish", "0s")
        alice = await run.device("alice", "watch", "token")
        peer = await run.knock()
        await peer.connect(bob)
        await peer.publish(bob.events, json.dumps(measured("bob-goes-on")).encode())
        await run.say("device", "remove", "bob", "watch", "--yes")
        await peer.closed()
    finally:
        await run.leave()
        await asyncio.to_thread(service.stop)
    keys_of(cage, data)

    # A full disk, in a second run.
    service = await asyncio.to_thread(Service(data, env=env, file_limit=FILE_LIMIT).start)
    run = Run(cage, service, env)
    try:
        await full_disk(run, alice)
    finally:
        await run.leave()
        await asyncio.to_thread(service.kill)

    # Keys that do not open, and files that are open to others.
    for changes in ({KEY_PASSPHRASE: cage.bird("wrong passphrase")}, {KEY_PASSPHRASE: ""}):
        Run(cage, service, env | changes).command("key", "rotate")
    (data / "keys" / "keyring.json").chmod(0o644)
    Run(cage, service, env).command("key", "list")

    log = service.log_path.read_text()
    for event in ("door.protocol_violation", "door.connection_closed", "bridge.journal_lost"):
        assert event in log
    assert log.count("door.connection_refused") >= 9
    assert cage.escaped() == []


def test_the_search_finds_what_it_looks_for(cage: Cage) -> None:
    """A test that finds nothing has to be able to find something."""
    bird = cage.bird("somewhere")
    store = cage.bird("stored", stores=("events.db",))
    (cage.root / "events.db").write_text(store)
    assert cage.escaped() == []
    for number, text in enumerate(
        [
            bird.encode(),
            bird.encode().hex().encode(),
            *(base64.b64encode(b"x" * n + bird.encode() + b"tail") for n in range(3)),
        ]
    ):
        file = cage.root / f"log{number}"
        file.write_bytes(b"before " + text + b" after")
        assert cage.escaped() == [f"somewhere in log{number}"]
        file.unlink()
    cage.printed.append(store.encode())
    assert cage.escaped() == ["stored in output 0"]
