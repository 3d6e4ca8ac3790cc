"""Payload formats before the exact reader: the contract of each, and a delivery in one on its way to the log."""

import gzip
import json
from collections.abc import Mapping

import pytest

from healthsync_mqtt.formats.catalogue import FORMATS, OWN
from healthsync_mqtt.formats.fit_sample import sample_activity
from healthsync_mqtt.formats.port import Format
from healthsync_mqtt.model.reasons import Reason
from healthsync_mqtt.testing.format_contract import FormatContract, decoded
from tests.unit.bridge.bench import Bench, delivery, event

BATCH = json.dumps([event("a"), event("b")]).encode()


class TestOwn(FormatContract):
    @pytest.fixture
    def form(self) -> Format:
        return OWN

    @pytest.fixture
    def samples(self) -> Mapping[bytes, int]:
        return {json.dumps(event("a")).encode(): 1, BATCH: 2}

    def test_nothing_is_copied(self, form: Format) -> None:
        assert form.read(BATCH, "alice") is BATCH


class TestFit(FormatContract):
    @pytest.fixture
    def form(self) -> Format:
        pytest.importorskip("fitdecode")
        return FORMATS["fit"]

    @pytest.fixture
    def samples(self) -> Mapping[bytes, int]:
        return {sample_activity(): 240}

    def test_the_ids_of_another_user_are_others(self, form: Format) -> None:
        mine, theirs = (json.loads(form.read(sample_activity(), user)) for user in ("alice", "bob"))
        assert {each["id"] for each in mine}.isdisjoint(each["id"] for each in theirs)


def test_a_format_is_read_after_unpacking() -> None:
    assert len(decoded(FORMATS["fit"], gzip.compress(sample_activity())).events) == 240


def test_another_form_than_the_deliverys_is_refused_with_words() -> None:
    (rejection,) = decoded(FORMATS["fit"], BATCH).rejections
    assert rejection.reason is Reason.MALFORMED
    assert "FIT" in rejection.message
    assert rejection.raw == BATCH
    assert rejection.form == "fit"


async def test_a_delivery_in_a_format_is_stored_as_its_events_and_acknowledged_in_its_turn() -> None:
    bench = Bench()
    source = bench.source()
    bench.pipeline.submit(
        [
            delivery(source, 1, event("before")),
            delivery(source, 2, sample_activity())._replace(form="fit"),
            delivery(source, 3, event("after")),
        ]
    )
    await bench.settle()
    ids = bench.ids()
    assert (ids[0], ids[-1], len(ids)) == ("before", "after", 242)
    assert bench.balanced()
    bench.close()


async def test_a_bad_delivery_in_a_format_is_kept_as_it_came() -> None:
    bench = Bench()
    bench.pipeline.submit([delivery(bench.source(), 1, b"no FIT file")._replace(form="fit")])
    await bench.settle()
    (row,) = bench.log.committed.quarantine.values()
    assert row.raw == b"no FIT file"
    bench.close()
