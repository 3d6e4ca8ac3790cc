"""Google's subscriber: made by a service account of the app's project, tried by Google, checked, taken away."""

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from healthsync_mqtt.adapters.catalogue import shipped
from healthsync_mqtt.adapters.cloud import CloudClient
from healthsync_mqtt.adapters.hooks.google_health import NOTICES, WANTED
from healthsync_mqtt.adapters.notices import CloudDelivery
from healthsync_mqtt.adapters.ready_adapters import ready
from healthsync_mqtt.adapters.service_account import service_account
from healthsync_mqtt.adapters.web import CloudAnswer
from healthsync_mqtt.config.settings import Settings
from healthsync_mqtt.errors import ConfigError
from tests.support.clouds import CLIENT, SECRET, answer
from tests.unit.adapters.test_cloud_subscriptions import DAY_US, PUBLIC, Hooks, hint, known, look
from tests.unit.adapters.test_fetch import Rig

PROJECT = "123456789012"
ACCOUNT_KEY = rsa.generate_private_key(65537, 2048)
EMAIL = "hooks@app.iam.gserviceaccount.example"


def key_file(key: Any = ACCOUNT_KEY, **other: Any) -> bytes:
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    said = {"client_email": EMAIL, "private_key": pem, "token_uri": "https://oauth2.example/token"}
    return json.dumps(said | other).encode()


@dataclass
class Google:
    """Google's side: it gives tokens to who signs, and makes a subscriber when the address answers as it should."""

    rig: Rig | None = None
    there: dict[str, dict[str, Any]] = field(default_factory=dict)
    signs: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    lets_in: bool = True

    def keyset(self) -> dict[str, Any]:
        numbers = self.signs.public_key().public_numbers()
        x, y = (b"\0" + each.to_bytes(32, "big") for each in (numbers.x, numbers.y))
        value = bytes((0x12, 6, 8, 3, 16, 2, 24, 2, 0x1A, 33)) + x + bytes((0x22, 33)) + y
        data = {"value": base64.b64encode(value).decode()}
        return {"key": [{"keyData": data, "status": "ENABLED", "keyId": 7}]}

    def __call__(self, method: str, path: str, said: dict[str, Any]) -> CloudAnswer | None:
        if path == "/set":
            return answer(200, self.keyset())
        if path == "/token" and "assertion" in said:
            claims = jwt.decode(
                said["assertion"],
                ACCOUNT_KEY.public_key(),
                algorithms=["RS256"],
                audience="https://oauth2.example/token",
                options={"verify_exp": False, "verify_iat": False},
            )
            assert (claims["iss"], claims["exp"] - claims["iat"]) == (EMAIL, 3_600)
            return (
                answer(200, {"access_token": "of-the-app"}) if self.lets_in else answer(401, {"error": "invalid_grant"})
            )
        if "/subscribers" not in path:
            return None
        if method == "GET":
            return answer(200, {"subscribers": list(self.there.values())} if self.there else {})
        if method == "DELETE":
            gone = self.there.pop(path.removeprefix("/v4/"), None)
            return answer(404 if gone is None else 200, {})
        if not self._answers(said["endpointAuthorization"]["secret"]):
            return answer(400, {"error": {"status": "FAILED_PRECONDITION"}})
        name = (
            path.removeprefix("/v4/") if method == "PATCH" else f"projects/{PROJECT}/subscribers/{said['subscriberId']}"
        )
        assert (name in self.there) == (method == "PATCH")
        kept = {each: said[each] for each in ("endpointUri", "subscriberConfigs")}
        self.there[name] = {"name": name, "state": "ACTIVE", **kept}
        return answer(200, {"name": f"projects/{PROJECT}/operations/op-1", "done": True})

    def _answers(self, secret: str) -> bool:
        """The two tries of the address, as the gateway would answer them now."""
        assert self.rig is not None
        body = b'{"type": "verification"}'
        signature = self.signs.sign(body, ec.ECDSA(hashes.SHA256()))
        headers = {"google-health-api-signature": base64.b64encode(b"\1\0\0\0\7" + signature).decode()}
        owner = self.rig.ready.owner(known(self.rig))
        bare = CloudDelivery(method="POST", headers=headers, body=body)
        let_in = replace(bare, headers=headers | {"authorization": secret})
        return (NOTICES.receive(let_in, owner).status, NOTICES.receive(bare, owner).status) == (201, 401)

    @property
    def only(self) -> dict[str, Any]:
        (found,) = self.there.values()
        return found


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Callable[[], tuple[Rig, Google, Hooks]]]:
    made: list[Rig] = []

    def make() -> tuple[Rig, Google, Hooks]:
        here = Rig(tmp_path, "google_health")
        made.append(here)
        here.link()
        here.sync()
        google = Google(here)
        hooks = Hooks(google, here.cloud)
        here.cloud = hooks  # type: ignore[assignment]
        acts = service_account(key_file(), "key.json")
        client = CloudClient(f"{PROJECT}-{CLIENT}", SECRET)
        here.ready = replace(here.ready, client=client, hooks=replace(PUBLIC, account=acts))
        return here, google, hooks

    yield make
    for each in made:
        each.close()


