"""The demo's tokens are made when missing and replaced before their end, whatever ``token.lifetime_s`` says."""

import base64
import json
import os
import time
from pathlib import Path

from healthsync_mqtt.cli.demo import demo_login
from healthsync_mqtt.cli.demo_tokens import DemoTokens
from healthsync_mqtt.cli.installation import DataDirectory

BOTH = ["demo-watch.token", "demo-app.token"]


def lifetime_of(token: str) -> int:
    body = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return int(claims["exp"] - claims["iat"])


def test_half_of_a_tokens_life_is_always_left(tmp_path: Path) -> None:
    place = DataDirectory(tmp_path / "data")
    login = demo_login(place, 600)
    assert login.client_id == "demo-simulator"
    assert lifetime_of(login.token) == 600
    tokens = DemoTokens(place, 600)
    assert tokens.renew() == BOTH
    assert tokens.renew() == []
    texts = [(place.path / name).read_text() for name in BOTH]
    assert list(map(lifetime_of, texts)) == [600, 600]
    assert {(place.path / name).stat().st_mode & 0o777 for name in BOTH} == {0o600}
    half_over = time.time() - 301
    os.utime(place.path / BOTH[1], (half_over, half_over))
    assert tokens.renew() == BOTH[1:]
    assert (place.path / BOTH[0]).read_text() == texts[0]
    assert (place.path / BOTH[1]).read_text() != texts[1]
