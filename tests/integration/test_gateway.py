"""The gateway as clients of the API meet it: a service as a user starts it, HTTP from outside."""

import gzip
import hmac
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support import child
from tests.support.app_login import exported
from tests.support.patience import PATIENCE_S, wait_until
from tests.support.service import HEALTHSYNC, Service
from tests.support.web import Web, basic
from tests.unit.formats.fhir.test_fhir import observation
from tests.unit.formats.test_health_connect import SAMPLE
from tests.unit.formats.test_open_mhealth import PULSE, point


def event(name: str, bpm: float = 70, **more: Any) -> dict[str, Any]:
    return {
        "id": name, "type": "heart_rate", "start_time": "2026-11-23T06:00:00Z", "value": {"bpm": bpm},
    } | more  # fmt: skip


@dataclass
class Scene:
    service: Service
    web: Web
    alice: Web
    bob: Web
    app: Web
    identities: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    data = tmp_path_factory.mktemp("gateway") / "data"
    with Service(data, "--http-port", "0") as service:
        assert service.ready["http"].startswith("https://127.0.0.1:")
        service.cli("user", "add", "alice", "--consent", "all")
        service.cli("user", "add", "bob", "--consent", "all")
        service.cli("user", "add", "123", "--consent", "all")
        identities = {
            "alice": service.cli("device", "add", "alice", "watch")[0],
            "bob": service.cli("device", "add", "bob", "watch")[0],
            "123": service.cli("device", "add", "123", "phone")[0],
            "reader": service.cli("subscriber", "add", "reader", "--users", "alice", "--types", "*")[0],
        }
        made = service.cli("app", "add", "alice", "nightscout", "--format", "nightscout")[0]
        web = Web(service.ready["http"], service.ca_file)
        yield Scene(
            service,
            web,
            web.as_(identities["alice"]["token"]),
            web.as_(identities["bob"]["token"]),
            web.as_(basic(made["username"], made["password"])),
            identities,
        )


def test_a_batch_is_answered_with_what_became_of_each_event(scene: Scene) -> None:
    batch = {"batch": "b1", "events": [event("a-1"), event("a-2", 9000)]}
    first = scene.alice.post("/v1/events", batch)
    assert first.status == 200, first.body
    said = first.json()
    assert (said["stored"], said["duplicate"]) == (1, 0)
    assert [(each["index"], each["code"]) for each in said["rejected"]] == [(1, "out_of_range")]
    again = scene.alice.post("/v1/events", batch).json()
    assert (again["stored"], again["duplicate"]) == (0, 1)
    listed = scene.service.cli("events", "list", "--user", "alice")
    assert [(each["id"], each["device_id"]) for each in listed if each["id"].startswith("a-")] == [("a-1", "watch")]


@pytest.mark.parametrize(
    ("name", "body"),
    [("one", event("s-one")), ("array", [event("s-array")]), ("batch", {"batch": "b", "events": [event("s-batch")]})],
)
def test_one_event_an_array_and_a_named_batch_are_taken_packed_or_not(scene: Scene, name: str, body: Any) -> None:
    packed = gzip.compress(json.dumps(body).encode())
    answer = scene.alice.post("/v1/events", packed, content_encoding="gzip")
    assert answer.status == 200, answer.body
    assert answer.json()["stored"] == 1
    assert scene.alice.post("/v1/events", body).json()["duplicate"] == 1


GOOD = json.dumps(event("s-good")).encode()
UNFOLDS: dict[str, Callable[[bytes], bytes]] = {
    "to fifty megabytes": lambda _: gzip.compress(bytes(50_000_000), 1),
    "to gzip": gzip.compress,
    "in two members": lambda packed: packed + packed,
    "cut": lambda packed: packed[:-9],
    "with another sum": lambda packed: packed[:-8] + bytes(4) + packed[-4:],
}


