"""Puts the CA certificate of a data directory where people look for it: ``certs/ca.crt`` of the checkout."""

import shutil
import sys
from datetime import UTC, datetime
from pathlib import Path

from healthsync_mqtt.identity.certificates.files import ensure_ca_and_server


def main() -> None:
    """Arguments: the data directory, the file to write. A development CA is made when there is none."""
    data, target = Path(sys.argv[1]), Path(sys.argv[2])
    source = data / "certs" / "ca.crt"
    if not source.exists():
        ensure_ca_and_server(data / "certs", [], datetime.now(UTC))
    shutil.copyfile(source, target)


if __name__ == "__main__":
    main()
