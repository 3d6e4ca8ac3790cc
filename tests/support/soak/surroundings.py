"""What changes around a service that works: its clock, and the files of its certificate."""

import asyncio
import shutil
import signal
import ssl
import time
from datetime import UTC, datetime

from cryptography.x509 import load_der_x509_certificate

from healthsync_mqtt.identity.certificates.files import renew_server
from tests.support.patience import PATIENCE_S
from tests.support.soak.run import Soak, SoakError

#: Seconds that a clock is put: NTP's, a wrong time zone, a wrong year. A device may be refused while it is that wrong.
JUMPS = (-2.0, 30.0, 3600.0, -7200.0, -200 * 86_400.0)
TAKEN_UP_WITHIN = PATIENCE_S
_STILL = 0.3


async def jump(soak: Soak, seconds: float, *, booting: bool) -> None:
    """Move the clock under load, or start with a wrong one; put right, everything goes on and nothing is lost."""
    if not soak.service.running:
        await soak.start()
    await soak.wait_progress()
    if booting:
        await asyncio.to_thread(soak.service.kill)
        soak.gone()
    soak.clock.shift(seconds)
    if booting:
        await soak.start()
    await asyncio.sleep(_STILL)
    soak.clock.shift(0)
    soak.count("clock jump")
    await soak.wait_progress(events=20)
    await soak.compare()


async def swap_certificates(soak: Soak) -> None:
    """A new certificate, then its key, file by file as copying tools do: between them the old pair goes on."""
    if not soak.service.running:
        await soak.start()
    await soak.wait_progress()
    have = soak.data / "certs"
    made = soak.data.with_name("certs-made")
    shutil.rmtree(made, ignore_errors=True)
    shutil.copytree(have, made)
    serial = renew_server(made, [], datetime.now(UTC)).serial_number
    before = await asyncio.to_thread(shown_serial, soak.service.mqtts)
    (made / "server.crt").replace(have / "server.crt")
    soak.service.send(signal.SIGHUP)
    await asyncio.sleep(_STILL)
    if await asyncio.to_thread(shown_serial, soak.service.mqtts) != before:
        soak.history.violations.append("a certificate without its key was taken up")
    (made / "server.key").replace(have / "server.key")
    soak.service.send(signal.SIGHUP)
    until = time.monotonic() + TAKEN_UP_WITHIN
    while await asyncio.to_thread(shown_serial, soak.service.mqtts) != serial:
        if time.monotonic() > until:
            raise SoakError("the new certificate is not taken up")
        await asyncio.sleep(0.05)
    soak.count("certificate swap")
    await soak.wait_progress()


def shown_serial(address: tuple[str, int]) -> int:
    """The serial number of what a listener shows now."""
    pem = ssl.get_server_certificate(address, timeout=10)
    return load_der_x509_certificate(ssl.PEM_cert_to_DER_cert(pem)).serial_number