@pytest.mark.parametrize("how", UNFOLDS)
def test_what_unfolds_to_more_than_it_may_or_is_no_whole_one_is_refused(scene: Scene, how: str) -> None:
    """T35: with the header and without, since what the bytes are decides."""
    body = UNFOLDS[how](gzip.compress(GOOD))
    for header in ({"content_encoding": "gzip"}, {}):
        answer = scene.alice.post("/v1/events", body, **header)
        assert (answer.status, answer.json()["reason"]) == (422, "decompress_limit"), answer.body[:300]


@pytest.mark.parametrize("encoding", ["br", "zstd", "deflate", "gzip, gzip"])
def test_a_body_in_an_encoding_that_is_not_read_says_so(scene: Scene, encoding: str) -> None:
    answer = scene.alice.post("/v1/events", GOOD, content_encoding=encoding)
    assert (answer.status, answer.json()["reason"]) == (415, "unsupported_encoding")


def test_when_all_are_refused_the_answer_is_a_problem_with_the_reasons(scene: Scene) -> None:
    answer = scene.alice.post("/v1/events", [event("bad-1", 9000), event("bad-2", -4)])
    assert answer.status == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["reason"] == "out_of_range"
    assert problem["hint"]
    assert [each["index"] for each in problem["rejected"]] == [0, 1]
    assert (problem["stored"], problem["duplicate"]) == (0, 0)
    assert scene.alice.post("/v1/events", b"not json").status == 422


@pytest.mark.parametrize("authorization", ["", "Bearer x.y.z", "Basic !", "Basic YTpi", "Digest a", "Bearer"])
def test_without_a_good_credential_nothing_is_told(scene: Scene, authorization: str) -> None:
    answer = scene.web.post("/v1/events", [event("n-1")], authorization=authorization)
    assert answer.status == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert "Bearer" in answer.headers["www-authenticate"]
    assert answer.json()["hint"]


def test_a_token_of_another_users_device_and_one_of_nobody_are_refused_alike(scene: Scene) -> None:
    gone = scene.service.cli("device", "add", "bob", "gone")[0]
    scene.service.cli("device", "remove", "bob", "gone", "--yes")
    never = scene.identities["alice"]["token"].rsplit(".", 1)[0] + "." + "A" * 86

    wait_until(lambda: scene.web.as_(gone["token"]).post("/v1/events", [event("n-2")]).status == 401)
    removed, forged = (scene.web.as_(each).post("/v1/events", [event("n-2")]) for each in (gone["token"], never))
    assert removed.json() | {"request_id": ""} == forged.json() | {"request_id": ""}
    assert (removed.status, forged.status) == (401, 401)


def test_only_devices_send(scene: Scene) -> None:
    answer = scene.web.as_(scene.identities["reader"]["token"]).post("/v1/events", [event("n-3")])
    assert (answer.status, answer.json()["reason"]) == (403, "not_allowed")


def test_another_name_and_a_used_id_change_nothing_of_anybody(scene: Scene) -> None:
    """T16 and T18: a sender is its credential, and the first of an id and version stays."""
    assert scene.alice.post("/v1/events", event("used")).json()["stored"] == 1
    forged = scene.bob.post("/v1/events", event("used", 99, user_id="alice"))
    assert (forged.status, forged.json()["reason"]) == (422, "identity_mismatch")
    assert scene.alice.post("/v1/events", event("used", 99)).json()["duplicate"] == 1
    assert scene.bob.post("/v1/events", event("used", 99)).json()["stored"] == 1
    kept = {
        user: [
            each["value"]["bpm"] for each in scene.service.cli("events", "list", "--user", user) if each["id"] == "used"
        ]
        for user in ("alice", "bob")
    }
    assert kept == {"alice": [70], "bob": [99]}


