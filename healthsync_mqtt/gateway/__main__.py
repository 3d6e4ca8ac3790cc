"""The process of the gateway: ``python -m healthsync_mqtt.gateway --data DIR --broker 127.0.0.1:1883 --fd 3 …``.

It inherits sockets that listen already, so that a gateway which ends is followed by the next on the same port, and who
connects meanwhile waits. On stdout it writes JSON lines: ``{"listening": true}``, and each second ``{"status": {…}}``.
When stdin ends, the service is gone and so is this process, after the answers that are on their way.
"""

import argparse
import resource
import socket
import sys
from pathlib import Path
from typing import Final

from healthsync_mqtt.broker.embedded.limits.descriptors import raise_soft_limit
from healthsync_mqtt.config.settings import load_settings
from healthsync_mqtt.control.service_file import split_address
from healthsync_mqtt.errors import HealthSyncError
from healthsync_mqtt.gateway.process import run, serve
from healthsync_mqtt.mqtt.links.port import Address
from healthsync_mqtt.telemetry.log import configure, get_logger
from healthsync_mqtt.telemetry.parent import end_of_stdin, give_way, tell

log = get_logger("gateway")

_NICE: Final = 3


def main(arguments: list[str]) -> int:
    """Serve until stdin ends. The exit code is 0 after that, and an error's own otherwise."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--broker", help="the service's own; without it the external one of the settings")
    parser.add_argument("--fd", type=int, action="append", required=True)
    said = parser.parse_args(arguments)
    try:
        settings = load_settings(said.data)
        configure(settings.log.level, settings.log.format)
        give_way(_NICE)
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        raise_soft_limit(settings.gateway.connections)
        broker = None
        if said.broker:
            host, port = split_address(said.broker)
            broker = Address(host=host, port=port)
        sockets = [socket.socket(fileno=each) for each in said.fd]
        run(
            lambda: serve(
                settings,
                broker,
                sockets,
                begun=lambda: tell({"listening": True}),
                told=lambda status: tell({"status": status}),
                over=end_of_stdin,
            )
        )
    except HealthSyncError as error:
        log.error("gateway.stopped", error=error)  # noqa: TRY400  # no traceback
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
