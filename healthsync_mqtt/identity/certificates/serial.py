"""Serial numbers of certificates, as everything here writes them."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography import x509


def serial_text(certificate: "x509.Certificate") -> str:
    """The serial number: lower-case hexadecimal without leading zeros."""
    return f"{certificate.serial_number:x}"