def test_an_app_sends_in_its_format_and_in_no_other(scene: Scene) -> None:
    entry = [{"type": "sgv", "sgv": 120, "dateString": "2026-11-23T06:00:00.000Z", "date": 1795413600000, "_id": "n1"}]
    answer = scene.app.post("/v1/formats/nightscout", entry)
    assert answer.status == 200, answer.body
    assert answer.json()["stored"] == 1
    refused = scene.app.post("/v1/formats/openscale", entry)
    assert (refused.status, refused.json()["reason"]) == (403, "not_allowed")
    assert scene.app.post("/v1/formats/no%2Fsuch", entry).status == 404
    assert scene.alice.post("/v1/formats/nightscout", entry).status == 403


def test_an_app_that_signs_its_webhooks_needs_no_credential(scene: Scene) -> None:
    made = scene.service.cli("app", "webhook", "alice", "nightscout")[0]
    assert made == scene.service.cli("app", "webhook", "alice", "nightscout")[0]
    [url] = made["urls"]
    assert url.startswith(scene.web.url + "/v1/hooks/")
    path = url.removeprefix(scene.web.url)
    body = json.dumps([{"type": "sgv", "sgv": 121, "date": 1795413660000, "_id": "n2"}]).encode()
    signed = "sha256=" + hmac.digest(made["secret"].encode(), body, "sha256").hex()
    answer = scene.web.post(path, body, x_signature=signed)
    assert (answer.status, answer.json().get("stored")) == (200, 1), answer.body
    other = path.rpartition("/")[0] + "/openscale"
    for wrong_path, wrong_body, signature, status in (
        (path, body + b" ", signed, 401),
        (path, body, "sha256=" + "0" * 64, 401),
        (path, body, signed[:-1], 401),
        (path, body, "", 401),
        ("/v1/hooks/nobody/nightscout", body, signed, 401),
        ("/v1/hooks/alice-watch/nightscout", body, signed, 401),
        (other, body, signed, 403),
    ):
        refused = scene.web.post(wrong_path, wrong_body, x_signature=signature)
        assert refused.status == status, (wrong_path, signature, refused.body)


SENT: dict[str, Any] = {
    "health_auto_export": exported(3),
    "health_connect": SAMPLE,
    "fhir": {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": observation("8867-4", 64, "/min")}],
    },
    "open_mhealth": point(PULSE),
}


@pytest.mark.parametrize("form", SENT)
def test_a_format_is_taken_with_a_password_with_a_token_and_signed(scene: Scene, form: str) -> None:
    """The same body in three ways: stored once, a duplicate after that."""
    cli, name = scene.service.cli, form.replace("_", "-")
    made = cli("app", "add", "alice", name, "--format", form, "--bucket", "minute")[0]
    token = cli("device", "token", "alice", name)[0]["token"]
    hook = cli("app", "webhook", "alice", name)[0]
    [url] = hook["urls"]
    body = SENT[form] if isinstance(SENT[form], bytes) else json.dumps(SENT[form]).encode()
    first = scene.web.as_(basic(made["username"], made["password"])).post(f"/v1/formats/{form}", body)
    assert first.status == 200, first.body
    stored = first.json()["stored"]
    assert stored > 0
    assert first.json()["rejected"] == []
    signed = "sha256=" + hmac.digest(hook["secret"].encode(), body, "sha256").hex()
    by_token = scene.web.as_(token).post(f"/v1/formats/{form}", body)
    by_signature = scene.web.post(url.removeprefix(scene.web.url), body, x_signature=signed)
    for again in (by_token, by_signature):
        assert again.status == 200, again.body
        assert (again.json()["stored"], again.json()["duplicate"]) == (0, stored)


def test_the_first_api_takes_an_array_and_says_how_many(scene: Scene) -> None:
    first = scene.web.as_(scene.identities["123"]["token"])
    sent = [
        {
            "id": f"client-x-{number}", "user_id": 123, "type": "steps", "start_time": "2026-11-23T06:00:00Z",
            "end_time": "2026-11-23T06:10:00Z", "value": {"steps": 412, "source": "com.google.android.gms"},
            "device": {"platform": "android", "model": "phone"},
        }
        for number in range(3)
    ]  # fmt: skip
    answer = first.post("/sync/events", sent)
    assert (answer.status, answer.json()) == (200, {"received": 3})
    assert first.post("/sync/events", sent).json() == {"received": 3}
    assert scene.bob.post("/sync/events", sent).status == 422  # they name another user


