"""Where webhooks may be posted to: what is written, what it resolves to, and what is connected to in the end."""

import asyncio

import pytest

from healthsync_mqtt.gateway.connections.public_https import (
    PostAnswer,
    PostTarget,
    RefusedTargetError,
    is_public,
    post,
    target,
)
from healthsync_mqtt.identity.login.webhook_secret import signature, webhook_secret

NOBODY: frozenset[str] = frozenset()


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/hook",
        "ftp://example.org/",
        "https:///hook",
        "https://user:pass@example.org/",
        "https://example.org/#x",
        "https://example.org:99999/",
        "https://exa mple.org/",
        "https://example.org/a b",
        "https://example.org/\r\nX: y",
        "https://b\u00fccher.example/",
        "file:///etc/passwd",
        "//example.org/",
        "",
    ],
)
def test_what_is_no_target(url: str) -> None:
    with pytest.raises(RefusedTargetError):
        target(url, NOBODY)


def test_what_is_one() -> None:
    assert target("https://example.org./hook?a=1", NOBODY) == PostTarget("example.org", 443, True, "/hook?a=1", False)
    assert target("http://10.0.0.7:8080", {"10.0.0.7"}) == PostTarget("10.0.0.7", 8080, False, "/", True)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "255.255.255.255", "192.0.2.1", "::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "::ffff:127.0.0.1",
        "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:7f00:1::", "ff02::1", "fd00:ec2::254",
        "::7f00:1", "::ffff:0:a9fe:a9fe", "fec0::1", "5f00::1",
    ],
)  # fmt: skip
def test_what_is_nobodys_own_network_is_not_posted_to(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["93.184.215.14", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:8.8.8.8"])
def test_what_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("addresses", [["127.0.0.1"], ["93.184.215.14", "10.0.0.1"], ["::ffff:169.254.169.254"]])
async def test_a_name_that_means_a_private_address_is_connected_to_nowhere(addresses: list[str]) -> None:
    async def resolved(_host: str, _port: int) -> list[str]:
        return addresses

    with pytest.raises(RefusedTargetError):
        await post(target("https://rebinds.example/", NOBODY), {}, b"{}", resolve=resolved)


async def served(answer: bytes, *, wait: bool = False) -> tuple[PostAnswer, bytes]:
    """What a server on this machine is told, and what its answer comes to."""
    heard, over, done = b"", asyncio.Event(), asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal heard
        heard = await reader.readuntil(b"\r\n\r\n")
        heard += await reader.readexactly(4)
        writer.write(answer)
        if wait:
            await over.wait()
        writer.close()
        done.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        where = target(f"http://127.0.0.1:{port}/hook", {"127.0.0.1"})
        return await post(where, {"webhook-id": "msg_1"}, b"body", within_s=0.5 if wait else 15.0), heard
    finally:
        over.set()
        await done.wait()
        server.close()


async def test_a_post_and_its_answer() -> None:
    answer, heard = await served(b"HTTP/1.1 429 Slow\r\nRetry-After: 120\r\nContent-Length: 0\r\n\r\n")
    assert answer == PostAnswer(429, 120.0)
    assert heard.startswith(b"POST /hook HTTP/1.1\r\n")
    assert b"webhook-id: msg_1\r\n" in heard
    assert heard.endswith(b"body")


async def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    answer, _ = await served(b"HTTP/1.1 302 Go\r\nLocation: http://169.254.169.254/\r\nContent-Length: 0\r\n\r\n")
    assert answer.status == 302


@pytest.mark.parametrize("nonsense", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\nX: " + b"a" * 40_000])
async def test_what_is_no_answer_is_no_connection(nonsense: bytes) -> None:
    with pytest.raises(ConnectionError):
        await served(nonsense)


async def test_of_several_addresses_the_next_is_tried_when_one_takes_no_connection() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 Done\r\n\r\n")
        writer.close()

    async def resolved(_host: str, _port: int) -> list[str]:
        return ["127.0.0.2", "127.0.0.1"]  # nobody listens on the first

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        where = target(f"http://hooks.lan:{server.sockets[0].getsockname()[1]}/", {"hooks.lan"})
        assert await post(where, {}, b"", resolve=resolved) == PostAnswer(204)


async def test_a_server_that_drips_is_given_up() -> None:
    with pytest.raises(TimeoutError):
        await served(b"HTTP/1.1 200 OK\r\nX: ", wait=True)


def test_a_signature_is_that_of_standard_webhooks() -> None:
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    message_id = "msg_p5jXN8AQM9LWM0D4loKWxJek"
    expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert signature([secret], message_id, 1614265330, body) == expected
    both = signature([webhook_secret("s", "board", 2), secret], message_id, 1614265330, body)
    assert both.split(" ")[1] == expected
    assert webhook_secret("s", "board", 1) != webhook_secret("s", "board", 2) != webhook_secret("s", "other", 2)
