"""Every howto, typed line by line: on a service or broker of its own, with only ports, places and names swapped."""

import asyncio
import json
import os
import re
import shlex
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
from cryptography import x509

from healthsync_mqtt.formats.catalogue import FORMATS
from tests.support import child, zygote
from tests.support.archives import own_lines
from tests.support.checkout import make_checkout
from tests.support.pages import FOLLOWED, ROOT, TYPED, Block, Swap, Typist, Walk, blocks, pages
from tests.support.patience import PATIENCE_S, wait_until
from tests.support.ports import free_port
from tests.support.public_authority import PublicAuthority
from tests.support.rabbitmq import SERVER, installed
from tests.support.service import Service, run_cli

NOT_RUN = {
    "docs/howto/adapters.md": 5,
    "docs/howto/backup.md": 2,
    "docs/howto/compose.md": 2,
    "docs/howto/emqx.md": 1,
    "docs/howto/gateway.md": 2,
    "docs/howto/kafka.md": 1,
    "docs/howto/mosquitto.md": 1,
    "docs/howto/nightscout.md": 1,
    "docs/howto/phone-certificates.md": 3,
    "docs/howto/postgresql.md": 1,
}
"""How many blocks of a page are not run; the page gives the reason of each."""
OTHER_LANGUAGES = {"json", "toml", "python", "sql", "text", "yaml", "js", "ts", "java", "go", "c", "rust", "conf"}
"""Not typed, but read as what they are by tests of their own."""


def programs(place: Path) -> Path:
    """``healthsync`` as installed, and a ``pip`` that only finds out whether what a line asks for is there."""
    place.mkdir()
    lines = {
        "healthsync": f'exec {shlex.join(zygote.typed())} "$@"',
        "pip": f'cd {ROOT} && exec {sys.executable} -m pip "$@" --dry-run --no-index --no-build-isolation -q',
    }
    for name, line in lines.items():
        (place / name).write_text(f"#!/bin/sh\n{line}\n")
        (place / name).chmod(0o755)
    return place


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that accounts of brokers can enter, beside pytest's own."""
    with tempfile.TemporaryDirectory(prefix="howto-") as made:
        Path(made).chmod(0o755)
        yield Path(made)


Begin = Callable[..., Typist]


@pytest.fixture
def begin(place: Path) -> Iterator[Begin]:
    """Makes the person at the keyboard; what they leave running ends with the test."""
    made: list[Typist] = []
    path = f"{programs(place / 'bin')}:{os.environ['PATH']}:/usr/sbin"

    def typist(
        swaps: Mapping[str, Swap] | None = None,
        stays: Mapping[str, Callable[[], bool]] | None = None,
        fails: frozenset[str] = frozenset(),
        **env: str,
    ) -> Typist:
        plain = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
        environment = plain | {"PATH": path, "HEALTHSYNC_DATA": str(place / "data")} | env
        made.append(Typist(cwd=place, env=environment, swaps=swaps or {}, stays=stays or {}, fails=fails))
        return made[-1]

    yield typist
    for one in made:
        one.close()


def test_every_block_is_typed_or_says_why_not() -> None:
    for page in pages():
        found = blocks(page)
        fences = (ROOT / page).read_text(encoding="utf-8").count("\n```")
        assert fences == 2 * len(found), f"{page}: a fence that is not read"
        assert {block.language for block in found} <= {*TYPED, *OTHER_LANGUAGES}, page
        reasons = [block.reason for block in found if block.reason]
        assert len(reasons) == NOT_RUN.get(page, 0), f"{page}: {reasons}"


