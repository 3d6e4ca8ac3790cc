"""What ``healthsync doctor`` looks at."""

import errno
import shutil
import socket
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import apsw

from healthsync_mqtt.cli.doctor.databases import databases
from healthsync_mqtt.cli.doctor.finding import Finding, Grade
from healthsync_mqtt.cli.doctor.parts import parts
from healthsync_mqtt.cli.doctor.posture import posture, private_files
from healthsync_mqtt.cli.doctor.server import server
from healthsync_mqtt.cli.doctor.sinks import sinks
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.options import now_us
from healthsync_mqtt.config.paths import DataPaths
from healthsync_mqtt.config.private_files import check_private, make_private_directory
from healthsync_mqtt.config.sections import addresses
from healthsync_mqtt.config.settings import load_settings
from healthsync_mqtt.control.channel import call
from healthsync_mqtt.control.service_file import ServiceFile
from healthsync_mqtt.descriptions.service import live_clients
from healthsync_mqtt.errors import ConfigError, HealthSyncError, UnavailableError

_OLDEST_PYTHON = (3, 11)
_OLDEST_SQLITE = (3, 51, 3)
_BUILT_AFTER = datetime(2026, 1, 1, tzinfo=UTC)
_MIB = 1 << 20
_NAMED = 5


def examine(data: Path) -> Iterator[Finding]:
    """All checks of this machine and a data directory; nothing is changed, and no check stops the others."""
    place = DataDirectory(data)
    yield _python()
    yield _sqlite()
    yield _clock(place)
    yield from parts(data)
    yield from databases(data)
    yield from server(data)
    yield from _settings(place)
    yield from _files(place)
    yield from _certificates(place)
    yield from sinks(data)
    yield _disk(data)
    service = _service(data)
    yield service
    if service.grade is Grade.NOTE:
        yield from _ports(data)
    yield from _messages_refused(place)


def _python() -> Finding:
    numbers = tuple(sys.version_info[:3])
    version = ".".join(map(str, numbers))
    if numbers >= _OLDEST_PYTHON:
        return Finding(check="python", grade=Grade.GOOD, message=version)
    return Finding(check="python", grade=Grade.BAD, message=version, fix="install Python 3.11 or newer")


def _sqlite() -> Finding:
    version = apsw.sqlite_lib_version()
    if tuple(map(int, version.split("."))) >= _OLDEST_SQLITE:
        return Finding(check="sqlite", grade=Grade.GOOD, message=version)
    return Finding(check="sqlite", grade=Grade.BAD, message=version, fix="pip install --upgrade apsw")


def _clock(place: DataDirectory) -> Finding:
    now = datetime.now(UTC)
    fix = "set the clock (timedatectl set-ntp true)"
    if now < _BUILT_AFTER:
        return Finding(check="clock", grade=Grade.BAD, message=f"{now:%Y-%m-%d} is in the past", fix=fix)
    try:
        newest = max(
            path.stat().st_mtime for path in (DataPaths(root=place.path).events_db, place.registry_db) if path.exists()
        )
    except ValueError:
        newest = 0.0
    if newest > now.timestamp() + 600:
        return Finding(check="clock", grade=Grade.BAD, message="the data was written in the future", fix=fix)
    return Finding(check="clock", grade=Grade.GOOD, message=f"{now:%Y-%m-%dT%H:%M:%SZ}")


def _settings(place: DataDirectory) -> Iterator[Finding]:
    try:
        settings = load_settings(place.path)
    except HealthSyncError as error:
        yield Finding(check="settings", grade=Grade.BAD, message=str(error), fix=error.hint)
        return
    yield Finding(check="settings", grade=Grade.GOOD, message="valid")
    yield from posture(place, settings, now_us())


def _files(place: DataDirectory) -> Iterator[Finding]:
    if not place.path.exists():
        fix = "it is made by: healthsync up"
        yield Finding(check="files", grade=Grade.NOTE, message=f"{place.path} does not exist yet", fix=fix)
        return
    problems: list[ConfigError] = []
    try:
        make_private_directory(place.path)
    except ConfigError as error:
        problems.append(error)
    for path in private_files(place):
        try:
            check_private(path)
        except ConfigError as error:
            problems.append(error)
    for problem in problems:
        yield Finding(check="files", grade=Grade.BAD, message=str(problem), fix=problem.hint)
    if not problems:
        yield Finding(check="files", grade=Grade.GOOD, message="private")


