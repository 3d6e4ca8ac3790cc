"""One word for a provider, whichever a row has and whichever is asked for."""

import json

import pytest

from healthsync_mqtt.model.choice import Choice, Contents, one_word
from healthsync_mqtt.model.record import Record
from healthsync_mqtt.storage.memory import MemoryEventLog
from healthsync_mqtt.testing.log_items import item


def row(provider: str) -> Record:
    log, made = MemoryEventLog(), item("a")
    body = json.dumps({"value": {"bpm": 60}, "source": {"provider": provider}}).encode()
    log.stage([made._replace(event=made.event._replace(body=body))], [], 1)
    log.commit()
    (found,) = log.reader().read(0, 9)
    return found


@pytest.mark.parametrize("asked", ["googlefit", "google_fit"])
def test_rows_of_both_words_are_of_one_provider(asked: str) -> None:
    wanted = Choice(contents=Contents(provider=asked))
    assert row("googlefit") in wanted
    assert row("google_fit") in wanted
    assert row("healthkit") not in wanted


def test_other_words_stay_as_they_are() -> None:
    assert [one_word(each) for each in ("healthkit", None, 5)] == ["healthkit", None, 5]