def test_what_is_not_there_is_a_problem_too(scene: Scene) -> None:
    assert scene.alice.get("/v1/nothing").json()["reason"] == "not_found"
    wrong = scene.alice.get("/v1/events")
    assert (wrong.status, wrong.headers["allow"], wrong.json()["reason"]) == (405, "POST", "method")


def test_every_answer_has_an_id_and_tells_a_browser_to_trust_little(scene: Scene) -> None:
    answer = scene.web.post("/v1/events", [], x_request_id="mine-1")
    assert answer.headers["x-request-id"] == "mine-1"
    assert answer.json()["request_id"] == "mine-1"
    assert scene.web.post("/v1/events", [], x_request_id="not mine").headers["x-request-id"] != "not mine"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "access-control-allow-origin" not in answer.headers
    assert "server" not in answer.headers


def test_a_body_that_no_packet_holds_is_refused_before_it_is_read(scene: Scene) -> None:
    connection = scene.alice.connection()
    connection.putrequest("POST", "/v1/events")
    connection.putheader("authorization", scene.alice.authorization)
    connection.putheader("content-length", str(1 << 30))
    connection.endheaders()
    answer = connection.getresponse()
    assert answer.status == 413
    assert json.loads(answer.read())["reason"] == "too_large"
    connection.close()
    assert scene.alice.post("/v1/events", b" " * 1_100_000).status == 413


@pytest.mark.parametrize(
    "head",
    [
        "POST /v1/events HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /",
        "POST /v1/events HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        "POST /v1/events HTTP/1.1\r\nContent-Length : 3\r\nHost: a\r\n\r\nabc",
        "POST /v1/events HTTP/1.1\r\nHost: a\r\nX: a\n b\r\n\r\n",
        "GET /v1/events HTTP/1.1\r\nHost: a\r\nX: " + "a" * 40_000,
    ],
    ids=["both lengths", "two lengths", "blank in a name", "folded", "endless head"],
)
def test_a_request_that_can_be_read_in_two_ways_is_not_read(scene: Scene, head: str) -> None:
    connection = scene.web.connection()
    connection.connect()
    connection.sock.sendall(head.encode())
    got = b""
    try:
        while part := connection.sock.recv(65_536):
            got += part
    except ConnectionError:
        pass
    connection.close()
    # At most one answer, and the connection is over: nothing behind it is taken for another request.
    assert len(re.findall(rb"HTTP/1\.1 \d", got)) <= 1
    assert got[:12] in {b"", b"HTTP/1.1 400", b"HTTP/1.1 401", b"HTTP/1.1 431"}


def test_a_revoked_device_sends_nothing_a_second_later(scene: Scene) -> None:
    made = scene.service.cli("device", "add", "alice", "lent")[0]
    lent = scene.web.as_(made["token"])
    assert lent.post("/v1/events", [event("lent-1")]).status == 200
    scene.service.cli("device", "suspend", "alice", "lent")
    wait_until(lambda: lent.post("/v1/events", [event("lent-2")]).status == 401)


def test_without_consent_nothing_is_stored_and_the_sender_is_told(scene: Scene) -> None:
    scene.service.cli("user", "add", "carol", "--consent", "none")
    made = scene.service.cli("device", "add", "carol", "watch")[0]
    answer = scene.web.as_(made["token"]).post("/v1/events", [event("c-1")])
    assert (answer.status, answer.json()["rejected"][0]["code"]) == (422, "no_consent")


def gateway_pid(service: Service) -> int:
    """The process of the gateway, found as the child that is one; StopIteration while the service has none."""
    assert service.running, service.log_tail()
    asked = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(service.pid)], capture_output=True, text=True, check=False
    )
    assert (asked.returncode, asked.stderr) in {(0, ""), (1, "")}, asked  # 1: it has no child
    found = asked.stdout.splitlines()
    return next(int(line.split()[0]) for line in found if "healthsync_mqtt.gateway" in line)


