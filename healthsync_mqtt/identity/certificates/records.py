"""The records of TLS that come to our listeners: deciphered a few at a time, and counted.

asyncio and uvloop hand OpenSSL all that a socket had, and ask it for 256 KiB at each record. Where each carries a byte,
256 KiB of new memory take 12 times as long as deciphering it. And a record that carries nothing, as one for new keys,
takes as long as ten others, and OpenSSL reads any number of them without a word. So it is handed few records at a time
here: what they cost is known then, and who sends nothing else is cut off.
"""

import math
import ssl
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_HEAD: Final = 5
"""Bytes of a record before those that its last two count."""
_LONGEST: Final = 16_384 + 2_048
"""The most that they may count, in any version."""
_PLAIN: Final = 16_384
"""Bytes that a record carries at most: OpenSSL gives no more at once, however many are asked for."""
_CHUNK: Final = 65_536
"""Bytes that are looked through at once."""
_PORTION: Final = 32
"""Records that OpenSSL is handed at once."""
_SILENT: Final = 20
"""Units of work of a record that carries nothing, beside its own: new keys take 10 to 20 µs."""
_MOST_SILENT: Final = 64
"""Of these at most so many come in a row; clients send one in millions of others."""
_LAST: Final = 1_000
"""Units of work that are done still once a connection is over: to find the peer's goodbye in what it sent before."""

_read = ssl.SSLObject.read


class TlsRecords(ssl.SSLObject):
    """One connection's. ``work`` is what its records have cost, in units of about a microsecond.

    Where ``at_once`` is set, deciphering stops after so much of it as if no more had come, and ``stopped`` is true:
    who has set it sees to it that reading goes on.
    """

    at_once: float = math.inf
    stopped = False
    work = 0
    _until: float = math.inf
    _work_before = 0
    _rest = b""
    """What came in and is not handed on yet."""
    _fed = _given = _row = 0
    """Records that OpenSSL was handed and has not read to the end; how many of them carried something."""
    _more = _full = False

    def come_from(self, incoming: ssl.MemoryBIO, handed: ssl.MemoryBIO) -> None:
        """What came in, and where OpenSSL reads."""
        self._incoming, self._handed = incoming, handed

    def do_handshake(self) -> None:
        """As OpenSSL does; its bytes are bounded elsewhere."""
        self._handed.write(self._incoming.read())
        super().do_handshake()
        self._rest = self._handed.read()
        self._more = bool(self._rest)

    def read(self, size: int = 1024, buffer: "WriteableBuffer | None" = None) -> bytes:
        """What the next record carries, or its beginning; SSLWantReadError: not all of one is here, or it stops."""
        if self._full:
            self._full, self.stopped, self._work_before = False, True, self.work
            raise ssl.SSLWantReadError
        whole = size >= _PLAIN
        while True:
            if not self._fed and not self._feed():
                self._work_before = self.work
                raise ssl.SSLWantReadError
            try:
                found = _read(self, _PLAIN if whole else size, buffer)
            except ssl.SSLWantReadError:
                self._settle()
                continue
            if found and whole:
                self._given += 1
                if self._given == self._fed:
                    self._settle()
                    self._full = self.work - self._work_before >= self.at_once
            elif found:
                self._given = self._fed
            return found

    def pending(self) -> int:
        """Whether there is more to read: not how much."""
        if self._fed or self._more:
            return 1
        self._full, self._work_before = False, self.work
        return 0

    def unwrap(self) -> None:
        """Say goodbye; of what comes from now on little is read."""
        self.over()
        if not self._fed:
            self._feed()
        super().unwrap()

    def over(self) -> None:
        """The connection is at its end: what comes is deciphered for nobody, so little of it is."""
        self.at_once = math.inf
        self._full = False
        self._until = min(self._until, self.work + _LAST)

    def _feed(self) -> bool:
        """Hand OpenSSL the next records; False: not all of one is here."""
        if self.work >= self._until:
            raise ssl.SSLError("more records after the end")
        rest, end, count = self._rest, 0, 0
        while not count:
            there = len(rest)
            while count < _PORTION and (begins := end + _HEAD) <= there:
                size = rest[end + 3] << 8 | rest[end + 4]
                if begins + size > there:
                    if size > _LONGEST:  # no record: OpenSSL says so
                        end, count = there, count + 1
                    break
                end, count = begins + size, count + 1
            if not count:
                came = self._incoming.read(_CHUNK)
                if not came:
                    self._rest, self._more = rest, False
                    return False
                rest += came
        if end == there:
            self._handed.write(rest)
            self._rest = b""
        else:
            self._handed.write(memoryview(rest)[:end])
            self._rest = rest[end:]
        self._more = count == _PORTION
        self._fed = count
        self.work += count
        return True

    def _settle(self) -> None:
        """OpenSSL has read what it was handed."""
        self.work += _SILENT * max(0, self._fed - self._given)
        self._row = 0 if self._given else self._row + self._fed
        self._fed = self._given = 0
        if self._row > _MOST_SILENT:
            raise ssl.SSLError("too many records that carry nothing")


class ServerContext(ssl.SSLContext):
    """TLS of a listener whose connections are ``TlsRecords``."""

    sslobject_class = TlsRecords

    def __new__(cls) -> Self:
        return super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,  # noqa: FBT001, FBT002  # as in the class above
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """As the class above does; OpenSSL reads what ``TlsRecords`` hands it."""
        handed = ssl.MemoryBIO()
        made = super().wrap_bio(handed, outgoing, server_side, server_hostname, session)
        assert isinstance(made, TlsRecords)
        made.come_from(incoming, handed)
        return made
