"""Puts the CA certificate of a data directory where people look for it: ``certs/ca.crt`` of the checkout."""

import sys
from datetime import UTC, datetime
from pathlib import Path

from healthsync_mqtt.identity.certificates.files import ensure_ca_and_server


def main() -> None:
    """Arguments: the data directory, the file to write, the data directory that the file is for.

    A development CA is made when there is none. Another data directory's CA replaces none that is there: the clients
    of the first service read it.
    """
    data, target, first = Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3])
    source = data / "certs" / "ca.crt"
    if not source.exists():
        ensure_ca_and_server(data / "certs", [], datetime.now(UTC))
    ours = source.read_bytes()
    if data.resolve() == first.resolve() or not target.exists():
        target.write_bytes(ours)
    elif target.read_bytes() != ours:
        sys.stderr.write(f"{target} stays as it is; clients of this service need --cafile {source}\n")


if __name__ == "__main__":
    main()
