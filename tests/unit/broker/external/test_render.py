"""Rendered configuration: complete, without a placeholder left, secrets in private files only."""

import json
import os
import pwd
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path

import pytest

from healthsync_mqtt.broker.external.canary_world import COMMON
from healthsync_mqtt.broker.external.configuration import render, write
from healthsync_mqtt.broker.external.grants import grants_of
from healthsync_mqtt.broker.external.ownership import give, handed_over
from healthsync_mqtt.broker.external.plan import Plan
from healthsync_mqtt.config.settings import load_settings
from healthsync_mqtt.errors import ConfigError, InputError
from healthsync_mqtt.topics.access import AccessRules
from healthsync_mqtt.topics.registry import TopicRegistry
from tests.support.accounts import ONLY_ROOT

BROKERS = ("mosquitto", "rabbitmq", "emqx", "vernemq", "hivemq")
SECRET = "s3cret-of-the-hooks"


def plan(root: Path, directory: str = "broker") -> Plan:
    topics = TopicRegistry.load()
    return Plan(
        settings=load_settings(root),
        topics=topics,
        directory=root / directory,
        certfile=root / "server.crt",
        keyfile=root / "server.key",
        cafile=root / "ca.crt",
        admin_password="admin-password",
        hooks_secret=SECRET,
        grants={COMMON.intruder.client_id: grants_of(AccessRules(topics), COMMON.intruder)},
    )


@pytest.mark.parametrize("broker", BROKERS)
def test_nothing_is_left_open_and_secrets_are_private(tmp_path: Path, broker: str) -> None:
    files = render(broker, plan(tmp_path))
    for name, rendered in files.items():
        text = rendered.content.decode()
        assert "$$" not in text
        # What is left in ${} is the broker's own to fill in.
        assert set(re.findall(r"\$\{(\w+)", text)) <= {
            "clientid", "username", "password", "peerhost", "cert_common_name", "topic", "action", "qos", "retain",
            "ENV",
        }  # fmt: skip
        assert not re.search(r"\$[a-z]+_?[a-z]*\b(?!\{)", text)
        assert rendered.private or SECRET not in text, name
        assert "admin-password" not in text
    written = write(files, tmp_path / "out")
    assert {path.name for path in written} == set(files)
    for path in written:
        assert path.stat().st_mode & 0o777 == (0o600 if files[path.name].private else 0o644)


@pytest.mark.parametrize(
    ("broker", "lines"),
    [
        ("mosquitto", ["allow_anonymous false", "max_queued_messages 0", "tls_version tlsv1.2"]),
        ("rabbitmq", ["mqtt.allow_anonymous = false", "listeners.tcp = none", "mqtt.listeners.tcp = none"]),
        ("emqx", ["no_match = deny", "max_mqueue_len = infinity", "listeners.tcp.default.enable = false"]),
        ("vernemq", ["allow_anonymous = off", "max_offline_messages = -1", "plugins.vmq_webhooks = on"]),
        ("hivemq", ["<tls-tcp-listener>", "<max-queue-size>10000000</max-queue-size>"]),
    ],
)
def test_the_lines_that_matter_are_there(tmp_path: Path, broker: str, lines: list[str]) -> None:
    text = next(iter(render(broker, plan(tmp_path)).values())).content.decode()
    for line in lines:
        assert line in text


def test_hivemq_is_well_formed_and_comes_with_everybodys_rights(tmp_path: Path) -> None:
    files = render("hivemq", plan(tmp_path))
    assert ET.fromstring(files["config.xml"].content).tag == "hivemq"
    rights = json.loads(files["hivemq-rights.json"].content)
    assert f"users/{COMMON.intruder.user}/events" in {
        each["filter"] for each in rights[COMMON.intruder.client_id]["publish"]
    }


def test_the_brokers_own_state_is_not_written_over(tmp_path: Path) -> None:
    files = render("mosquitto", plan(tmp_path))
    write(files, tmp_path / "out")
    state = tmp_path / "out" / "dynamic-security.json"
    state.write_text("{}")
    assert state not in write(files, tmp_path / "out")
    assert state.read_text() == "{}"


@pytest.mark.parametrize("name", ["a\nallow_anonymous true", 'a"b', "a${b}"])
def test_a_path_cannot_write_configuration(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError):
        render("mosquitto", plan(tmp_path, name))


def test_an_unknown_broker_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="nanomq"):
        render("nanomq", plan(tmp_path))


@pytest.mark.skipif(os.geteuid() != 0, reason=f"files are given away: {ONLY_ROOT}")
def test_the_files_and_copies_of_the_certificates_are_the_brokers_account_where_one_is_named(tmp_path: Path) -> None:
    account = pwd.getpwnam("nobody")
    paths = {name: tmp_path / name for name in ("ca.crt", "server.crt", "server.key")}
    for name, path in paths.items():
        path.write_text(name)
    named, copies = handed_over(replace(plan(tmp_path), user="nobody"))
    write(render("mosquitto", named) | copies, named.directory)
    give(named.directory, "nobody")
    conf = (named.directory / "mosquitto.conf").read_text()
    assert f"keyfile {named.directory / 'server.key'}" in conf
    for path in (named.directory, *named.directory.iterdir()):
        assert (path.stat().st_uid, path.stat().st_gid) == (account.pw_uid, account.pw_gid), path
    assert (named.directory / "server.key").stat().st_mode & 0o777 == 0o600
    assert paths["server.key"].stat().st_uid == 0
    with pytest.raises(InputError, match="no account"):
        handed_over(replace(plan(tmp_path), user="nobody-of-that-name"))


def test_without_an_account_the_broker_reads_the_files_of_the_data_directory(tmp_path: Path) -> None:
    ours = plan(tmp_path)
    assert handed_over(ours) == (ours, {})
