"""One question to a language model over HTTP: bounded in time and bytes, to the place of the settings and no other.

No redirect is followed and no proxy of the environment is used: what is asked goes where the admin said. Where that may
be is checked where the setting is read (``ModelSettings``).
"""

import http.client
import ssl
import time
from urllib.parse import urlsplit

from healthsync_mqtt.config.insight_sections import ModelSettings
from healthsync_mqtt.config.private_files import read_private
from healthsync_mqtt.errors import ConfigError, UnavailableError

_MOST_BYTES = 262_144
_PIECE = 16_384


def ask(model: ModelSettings, body: bytes) -> bytes:
    """The body of the answer. UnavailableError: it is not 200, late or too long; ConfigError: there is no key."""
    there = urlsplit(f"{model.url}/chat/completions")
    assert there.hostname
    until = time.monotonic() + model.answer_s
    headers = {"Content-Type": "application/json", "Accept": "application/json", "Connection": "close"}
    if model.key_file is not None:
        headers["Authorization"] = f"Bearer {_key(model)}"
    connection = (
        http.client.HTTPSConnection(there.hostname, there.port, timeout=model.answer_s, context=_tls())
        if there.scheme == "https"
        else http.client.HTTPConnection(there.hostname, there.port, timeout=model.answer_s)
    )
    try:
        connection.request("POST", there.path, body, headers)
        assert connection.sock is not None
        _hurry(connection, until)
        answer = connection.getresponse()
        if answer.status != 200:
            raise UnavailableError(f"the model's server answered {answer.status}", hint="see insights.model.*")
        found = bytearray()
        while piece := answer.read1(_PIECE):
            found += piece
            if len(found) > _MOST_BYTES:
                raise UnavailableError(f"its answer is longer than {_MOST_BYTES} bytes", hint="ask another model")
            _hurry(connection, until)
        return bytes(found)
    except TimeoutError as error:
        raise UnavailableError(f"no answer in {model.answer_s:g} s", hint="insights.model.answer_s") from error
    except (OSError, http.client.HTTPException) as error:
        raise UnavailableError(f"the model's server: {type(error).__name__}", hint="see insights.model.url") from error
    finally:
        connection.close()


def _hurry(connection: http.client.HTTPConnection, until: float) -> None:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError
    if connection.sock is not None:  # after the last piece it is closed
        connection.sock.settimeout(left)


def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()


def _key(model: ModelSettings) -> str:
    assert model.key_file is not None
    key = read_private(model.key_file).decode("ascii", "replace").strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigError(f"{model.key_file} holds no key", hint="one line of letters and digits")
    return key