def test_every_page_is_typed_by_a_test() -> None:
    """A page that is new needs a test: ``FOLLOWED`` names it."""
    others = [path.relative_to(ROOT).as_posix() for path in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"))]
    typed = {page for page in others if any(block.typed for block in blocks(page))}
    assert {*pages(), *typed, "docs/upgrade.md"} == set(FOLLOWED)
    for page, test in FOLLOWED.items():
        file, _, function = test.partition("::")
        text = (ROOT / file).read_text(encoding="utf-8")
        if function:
            assert f"def {function.partition('[')[0]}(" in text, page
        else:
            assert Path(page).name in text, f"{file} says nothing of {page}"


def settings_of(block: Block, data: Path) -> None:
    """Put a block of settings where the service reads it."""
    data.mkdir(exist_ok=True, mode=0o700)
    (data / "healthsync.toml").write_text(block.text)


def of_language(page: str, language: str) -> list[Block]:
    return [block for block in blocks(page) if block.language == language]


@pytest.mark.parametrize("page", [*pages(), "docs/operations.md", "docs/security.md"])
def test_settings_that_a_page_shows_are_taken(page: str, tmp_path: Path) -> None:
    for number, block in enumerate(of_language(page, "toml")):
        data = tmp_path / str(number)
        settings_of(block, data)
        run_cli(data, "config", "check")


@pytest.mark.parametrize("page", [page for page in pages() if page != "README.md"])
def test_json_that_a_page_shows_is_json(page: str) -> None:
    for block in of_language(page, "json"):
        json.loads(block.text)


@pytest.mark.real_server
def test_certificates(begin: Begin, place: Path) -> None:
    data = place / "data"
    run_cli(data, "user", "add", "alice", "--consent", "all")
    run_cli(data, "device", "add", "alice", "watch-1")
    run_cli(data, "cert", "init-ca")
    shutil.copy(data / "certs" / "ca.crt", place / "ca.crt")
    page = "docs/howto/certificates.md"
    typist = begin()
    walk = Walk(page, typist)
    walk.go(3)
    assert {path.suffix for path in (place / "for-the-broker").iterdir()} == {".crt", ".key"}
    settings_of(of_language(page, "toml")[0], data)
    with Service(data) as service:
        serials = {row["serial"] for row in service.cli("cert", "list") if row.get("client_id") == "alice-watch-1"}
        typist.swaps = {"-p 8883": f"-p {service.mqtts[1]}", "SERIAL": "".join(serials)}
        walk.go(2)
        assert [row["id"] for row in service.cli("events", "list", "--user", "alice")] == ["c-1"]
        again = next(block for block in blocks(page) if "mosquitto_pub" in block.text)
        typist.fails = frozenset({"mosquitto_pub"})
        typist.type(again)
    walk.done()


def test_consent(begin: Begin, place: Path) -> None:
    walk = Walk("docs/howto/consent.md", begin())
    with Service(place / "data"):
        walk.go(5)
    walk.done()


def test_enrolment(begin: Begin, place: Path) -> None:
    data = place / "data"
    run_cli(data, "user", "add", "alice", "--consent", "all")
    with Service(data) as service:
        shutil.copy(service.ca_file, place / "ca.crt")
        walk = Walk("docs/howto/enrolment.md", begin())
        (enrolled,) = walk.go(1)
        code = next(line.split()[1] for line in enrolled.out.splitlines() if line.startswith("code"))
        (program,) = of_language("docs/howto/enrolment.md", "python")
        text = program.text.replace("K7QF-3M2D-9XWP-HT4V", code).replace(
            '"health.example"', f'"localhost", {service.mqtts[1]}'
        )
        event = {"id": "e-1", "type": "weight", "start_time": "2026-11-23T06:00:00Z", "value": {"kg": 70.5}}
        lines = "\n".join(f"    {line}" for line in text.splitlines())
        (place / "enrol.py").write_text(
            f"import asyncio\nevent = {event!r}\nasync def main():\n{lines}\nasyncio.run(main())\n"
        )
        Path(place / "watch.json").unlink(missing_ok=True)
        typist = begin()
        typist.run(next(Block("", "sh", f"{sys.executable} enrol.py", None).commands()))
        assert [row["id"] for row in service.cli("events", "list", "--user", "alice")] == ["e-1"]
    walk.done()


def test_changes(begin: Begin, place: Path) -> None:
    data, page = place / "data", "docs/howto/changes.md"
    run_cli(data, "user", "add", "alice", "--consent", "all")
    event = place / "event.json"
    event.write_text('{"id": "w-1", "type": "weight", "start_time": "2026-11-23T06:00:00Z", "value": {"kg": 70.5}}')
    with Service(data) as service:
        service.cli("publish", str(event), "--user", "alice", "--device", "scale")
        walk = Walk(page, begin())
        walk.go(1)
        (program,) = of_language(page, "python")
        text = program.text.replace('"health.example", 8883', f'"localhost", {service.mqtts[1]}')
        text = text.replace('Path("ca.crt")', f"Path({str(service.ca_file)!r})")
        (place / "changes.py").write_text(text)
        done = child_run(place, "changes.py")
        assert "w-1 0 upsert" in done
        assert "w-1" not in child_run(place, "changes.py"), "the token was kept"
        walk.go(1)
        walk.done()


def child_run(place: Path, program: str) -> str:
    done = subprocess.run([sys.executable, program], cwd=place, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_adapters(begin: Begin, place: Path) -> None:
    walk = Walk("docs/howto/adapters.md", begin())
    walk.go(2)
    assert (place / "night.json").exists()
    walk.done()


def test_export(begin: Begin, place: Path) -> None:
    data = place / "data"
    run_cli(data, "user", "add", "alice", "--consent", "all")
    event = place / "event.json"
    event.write_text('{"id": "w-1", "type": "weight", "start_time": "2026-11-23T06:00:00Z", "value": {"kg": 70.5}}')
    with Service(data) as service:
        service.cli("publish", str(event), "--user", "alice", "--device", "scale")
    walk = Walk("docs/howto/export.md", begin())
    walk.go(1)
    with zipfile.ZipFile(place / "alice.zip") as archive:
        assert b"70.5" in archive.read("events.jsonl")
    walk.go(1)
    assert json.loads((place / "alice.jsonl").read_text())["value"] == {"kg": 70.5}
    walk.go(2)
    assert "70.5" in (place / "alice-csv" / "weight.csv").read_text()
    assert json.loads((place / "alice.fhir.json").read_text())["entry"][0]["resource"]["valueQuantity"]["value"] == 70.5
    assert json.loads((place / "weights.json").read_text())[0]["body"]["body_weight"] == {"value": 70.5, "unit": "kg"}
    walk.done()


def test_backup(begin: Begin, place: Path) -> None:
    data = place / "data"
    run_cli(data, "user", "add", "alice", "--consent", "all")
    event = {"id": "w-1", "type": "weight", "start_time": "2026-11-23T06:00:00Z", "value": {"kg": 70.5}}
    (place / "event.json").write_text(json.dumps(event))
    for name in ("backup", "safe"):
        (place / "mnt" / name).mkdir(parents=True)
    restored = place / "restored"
    typist = begin({"/mnt/": f"{place}/mnt/"}, {"healthsync up": (restored / "service.json").exists})
    walk = Walk("docs/howto/backup.md", typist)
    with Service(data) as service:
        service.cli("publish", str(place / "event.json"), "--user", "alice", "--device", "scale")
        walk.go(3)
        service.kill()
    shutil.rmtree(data)  # the disk is gone
    walk.go(2)
    (event,) = run_cli(restored, "events", "list", "--user", "alice")
    assert (event["id"], event["value"]) == ("w-1", {"kg": 70.5})
    walk.done()


def test_erasure(begin: Begin, place: Path) -> None:
    data = place / "data"
    run_cli(data, "user", "add", "alice", "--consent", "all")
    event = {"id": "w-1", "type": "weight", "start_time": "2026-11-23T06:00:00Z", "value": {"kg": 70.5}}
    (place / "event.json").write_text(json.dumps(event))
    with Service(data) as service:
        service.cli("publish", str(place / "event.json"), "--user", "alice", "--device", "scale")
        walk = Walk("docs/howto/erasure.md", begin())
        walk.go(1)
        files = [path for path in data.rglob("*") if path.is_file()]
        assert [path.name for path in files if b"alice" in path.read_bytes()] == []
        assert run_cli(data, "user", "list") == []
    walk.done()


def test_summaries(begin: Begin, place: Path) -> None:
    data = place / "data"
    run_cli(data, "user", "add", "alice", "--consent", "all")
    run_cli(data, "device", "add", "alice", "phone")
    event = {
        "id": "s-1", "type": "steps", "start_time": "2026-11-22T08:00:00Z", "end_time": "2026-11-22T09:00:00Z",
        "utc_offset": 3600, "value": {"steps": 9421},
    }  # fmt: skip
    (place / "event.json").write_text(json.dumps(event))
    page = "docs/howto/summaries.md"
    typist = begin()
    walk = Walk(page, typist)
    with Service(data) as service:
        service.cli("publish", str(place / "event.json"), "--user", "alice", "--device", "watch-1")
        wait_until(lambda: run_cli(data, "summary", "--user", "alice"), "the day is worked out")
        newest, _of_the_week = walk.go(1)
        assert "9421" in newest.out
        walk.go(1)
    walk.done()


def test_insights(begin: Begin, place: Path) -> None:
    """Nothing is found in one day, and the commands say so; what they show of a life has tests of its own."""
    data = place / "data"
    run_cli(data, "user", "add", "alice", "--consent", "all")
    event = {"id": "w-1", "type": "weight", "start_time": "2026-11-23T06:00:00Z", "value": {"kg": 70.5}}
    (place / "event.json").write_text(json.dumps(event))
    with Service(data) as service:
        service.cli("publish", str(place / "event.json"), "--user", "alice", "--device", "scale")
        wait_until(lambda: run_cli(data, "summary", "--user", "alice"), "the day is worked out")
        walk = Walk("docs/insights.md", begin())
        assert "baseline" in walk.go(1)[-1].out
        walk.go(1)
    walk.done()


def test_the_gateway(begin: Begin, place: Path) -> None:
    port, other = str(free_port()), str(free_port())
    ports = "--mqtt-port 0 --mqtts-port 0 --wss-port 0"
    swaps: dict[str, Swap] = {"8443": port, "8444": other, "up --http-port": f"up {ports} --http-port"}
    stops = "Ctrl-C stops."
    typist = begin(
        swaps,
        {
            "up --http-port": lambda: typist.said().count(stops) == 1,
            "gateway run": lambda: typist.said().count(stops) == 2,
        },
    )
    walk = Walk("docs/howto/gateway.md", typist)
    walk.go(11)
    stored = {row["id"] for row in run_cli(place / "data", "events", "list", "--user", "alice")}
    assert "r-1" in stored
    assert len(stored) == 2  # and the app's
    walk.done()


def test_keys(begin: Begin, place: Path) -> None:
    data = place / "data"
    run_cli(data, "user", "add", "alice", "--consent", "all")
    run_cli(data, "device", "add", "alice", "watch-1")

    def key(state: str) -> str:
        return next(row["kid"] for row in run_cli(data, "key", "list") if row["state"] == state)

    with Service(data) as service:
        # A minute may be over before the page is typed to its end; nobody takes back what signs.
        swaps: dict[str, Swap] = {" ID": lambda: " " + key("signing"), "--publish 60s": "--publish 1h"}
        typist = begin(swaps, fails=frozenset({"key retire ID\n"}))
        walk = Walk("docs/howto/keys.md", typist)
        walk.go(2)
        assert json.loads((place / "jwks.json").read_text())["keys"]
        walk.go(1)  # refused, as the page says: it signs
        run_cli(data, "key", "retire", key("next"))  # the page: a rotation that is still to come is taken back so
        stolen = key("signing")
        typist.swaps = swaps | {" ID": f" {stolen}"}
        walk.go(1)
        assert key("signing") != stolen
        walk.go(2)
        assert run_cli(data, "key", "status")[0]["provider"] == "file"
        assert service.running
    (data / "keys" / "outer.json").unlink()
    typist.swaps = swaps | {" --give-up-lost": " --give-up-lost --yes"}  # the page: it asks
    walk.go(1)
    with Service(data):
        pass
    walk.done()


@pytest.mark.real_server
def test_mosquitto(begin: Begin, place: Path) -> None:
    data = place / "data"
    run_cli(data, "user", "add", "alice", "--consent", "all")
    run_cli(data, "device", "add", "alice", "watch")
    port = str(free_port())
    page = "docs/howto/mosquitto.md"
    swaps: dict[str, Swap] = {
        "--out /etc/mosquitto/healthsync": f"--out {place}/mosquitto --port {port} --host 127.0.0.1",
        "/etc/mosquitto/healthsync": f"{place}/mosquitto",
    }
    if os.geteuid() != 0:
        swaps["--user mosquitto"] = ""
    typist = begin(
        swaps,
        {
            "mosquitto -c": lambda: listens(port),
            "provision mosquitto --watch": lambda: "alice-watch" in typist.said(),
            "bridge run": lambda: "ready" in typist.said(),
        },
        HEALTHSYNC_EXTERNAL__PORT=port,
    )
    walk = Walk(page, typist)
    settings = of_language(page, "toml")[0]
    text = settings.text.replace("mqtt.example.org", "localhost").replace("/var/lib/healthsync", str(data))
    settings_of(Block("", "toml", text, None), data)
    walk.go(1)
    walk.done()


def listens(port: str) -> bool:
    async def look() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", int(port))
        except OSError:
            return False
        writer.close()
        await writer.wait_closed()
        return True

    return asyncio.run(look())


@pytest.mark.real_server
def test_rabbitmq(begin: Begin, place: Path) -> None:
    if not installed():
        pytest.skip("rabbitmq-server is not installed: scripts/test installs it where it can")
    data, hooks, management, port = place / "data", str(free_port()), str(free_port()), str(free_port())
    run_cli(data, "user", "add", "alice", "--consent", "all")
    out = place / "rabbitmq"
    name = f"hs{free_port()}@localhost"
    root = os.geteuid() == 0
    # What Debian's own command does; it would also insist on Debian's places.
    server = f"runuser -u rabbitmq -- {SERVER}" if root else str(SERVER)
    for folder in ("home", "mnesia", "log"):
        (place / folder).mkdir()
        if root:
            shutil.chown(place / folder, "rabbitmq", "rabbitmq")
    environment = {
        "HOME": str(place / "home"),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "ERL_EPMD_PORT": str(free_port()),
        "RABBITMQ_DIST_PORT": str(free_port()),
        "RABBITMQ_NODENAME": name,
        "RABBITMQ_MNESIA_BASE": str(place / "mnesia"),
        "RABBITMQ_LOG_BASE": str(place / "log"),
        "RABBITMQ_PID_FILE": str(place / "log" / "rabbit.pid"),
        "HEALTHSYNC_EXTERNAL__HOST": "localhost",
        "HEALTHSYNC_EXTERNAL__PORT": port,
        "HEALTHSYNC_EXTERNAL__CA_FILE": str(data / "certs" / "ca.crt"),
    }
    typist = begin(
        {
            "--out /etc/rabbitmq/healthsync --user rabbitmq": f"--out {out} --port {port} --host 127.0.0.1"
            f" --hooks-url http://127.0.0.1:{hooks} {'--user rabbitmq' if root else ''}"
            f" && sed -i 's/156[7]2/{management}/' {out}/rabbitmq.conf",
            "/etc/rabbitmq/healthsync": str(out),
            "auth serve": f"auth serve --port {hooks}",
            "15672": management,
            "enabled_plugins rabbitmq-server": f"enabled_plugins {server}",
        },
        {
            "auth serve": lambda: listens(hooks),
            "rabbitmq-server": lambda: listens(port),
            "bridge run": lambda: "ready" in typist.said(),
        },
        **environment,
    )
    walk = Walk("docs/howto/rabbitmq.md", typist)
    # Its own port mapper, so that none stays behind as a daemon.
    with child.started([shutil.which("epmd") or "epmd"], env=typist.env):
        walk.go(1)
        typist.close()
    walk.done()


def test_emqx_as_far_as_it_goes_without_emqx(begin: Begin, place: Path) -> None:
    data, hooks = place / "data", str(free_port())
    run_cli(data, "user", "add", "alice", "--consent", "all")
    secret = data / "credentials" / "emqx-api-secret"
    typist = begin(
        {
            "/etc/emqx/healthsync": str(place / "emqx"),
            "auth serve": f"auth serve --port {hooks}",
            ":18083": f":{free_port()}",
        },
        {"auth serve": lambda: listens(hooks)},
    )
    secret.parent.mkdir(mode=0o700, parents=True)
    secret.write_text("a-secret")
    secret.chmod(0o600)
    walk = Walk("docs/howto/emqx.md", typist)
    walk.go(1)
    assert (place / "emqx" / "emqx.conf").is_file()
    walk.done()


@pytest.mark.real_server
def test_home_assistant(begin: Begin, place: Path) -> None:
    data = place / "data"
    run_cli(data, "user", "add", "alice", "--consent", "all")
    page = "docs/howto/home-assistant.md"
    typist = begin()
    walk = Walk(page, typist)
    walk.go(2)
    password = run_cli(data, "homeassistant", "login", "ha")[0]["password"]
    event = place / "event.json"
    event.write_text('{"id": "w-1", "type": "weight", "start_time": "2026-11-23T06:00:00Z", "value": {"kg": 70.5}}')
    with Service(data) as service:
        service.cli("publish", str(event), "--user", "alice", "--device", "scale")
        login = f"-h localhost -p {service.mqtts[1]} --cafile {service.ca_file} -u ha -i ha -P {password}"
        typist.swaps = {"…": f"{login} -C 1 -W 60"}
        (discovered,) = walk.go(1)
        topic, _, config = discovered.out.partition(" ")
        assert topic == "homeassistant/device/alice/weight/config"
        shown = of_language(page, "json")
        assert json.loads(config)["components"] == json.loads(shown[0].text)["components"]
        (latest,) = walk.go(1)
        assert json.loads(latest.out) == json.loads(shown[1].text)
        walk.go(1)
        assert service.cli("homeassistant", "list") == []
    walk.done()


def test_apps(begin: Begin, place: Path) -> None:
    data = place / "data"
    run_cli(data, "user", "add", "alice", "--consent", "all")
    walk = Walk("docs/howto/apps.md", begin())
    with Service(data) as service:
        (added,) = walk.go(1)
        assert "users/alice/devices/phone/formats/json" in added.out
        assert str(service.mqtts[1]) in added.out
        (changed,) = walk.go(1)  # another password, and the app's end, on two lines
        assert "removed phone of alice" in changed.err
        assert service.cli("app", "list") == []
    walk.done()


APP_PAGES = {
    "amazfit": "zepp",
    "iphone": "health-auto-export",
    "android": "health-connect",
    "dashboard": "life-dashboard",
    "sugar": "nightscout",
    "openscale": "openscale-sync",
    "scale": "scale-gateways",
    "sleep": "sleep-as-android",
    "gateway": "theengs",
}
"""What each app's page calls the login, and the page."""
_LOGIN = re.compile(r'LOGIN="(-h \S+ -p \d+ -u (\S+) -P PASSWORD)"')
_PRINTED = re.compile(r"^\s*password\s+(\S+)\s*$", re.MULTILINE)


@pytest.fixture(scope="module")
def clinic() -> Iterator[Service]:
    """One service for the pages of all apps, which are alice's."""
    with tempfile.TemporaryDirectory(prefix="howto-apps-") as made:
        data = Path(made) / "data"
        run_cli(data, "user", "add", "alice", "--consent", "all")
        with Service(data, "--http-port", "0") as service:
            yield service


@pytest.mark.real_server
@pytest.mark.parametrize("app", APP_PAGES)
def test_the_page_of_an_app(begin: Begin, clinic: Service, app: str) -> None:
    """The login that the page makes is enough for the message that the page sends as the app does."""
    file = f"docs/howto/{APP_PAGES[app]}.md"
    typist = begin(HEALTHSYNC_DATA=str(clinic.data))
    walk = Walk(file, typist)
    (added,) = walk.go(1)
    password = _PRINTED.search(added.out)
    assert password is not None, added.out
    (login,) = (found for block in blocks(file) if (found := _LOGIN.search(block.text)))
    assert login[2] == f"alice-{app}"
    here = f"-h localhost -p {clinic.mqtts[1]} --cafile {clinic.ca_file} -u {login[2]} -P {password[1]}"
    web = clinic.ready["http"].replace("127.0.0.1", "localhost")
    posted = {"https://health.example.org:8443": f"--cacert {clinic.ca_file} {web}"}
    typist.swaps = {login[1]: here, f"{login[2]}:PASSWORD": f"{login[2]}:{password[1]}", **posted}
    walk.go(2)
    (shown,) = clinic.cli("app", "show", "alice", app)
    assert (shown["last_stored_at"] is not None, shown["last_refusal"]) == (True, None)
    assert shown["last_seen_at"] is not None
    assert shown["last_seen_at"] >= shown["created_at"]
    assert f"`{shown['topics'][0]}`" in (ROOT / file).read_text()
    walk.done()


def test_every_app_that_sends_by_itself_has_a_page() -> None:
    """Formats that no page names are of files, of our own clients, or of providers that answer and do not send."""
    texts = "".join((ROOT / f"docs/howto/{page}.md").read_text() for page in APP_PAGES.values())
    assert {name for name in FORMATS if f"--format {name}" not in texts} == {
        "json", "fit", "open_mhealth", "fhir", "withings", "googlefit", "fitbit",
    }  # fmt: skip


@pytest.mark.real_server
def test_a_certificate_that_phones_accept(begin: Begin, place: Path) -> None:
    """As a public CA gives it, with a chain; a renewed one is taken up by the running service."""
    data, live = place / "data", place / "live"
    root = PublicAuthority()
    files = {"fullchain.pem": live, "privkey.pem": live}
    (place / "root.pem").write_bytes(root.certificate)
    run_cli(data, "user", "add", "alice", "--consent", "all")
    (app,) = run_cli(data, "app", "add", "alice", "phone", "--format", "json")
    kept = place / ".lego" / "certificates"
    for folder in (live, kept):
        folder.mkdir(parents=True)
    typist = begin({"/etc/letsencrypt/live/health.example.org": str(live)}, ROOT=str(place / "root.pem"))
    walk = Walk("docs/howto/phone-certificates.md", typist)
    walk.go(1)
    root.issue(*(folder / name for name, folder in files.items()))
    walk.go(1)
    assert not (data / "certs" / "ca.key").exists()
    with Service(data) as service:
        login = ["-h", "localhost", "-p", str(service.mqtts[1]), "-u", app["username"], "-P", app["password"]]
        message = '{"id": "p-1", "type": "weight", "start_time": "2026-11-23T06:00:00Z", "value": {"kg": 70.5}}'
        sent = ["mosquitto_pub", *login, "--cafile", str(place / "root.pem"), "-q", "1", "-t", app["topics"][0]]
        subprocess.run([*sent, "-m", message], check=True, timeout=PATIENCE_S)
        assert [each["id"] for each in service.cli("events", "list")] == ["p-1"]
        serial = root.issue(kept / "health.example.org.crt", kept / "health.example.org.key")
        walk.go(1)
        wait_until(lambda: shown_serial(service, place / "root.pem") == serial, "lego's certificate")
        serial = root.issue(place / "health.crt", place / "health.key")
        walk.go(1)
        wait_until(lambda: shown_serial(service, place / "root.pem") == serial, "Tailscale's certificate")
        (shown,) = walk.go(1)  # where the CA is that a phone is given
        assert str(data / "certs" / "ca.crt") in shown.out
    walk.done()


def shown_serial(service: Service, root: Path) -> int:
    """The serial number of the certificate that a client is shown who trusts the root alone."""
    context = ssl.create_default_context(cafile=str(root))
    with (
        socket.create_connection(service.mqtts, timeout=PATIENCE_S) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as tls,
    ):
        found = tls.getpeercert(binary_form=True)
    assert found is not None
    return x509.load_der_x509_certificate(found).serial_number


@pytest.mark.real_server
def test_the_tutorial(begin: Begin, place: Path) -> None:
    if shutil.which("victoria-metrics") is None:
        pytest.skip("victoria-metrics is not installed: scripts/test installs it where it can")
    make_checkout(place)
    mqtts, charts = str(free_port()), str(free_port())
    typist = begin(
        {
            "scripts/up": f"env -u HEALTHSYNC_DATA scripts/up --mqtt-port 0 --mqtts-port {mqtts} --wss-port 0",
            "127.0.0.1:8428": f"127.0.0.1:{charts} -memory.allowedPercent=10",
            "localhost:8428": f"127.0.0.1:{charts}",
        },
        {"scripts/up": lambda: "ready" in typist.said(), "victoria-metrics -": lambda: listens(charts)},
    )
    walk = Walk("docs/tutorial.md", typist)
    told = walk.go(sum(block.typed for block in blocks("docs/tutorial.md")))
    (drawn,) = (each.out.splitlines() for each in told if "query_range" in each.command.text)
    values = [int(line.split()[0]) for line in drawn]
    assert len(values) == 20
    assert all(line.count("#") == pytest.approx(value / 2, abs=1) for line, value in zip(drawn, values, strict=True))
    assert 70 < min(values) < max(values) < 120
    walk.done()


@pytest.mark.real_server
def test_import(begin: Begin, place: Path) -> None:
    own_lines(place / "events.jsonl", 20)
    run_cli(place / "data", "user", "add", "alice", "--consent", "all")
    walk = Walk("docs/howto/import.md", begin())
    with Service(place / "data") as service:
        walk.go(1)
        assert len(service.cli("events", "list", "--user", "alice")) == 20
    walk.done()


def test_shared_groups(begin: Begin, place: Path) -> None:
    data = place / "data"
    run_cli(data, "user", "add", "alice", "--consent", "all")
    page = "docs/howto/shared-groups.md"
    typist = begin()
    walk = Walk(page, typist)
    walk.go(1)
    token = run_cli(data, "subscriber", "token", "worker-1")[0]["token"]
    event = place / "event.json"
    event.write_text('{"id": "g-1", "type": "weight", "start_time": "2026-11-23T06:00:00Z", "value": {"kg": 70.5}}')
    with Service(data) as service:
        service.cli("publish", str(event), "--user", "alice", "--device", "scale")
        login = f"-h localhost -p {service.mqtts[1]} --cafile {service.ca_file} -i worker-1 -u worker-1 -P {token}"
        typist.swaps = {"canonical/+' …": f"canonical/+' {login} -E"}
        walk.go(1)
        typist.swaps = {"…": f"{login} -C 1 -W 60"}
        (past,) = walk.go(1)
        assert json.loads(past.out)["id"] == "g-1"
        walk.go(1)
    walk.done()
