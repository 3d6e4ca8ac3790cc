"""SIGHUP on a running process: settings and certificates are read again, and whatever they say, it goes on."""

import json
import signal
import ssl
import threading
from datetime import UTC, datetime
from pathlib import Path

from healthsync_mqtt.identity.certificates.files import load_certificate, renew_server
from tests.support.patience import wait_until
from tests.support.service import Service, run_cli


def test_settings_and_certificates_are_read_again_and_bad_ones_change_nothing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with Service(data) as service:

        def said(event: str) -> list[dict]:
            lines = service.log_path.read_text().splitlines()
            return [found for line in lines if (found := json.loads(line))["event"] == event]

        (data / "healthsync.toml").write_text("[limits]\nno_such_setting = 1\n")
        service.send(signal.SIGHUP)
        wait_until(lambda: len(said("bridge.reload_failed")) == 1)
        made = renew_server(data / "certs", [], datetime.now(UTC))
        (data / "healthsync.toml").write_text('[log]\nlevel = "debug"\n[limits]\nmax_packet = 65536\n')
        service.send(signal.SIGHUP)
        wait_until(lambda: len(said("bridge.reloaded")) == 1)
        assert said("bridge.reloaded")[0]["changed"] == ["log.level"]
        assert said("bridge.needs_restart")[0]["changed"] == ["limits.max_packet"]

        def shown() -> int:
            pem = ssl.get_server_certificate(service.mqtts)
            found = ssl.PEM_cert_to_DER_cert(pem)
            from cryptography.x509 import load_der_x509_certificate

            return load_der_x509_certificate(found).serial_number

        wait_until(lambda: shown() == made.serial_number)
        assert load_certificate(data / "certs" / "server.crt").serial_number == made.serial_number
        (status,) = run_cli(data, "status")
        assert status["running"]


def test_a_signal_while_it_starts_is_heard_when_it_is_there(tmp_path: Path) -> None:
    """Sent from its first file on, again and again until it is ready."""
    data = tmp_path / "data"
    service = Service(data)
    sent = threading.Event()

    def hang_up() -> None:
        while not sent.is_set():
            if service.process is not None and (data / "registry.db").exists():
                service.send(signal.SIGHUP)

    thread = threading.Thread(target=hang_up)
    thread.start()
    try:
        service.start()
    finally:
        sent.set()
        thread.join()
    with service:
        wait_until(lambda: "bridge.reloaded" in service.log_path.read_text())
        (status,) = run_cli(data, "status")
        assert status["running"]