def test_killed_under_load_it_loses_nothing_that_was_answered_and_mqtt_goes_on(tmp_path: Path) -> None:
    with Service(tmp_path / "data", "--http-port", "0") as service:
        service.cli("user", "add", "alice", "--consent", "all")
        made = service.cli("device", "add", "alice", "watch")[0]
        web = Web(service.ready["http"], service.ca_file).as_(made["token"])
        answered: set[str] = set()
        by_mqtt = 0
        reading = tmp_path / "reading.json"
        done = threading.Event()

        def send(number: int) -> None:
            count = 0
            while not done.is_set():
                name = f"{number}-{count}"
                try:
                    if web.post("/v1/events", [event(name)]).status == 200:
                        answered.add(name)
                        count += 1
                except (OSError, http.client.HTTPException):
                    continue  # killed: the same again

        senders = [threading.Thread(target=send, args=(number,)) for number in range(3)]
        for sender in senders:
            sender.start()
        try:
            for _ in range(3):
                before = len(answered)
                wait_until(lambda before=before: len(answered) > before + 5)
                pid = gateway_pid(service)
                os.kill(pid, signal.SIGKILL)
                reading.write_text(json.dumps(event(f"mqtt-{pid}")))
                service.cli("publish", str(reading), "--user", "alice", "--device", "other")
                by_mqtt += 1
                wait_until(lambda pid=pid: gateway_alive(service, pid))
            before = len(answered)
            wait_until(lambda: len(answered) > before)
        finally:
            done.set()
            for sender in senders:
                sender.join(PATIENCE_S)
        stored = [each["id"] for each in service.cli("events", "list", "--user", "alice")]
        assert answered <= set(stored)
        assert len(stored) == len(set(stored))
        assert sum(name.startswith("mqtt-") for name in stored) == by_mqtt == 3


def gateway_alive(service: Service, other_than: int) -> bool:
    try:
        return gateway_pid(service) != other_than
    except StopIteration:
        return False


def test_the_gateway_alone_serves_beside_a_running_service(tmp_path: Path) -> None:
    with Service(tmp_path / "data") as service:
        assert "http" not in service.ready
        service.cli("user", "add", "alice", "--consent", "all")
        made = service.cli("device", "add", "alice", "watch")[0]
        alone = child.start(
            [*HEALTHSYNC, "gateway", "run", "--http-port", "0", "--data", str(service.data), "--json"],
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert alone.stdout
            ready = json.loads(alone.stdout.readline())
            web = Web(ready["http"], service.ca_file).as_(made["token"])
            assert web.post("/v1/events", [event("alone")]).json()["stored"] == 1
            alone.send_signal(signal.SIGINT)
            assert alone.wait(PATIENCE_S) == 0
        finally:
            if alone.poll() is None:
                alone.kill()
                alone.wait()
            if alone.stdout:
                alone.stdout.close()


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        env = {"HEALTHSYNC_GATEWAY__HOST": "127.0.0.1"}
        service = Service(tmp_path / "data", "--http-port", port, env=env)
        service.start(wait=False)
        assert service.process
        assert service.process.wait(PATIENCE_S) == 69
        service.stop()
        assert f"cannot listen on 127.0.0.1:{port}" in service.log_tail()


def test_plain_http_is_for_this_machine_only(tmp_path: Path) -> None:
    env = {"HEALTHSYNC_GATEWAY__TLS": "false", "HEALTHSYNC_GATEWAY__HOST": "127.0.0.1"}
    with Service(tmp_path / "data", "--http-port", "0", env=env) as service:
        assert service.ready["http"].startswith("http://127.0.0.1:")
        assert service.cli("status")[0]["listeners"]["http"] == service.ready["http"]
        answer = Web(service.ready["http"], service.ca_file).get("/v1/nothing")
        assert answer.status == 404
        assert "strict-transport-security" not in answer.headers
