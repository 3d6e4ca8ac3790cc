"""TLS of a client."""

import ssl
from pathlib import Path

from healthsync_mqtt.errors import ConfigError


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """A client context, TLS 1.2 or newer, that trusts ``ca_file`` alone, or the system's CAs without one.

    Raises ConfigError when the file is unreadable.
    """
    try:
        context = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"cannot read the CA file {ca_file}: {error.strerror or error}",
            hint="copy certs/ca.crt from the service's data directory",
        ) from None
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
