"""What a provider sends of itself, as values: a delivery, how it is answered, and what it says has happened.

A provider's module says three things, each pure: whether a delivery is the provider's, what it is about, and, as a
generator of requests, how the provider is told where to send. Nobody here does I/O.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final, NamedTuple
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

import jiter
import msgspec

from healthsync_mqtt.adapters.web import CloudAnswer, CloudRequest
from healthsync_mqtt.cloud_links.inbox import HookSecrets

_DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudDelivery:
    """One request of somebody who says to be the provider. ``word`` is what follows the provider in its path."""

    method: str
    query: Mapping[str, str] = field(default_factory=dict)
    #: names in small letters
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    word: str = ""
    received_us: int = 0


class HookOwner(NamedTuple):
    """Who we are to the provider: the app's id and secret, and what its webhooks are known by.

    ``signed``: what it is documented to sign is taken signed only.
    """

    client_id: str
    client_secret: str
    known: HookSecrets
    signed: bool = True


class NoticeAnswer(NamedTuple):
    """How a delivery is answered. ``kept``: it goes into the inbox first. ``look``: its key may be a new one."""

    status: int
    body: Mapping[str, str] | None = None
    kept: bool = False
    look: bool = False


TAKEN: Final = NoticeAnswer(200, kept=True)
IGNORED: Final = NoticeAnswer(200)
FORGED: Final = NoticeAnswer(401)
FORBIDDEN: Final = NoticeAnswer(403)
"""A handshake by who does not know our word."""
NOTHING_HERE: Final = NoticeAnswer(404)
"""Also for a secret address that is not ours."""


class RecordQuestion(NamedTuple):
    """What is asked about one thing. ``names``: records that are gone where the provider has no such thing.

    ``then`` are further questions that its answer leads to. ``mark`` is another when what it is about has changed.
    ``once``: the answer is a file of at most ``most`` bytes, and is given once; this is the name of what it is about.
    What ``is_file`` says no to is no such file.
    """

    kind: str
    path: str
    query: Mapping[str, str] = {}
    names: tuple[str, ...] = ()
    then: Callable[[Any], "tuple[RecordQuestion, ...]"] | None = None
    mark: str = ""
    once: str = ""
    most: int = 0
    is_file: Callable[[bytes], bool] = bool


class WindowQuestion(NamedTuple):
    """A window of one kind, in seconds since 1970.

    ``gone``: known events of these types that begin in ``gone_in``, which is narrower, and do not come are gone.
    """

    kind: str
    start: int
    end: int
    gone: tuple[str, ...] = ()
    gone_in: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What a delivery says of one account.

    ``ask`` is asked, in this order; records of the names in ``gone`` are taken back; ``body`` is an answer that the
    provider has sent without a question, of the kind ``pushed``. ``check``: the user may have taken our access away.
    """

    account: str
    ask: tuple[RecordQuestion | WindowQuestion, ...] = ()
    gone: tuple[str, ...] = ()
    pushed: str = ""
    body: bytes = field(default=b"", repr=False)
    check: bool = False


class HookPlace(NamedTuple):
    """Where a provider is to send, and as whom it is asked for that. ``access`` is a user's token where it asks each.

    ``url`` is nothing where nobody outside reaches us. ``app`` asks for a token of who acts for the app's project; None
    where the settings name nobody.
    """

    url: str
    base_url: str
    owner: HookOwner
    now_us: int
    keys_url: str = ""
    access: str = ""
    app: Callable[[str], CloudRequest] | None = None


class CloudSubscribed(NamedTuple):
    """What came of telling a provider. ``hint``: what a person has to do; empty: it tells us.

    ``more``: what is known now has to be kept before the rest is asked for, in a telling of its own.
    """

    hint: str = ""
    known: HookSecrets | None = None
    more: bool = False


Telling = Generator[CloudRequest, CloudAnswer, CloudSubscribed]
"""Requests to the provider, one after the other, each of which gets its answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CloudNotices:
    """How a provider tells us of news.

    ``receive`` says how a delivery is answered, ``read`` what one that was kept is about: it never raises, whatever
    JSON it is. ``most`` are the bytes that a delivery may have. ``secret_path``: nothing is signed, so that the address
    is a secret. ``subscribe`` asks the provider to send, for the whole app; ``subscribe_user`` for one user. Where both
    are nothing the address is said at the provider by hand; ``by_app``: also where nobody acts for the app's project.
    ``unsubscribe`` asks it to send no more, when nobody is linked any more.
    """

    receive: Callable[[CloudDelivery, HookOwner], NoticeAnswer]
    read: Callable[[bytes, int], list[Notice]]
    most: int = 65_536
    secret_path: bool = False
    subscribe: Callable[[HookPlace], Telling] | None = None
    subscribe_user: Callable[[HookPlace], Telling] | None = None
    unsubscribe: Callable[[HookPlace], Telling] | None = None
    by_app: bool = False
    #: where its public keys are
    keys_url: str = ""


def json_of(body: bytes) -> Any:
    """The JSON of a delivery; None where it is none."""
    try:
        return jiter.from_json(body, allow_inf_nan=False)
    except ValueError:
        return None


def form_of(body: bytes) -> dict[str, str]:
    """The form of a delivery; what is none has no fields."""
    try:
        return dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=64))
    except (UnicodeDecodeError, ValueError):
        return {}


def account_in(document: Any, key: str) -> str:
    """The user's id at the provider, a number or a text; "" where there is none."""
    found = document.get(key) if isinstance(document, dict) else None
    return str(found) if type(found) in {int, str} else ""


def word_in(document: Any, key: str) -> str:
    """A text under a key; "" where there is none."""
    found = document.get(key) if isinstance(document, dict) else None
    return found if isinstance(found, str) else ""


def address_of(document: Any, key: str) -> SplitResult | None:
    """The address under a key; None where there is none that can be read."""
    try:
        there = urlsplit(word_in(document, key))
    except ValueError:
        return None
    return there if there.hostname else None


def mark_of(document: Any) -> str:
    """What is another when the document is."""
    return blake2b(msgspec.json.encode(document), digest_size=16).hexdigest()


def lately(kind: str, received_us: int, days: int = 7) -> WindowQuestion:
    """The last days of a kind, for a notice that does not say which of them."""
    now = received_us // 1_000_000
    return WindowQuestion(kind, now - days * _DAY_S, now)


def json_request(method: str, url: str, headers: Mapping[str, str], document: Any) -> CloudRequest:
    """A request with a JSON body."""
    kind = {"Content-Type": "application/json", "Accept": "application/json"}
    return CloudRequest(method=method, url=url, headers={**headers, **kind}, body=msgspec.json.encode(document))


def form_request(method: str, url: str, headers: Mapping[str, str], form: Mapping[str, str]) -> CloudRequest:
    """A request with a form."""
    kind = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
    return CloudRequest(method=method, url=url, headers={**headers, **kind}, body=urlencode(form).encode())