def test_one_subscriber_is_made_when_google_can_try_the_address_and_left_alone_then(rig: Any) -> None:
    here, google, hooks = rig()
    look(here)
    assert hint(here) == ""
    assert google.only["endpointUri"] == "https://health.example.org/v1/hooks/google_health"
    assert google.only["subscriberConfigs"] == [{"dataTypes": list(WANTED), "subscriptionCreatePolicy": "AUTOMATIC"}]
    assert known(here).subscription == f"projects/{PROJECT}/subscribers/healthsync"
    writes = [each for each in hooks.log if each[0] != "GET" and each[1] != "/token"]
    here.now_us += DAY_US + 1
    look(here)
    assert [each for each in hooks.log if each[0] != "GET" and each[1] != "/token"] == writes


@pytest.mark.parametrize(
    "change",
    [{"state": "INACTIVE"}, {"state": "UNVERIFIED"}, {"subscriberConfigs": [{"dataTypes": ["steps"]}]},
     {"subscriberConfigs": None}, {"endpointUri": "https://old.example/v1/hooks/google_health"}],
)  # fmt: skip
def test_what_is_not_as_it_should_be_is_changed_daily(rig: Any, change: dict[str, Any]) -> None:
    here, google, _ = rig()
    look(here)
    right = dict(google.only)
    google.only.update(change)
    look(here)
    assert google.only != right, "within the day nobody looks"
    here.now_us += DAY_US + 1
    look(here)
    assert google.only == right


def test_one_that_is_gone_is_made_again_and_one_too_many_taken_away(rig: Any) -> None:
    here, google, _ = rig()
    look(here)
    google.there.clear()
    here.now_us += DAY_US + 1
    look(here)
    right = dict(google.only)
    google.there["projects/p/subscribers/by-hand"] = right | {"name": "projects/p/subscribers/by-hand"}
    google.there["projects/p/subscribers/of-another"] = {
        "name": "projects/p/subscribers/of-another", "endpointUri": "https://other.example/hook",
    }  # fmt: skip
    here.now_us += DAY_US + 1
    look(here)
    assert set(google.there) == {right["name"], "projects/p/subscribers/of-another"}


def test_google_renews_its_keys_and_the_next_try_is_signed_by_them(rig: Any) -> None:
    here, google, _ = rig()
    look(here)
    google.signs = ec.generate_private_key(ec.SECP256R1())
    google.there.clear()
    here.now_us += DAY_US + 1
    look(here)
    assert (hint(here), len(google.there)) == ("", 1)


def test_when_nobody_is_linked_any_more_it_is_taken_away_and_made_again_for_the_next_one(rig: Any) -> None:
    here, google, hooks = rig()
    look(here)
    link = here.book.of("ann", "google_health")
    here.book.leave(link.id)
    look(here)
    assert here.book.link(link.id) is None
    here.now_us += DAY_US + 1
    look(here)
    assert (google.there, known(here).subscription) == ({}, "")
    asked = len(hooks.log)
    here.now_us += DAY_US + 1
    look(here)
    assert len(hooks.log) == asked
    here.cloud = hooks.behind
    here.ready = replace(here.ready, client=CloudClient(CLIENT, SECRET))
    here.link()
    here.sync()
    here.ready = replace(here.ready, client=CloudClient(f"{PROJECT}-{CLIENT}", SECRET))
    here.cloud = hooks
    look(here)
    assert google.only["state"] == "ACTIVE"


def test_a_subscriber_that_cannot_be_taken_away_without_a_token_is_said(rig: Any) -> None:
    here, google, hooks = rig()
    look(here)
    here.book.leave(here.book.of("ann", "google_health").id)
    look(here)
    google.lets_in = False
    here.now_us += DAY_US + 1
    look(here)
    assert ("service account" in hint(here), len(google.there)) == (True, 1)
    assert [each for each in hooks.log if each[0] == "DELETE"] == [], "nobody is asked without one"


def test_what_cannot_be_is_said_and_tried_within_the_hour(rig: Any) -> None:
    here, google, _ = rig()
    google.lets_in = False
    look(here)
    assert "service account" in hint(here)
    google.lets_in = True
    here.now_us += 3_600_000_001
    look(here)
    assert (hint(here), len(google.there)) == ("", 1)


def test_a_client_id_that_is_none_of_googles_and_no_account_at_all(rig: Any) -> None:
    here, google, _ = rig()
    here.ready = replace(here.ready, client=CloudClient(CLIENT, SECRET))
    look(here)
    assert "client id" in hint(here)
    here.ready = replace(here.ready, hooks=PUBLIC)
    here.now_us += DAY_US + 1
    look(here)
    assert (hint(here), google.there, here.ready.by_hand) == ("", {}, True)


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"{}", key_file(client_email=""), key_file(private_key="x"), key_file(token_uri=""),
     key_file(ec.generate_private_key(ec.SECP256R1())), key_file(token_uri="http://oauth2.example/token")],
    ids=range(8),
)  # fmt: skip
def test_what_is_no_key_file_is_refused(text: bytes) -> None:
    with pytest.raises(ConfigError):
        service_account(text, "key.json")


def test_the_settings_name_the_key_file(tmp_path: Path) -> None:
    file = tmp_path / "key.json"
    file.write_bytes(key_file())
    file.chmod(0o600)
    said = {"client_id": f"{PROJECT}-x", "service_account_file": file}
    found = ready(Settings(data=tmp_path, adapters={"google_health": said}), shipped("google_health"))
    assert found.hooks.account is not None
    assert (found.hooks.account.email, found.by_hand) == (EMAIL, False)
