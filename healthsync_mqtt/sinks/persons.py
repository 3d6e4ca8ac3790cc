"""Whom the files of a data directory's sinks name, and what of them a file that was put back has to be asked again."""

from collections.abc import Iterable
from contextlib import closing
from pathlib import Path
from typing import Final

from healthsync_mqtt.model.erasure import Errand
from healthsync_mqtt.sinks.config import Sinks
from healthsync_mqtt.sinks.ledger import ledger_database
from healthsync_mqtt.sinks.pseudonym import Pseudonyms

PLACE: Final = "sink:"
"""How the place of an errand to a sink begins; its name follows."""


def named_in(data: Path) -> set[str]:
    """Everybody who has a salt, or points that a sink remembers. No key is asked for. StoreError."""
    sinks = Sinks(data)
    named: set[str] = set()
    if sinks.pseudonyms.exists():
        with closing(Pseudonyms.open(sinks.pseudonyms)) as salts:
            named |= salts.names().salts.keys()
    for path in _ledgers(sinks):
        with closing(ledger_database(path)) as ledger:
            named |= {user for (user,) in ledger.rows("users")}
    return named


def ask_again(data: Path, errands: Iterable[Errand]) -> None:
    """Each sink that has an errand is asked, also where its file is of before it was. StoreError."""
    sinks = Sinks(data)
    ledgers = set(_ledgers(sinks))
    for errand in errands:
        path = sinks.ledger(errand.place.removeprefix(PLACE))
        if errand.place.startswith(PLACE) and path in ledgers:
            with closing(ledger_database(path)) as ledger:
                ledger.write("ask_erasure", [(errand.subject,)])


def _ledgers(sinks: Sinks) -> list[Path]:
    return [path for name in sinks.names() if (path := sinks.ledger(name)).exists()]
