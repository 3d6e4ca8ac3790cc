"""Logins of apps: a user name and a password without an end, under any client id.

A password is checked once (scrypt, in a thread of its own) and remembered as a keyed digest as long as it is the app's:
an app that connects for each message costs that once. ``prove`` checks those that wait, in turns of their addresses.
"""

import hmac
import secrets
import threading
from collections import OrderedDict
from functools import cached_property
from hashlib import blake2b
from typing import Final

from healthsync_mqtt.identity.login.directory import Directory
from healthsync_mqtt.identity.login.password_line import Claim, PasswordLine
from healthsync_mqtt.identity.login.passwords import hashed_password, new_password, normal_password, password_fits
from healthsync_mqtt.identity.login.proof import APP_PASSWORD, Answer, Denied, Login, Proof
from healthsync_mqtt.topics.grammar import is_id

_LOGIN_S: Final = 10 * 365 * 86_400.0
"""A login with a password ends when that is revoked."""
_MOST_KNOWN: Final = 10_000
"""Passwords that were found wrong, and as many right ones: nobody who guesses makes those forgotten that fit."""
_UNFIT: Final = "the password does not fit"

_Known = tuple[str, bytes]
"""A user name and the digest of a password."""


class AppLogin:
    """The link of the chain for passwords as ``passwords`` makes them."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._key = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._line = PasswordLine()
        #: claims that were found right and wrong, each with the app's secret then, "" of a name without an app
        self._right: OrderedDict[_Known, str] = OrderedDict()
        self._wrong: OrderedDict[_Known, str] = OrderedDict()

    @cached_property
    def _nobody(self) -> str:
        """What the password of a name without an app is compared with, so that it takes as long; made in the thread."""
        return hashed_password(new_password())

    def answer(self, proof: Proof, now: float) -> Answer:
        """For a password of ours and the user name of an app. A name that is none is refused after as long."""
        if proof.password is None or proof.username is None or (text := normal_password(proof.password)) is None:
            return None
        name = proof.username
        if not is_id(name):
            return Denied(_UNFIT)  # the name of nobody, whoever exists: not worth a look, nor a place to remember it
        known = name, blake2b(f"{name}/{text}".encode(), key=self._key).digest()
        with self._lock:
            right = known in self._right
            found = self._right.get(known, self._wrong.get(known))
            if found is None or not hmac.compare_digest(found, self._directory.secret(name)):
                if self._line.add(Claim(proof.address, *known), text):
                    return Denied("the password is being checked", unproved=True)
                return Denied("too many passwords are being checked", busy=True)
        principal = self._directory.principal(name)
        if not right or principal is None or not self._directory.secret(name):
            return Denied(_UNFIT)
        return Login(principal=principal, expires_at=now + _LOGIN_S, jti=APP_PASSWORD)

    def prove(self) -> bool:
        """Check of each address the password that waits longest; whether more wait. Blocks for some 40 ms each."""
        with self._lock:
            due = self._line.round()
        nobody = self._nobody if due else ""
        for claim, text in due:
            secret, known = self._directory.secret(claim.name), (claim.name, claim.digest)
            fits = password_fits(text, secret or nobody)
            with self._lock:
                self._line.checked(claim)
                self._right.pop(known, None)
                self._wrong.pop(known, None)
                kept = self._right if fits else self._wrong
                kept[known] = secret
                while len(kept) > _MOST_KNOWN:
                    kept.popitem(last=False)
        with self._lock:
            return bool(self._line)
