"""Two processes find the tokens of the same links expired at once: each provider is asked for new ones once."""

import json
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

from healthsync_mqtt.adapters.authorization import finish, invite
from healthsync_mqtt.adapters.links import LinkBook
from tests.support import child
from tests.support.adapter_child import ready_at
from tests.support.cloud_scenes import SCENES
from tests.support.clouds import ScriptedCloud, serving
from tests.support.soak_adapters import EventShelf, shelf_served

RENEWED = [name for name, scene in SCENES.items() if scene.renews]


def test_every_provider_is_asked_for_new_tokens_once(tmp_path: Path) -> None:
    with ExitStack() as opened:
        clouds = {name: ScriptedCloud(SCENES[name].manners) for name in RENEWED}
        urls = {name: opened.enter_context(serving(cloud)) for name, cloud in clouds.items()}
        log_url = opened.enter_context(shelf_served(EventShelf()))
        book = opened.enter_context(LinkBook.open(tmp_path))
        now_us = time.time_ns() // 1000
        for name, cloud in clouds.items():
            ready = ready_at(urls[name], name)
            invitation = invite(book, ready, "ann", "http://127.0.0.1:9/callback", now_us)
            made = finish(book, cloud, lambda _, ready=ready: ready, cloud.agree(invitation.url), now_us)  # type: ignore[misc]
            tokens = book.tokens(made)
            assert tokens is not None
            assert book.keep(made, tokens._replace(expires_us=now_us), tokens)
            cloud.expire()
        command = [sys.executable, "-m", "tests.support.refresh_child", str(tmp_path), log_url, json.dumps(urls)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        both = [opened.enter_context(child.started(command, **pipes)) for _ in range(2)]
        for each in both:
            assert each.stdout is not None
            assert each.stdout.readline() == "ready\n"
        for each in both:
            assert each.stdin is not None
            each.stdin.write("go\n")
            each.stdin.flush()
        said = [json.loads(each.stdout.readline()) for each in both if each.stdout is not None]
        assert said == [dict.fromkeys(RENEWED, "ok")] * 2
        assert {name: cloud.refreshes for name, cloud in clouds.items()} == dict.fromkeys(RENEWED, 1)
        for name in RENEWED:
            assert book.of("ann", name).state == "ok"