def _certificates(place: DataDirectory) -> Iterator[Finding]:
    from cryptography import x509

    now = datetime.now(UTC)
    for name in ("ca.crt", "server.crt"):
        path = place.certs / name
        if not path.exists():
            if name == "ca.crt" and any(place.certs.glob("*.key")):
                fix = "put it back from a backup before the next start: clients trust this one"
                yield Finding(check=name, grade=Grade.BAD, message="is gone, and its keys are there", fix=fix)
            else:
                fix = "it is made by: healthsync up"
                yield Finding(check=name, grade=Grade.NOTE, message="not there yet", fix=fix)
            continue
        try:
            certificate = x509.load_pem_x509_certificate(path.read_bytes())
        except (ValueError, OSError):
            fix = "restore it from a backup, or move the certs directory away and start the service"
            yield Finding(check=name, grade=Grade.BAD, message="not a certificate", fix=fix)
            continue
        end = certificate.not_valid_after_utc
        left = end - now
        grade = Grade.BAD if left < timedelta(0) else Grade.NOTE if left < timedelta(days=14) else Grade.GOOD
        fix = "" if grade is Grade.GOOD else "healthsync cert renew server; its owner, if the CA is not ours"
        yield Finding(check=name, grade=grade, message=f"valid until {end:%Y-%m-%d}", fix=fix)


def _disk(data: Path) -> Finding:
    existing = next(path for path in (data.absolute(), *data.absolute().parents) if path.exists())
    usage = shutil.disk_usage(existing)
    free = f"{usage.free // _MIB:,} MiB free"
    if usage.free < 100 * _MIB:
        return Finding(check="disk", grade=Grade.BAD, message=free, fix="free some space: without it nothing is stored")
    if usage.free < 1024 * _MIB:
        return Finding(check="disk", grade=Grade.NOTE, message=free, fix="free some space soon")
    return Finding(check="disk", grade=Grade.GOOD, message=free)


def _service(data: Path) -> Finding:
    try:
        found = ServiceFile.read(data)
    except UnavailableError as error:
        return Finding(check="service", grade=Grade.NOTE, message=str(error), fix=error.hint)
    try:
        answer = call(data, "status", within_s=5)
    except HealthSyncError as error:
        return Finding(check="service", grade=Grade.BAD, message=str(error), fix=error.hint)
    if not answer.get("healthy", True):
        fix = "look at its log and at the disk"
        return Finding(check="service", grade=Grade.BAD, message="the service cannot store events", fix=fix)
    return Finding(check="service", grade=Grade.GOOD, message=f"process {found.pid} answers")


def _messages_refused(place: DataDirectory) -> Iterator[Finding]:
    """Who sends what goes nowhere: a program that knows only MQTT 3.1.1 is not told, and looks as if all were well."""
    try:
        live = live_clients(place.path)
    except HealthSyncError:
        return  # what the service lacks is said already
    found = {} if live is None else live.messages_refused
    if not found:
        return
    named = [f"{client_id} ({refused[-1]['reason']})" for client_id, refused in list(found.items())[-_NAMED:]]
    more = f" and {len(found) - len(named)} more" if len(found) > len(named) else ""
    yield Finding(
        check="messages",
        grade=Grade.NOTE,
        message=f"messages went nowhere lately, of {', '.join(named)}{more}",
        fix="see which, and what to do: healthsync device why USER DEVICE",
    )


def _ports(data: Path) -> Iterator[Finding]:
    try:
        broker = load_settings(data).broker
    except HealthSyncError:
        return
    listeners = (
        ("mqtt", broker.host, broker.mqtt_port),
        ("mqtts", broker.mqtts_host, broker.mqtts_port),
        ("wss", broker.wss_host, broker.wss_port),
    )
    for name, host, port in ((name, host, port) for name, hosts, port in listeners for host in addresses(hosts)):
        if not port:
            continue
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:  # as the listener does: IPv4 has a socket of its own
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            try:
                probe.bind((host, port))
            except OSError as error:
                what = "in use" if error.errno == errno.EADDRINUSE else error.strerror or "not available"
                fix = f"choose another: healthsync up --{name}-port N"
                yield Finding(check=f"port {port}", grade=Grade.BAD, message=what, fix=fix)
            else:
                yield Finding(check=f"port {port}", grade=Grade.GOOD, message="free")
