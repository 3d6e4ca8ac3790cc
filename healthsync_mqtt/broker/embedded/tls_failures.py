"""What a client did when its TLS handshake fails, as far as OpenSSL's word for it tells. Pure."""

import ssl
from enum import StrEnum
from typing import Final


class TlsFailure(StrEnum):
    """Why there was no TLS connection; the words of the log, of ``status`` and of the metric."""

    #: MQTT, or anything else that is not TLS, came to a TLS port
    plain_mqtt = "plain_mqtt"
    #: HTTP without TLS came to a TLS port
    plain_http = "plain_http"
    #: the client said that it does not know the CA of our certificate
    wrong_ca = "wrong_ca"
    #: the client did not take our certificate: another name than it asked for, or ended
    certificate_refused = "certificate_refused"
    #: we did not get a client's certificate that our CA has signed, and ask for one
    client_certificate = "client_certificate"
    #: the client speaks only older TLS, or other ciphers, than we do
    old_tls = "old_tls"
    timeout = "timeout"
    #: the client went away during the handshake and said nothing
    hung_up = "hung_up"
    other = "other"


_BY_WORD: Final = (
    ("WRONG_VERSION_NUMBER", TlsFailure.plain_mqtt),
    ("PACKET_LENGTH_TOO_LONG", TlsFailure.plain_mqtt),
    ("RECORD_LAYER_FAILURE", TlsFailure.plain_mqtt),
    ("HTTP_REQUEST", TlsFailure.plain_http),
    ("HTTPS_PROXY_REQUEST", TlsFailure.plain_http),
    ("ALERT_UNKNOWN_CA", TlsFailure.wrong_ca),
    ("ALERT_BAD_CERTIFICATE", TlsFailure.certificate_refused),
    ("ALERT_CERTIFICATE_", TlsFailure.certificate_refused),
    ("ALERT_UNSUPPORTED_CERTIFICATE", TlsFailure.certificate_refused),
    ("PEER_DID_NOT_RETURN_A_CERTIFICATE", TlsFailure.client_certificate),
    ("CERTIFICATE_VERIFY_FAILED", TlsFailure.client_certificate),
    ("UNSUPPORTED_PROTOCOL", TlsFailure.old_tls),
    ("NO_SHARED_CIPHER", TlsFailure.old_tls),
    ("VERSION_TOO_LOW", TlsFailure.old_tls),
    ("ALERT_PROTOCOL_VERSION", TlsFailure.old_tls),
    ("ALERT_HANDSHAKE_FAILURE", TlsFailure.old_tls),
    ("UNEXPECTED_EOF", TlsFailure.hung_up),
)
"""What OpenSSL's reason holds, the first that fits."""


def tls_failure(error: Exception) -> TlsFailure:
    """The kind of a handshake's failure. Of a timeout asyncio says ConnectionAbortedError, uvloop too."""
    if isinstance(error, ssl.SSLError):
        reason = error.reason or ""
        return next((kind for word, kind in _BY_WORD if word in reason), TlsFailure.other)
    if isinstance(error, TimeoutError | ConnectionAbortedError):
        return TlsFailure.timeout
    return TlsFailure.hung_up if isinstance(error, OSError | EOFError) else TlsFailure.other
