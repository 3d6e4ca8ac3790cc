"""Payload formats before the exact reader: the contract of each, and a delivery in one on its way to the log."""

import gzip
import json
from collections.abc import Mapping
from uuid import UUID, uuid5

import pytest

from healthsync_mqtt.formats.catalogue import FORMATS, OWN
from healthsync_mqtt.formats.fit_sample import sample_activity
from healthsync_mqtt.formats.port import (
    AppMessage,
    Fold,
    Format,
    Gone,
    Made,
    RefusedRecord,
    event_id,
    event_ids,
    folded,
)
from healthsync_mqtt.model.limits import Limits
from healthsync_mqtt.model.reasons import Reason, RefusedError
from healthsync_mqtt.testing.format_contract import FormatContract, decoded, message
from tests.support.consent import agreeing_to_all
from tests.unit.bridge.bench import Bench, delivery, event

BATCH = json.dumps([event("a"), event("b")]).encode()


class TestOwn(FormatContract):
    @pytest.fixture
    def form(self) -> Format:
        return OWN

    @pytest.fixture
    def samples(self) -> Mapping[bytes, int]:
        return {json.dumps(event("a")).encode(): 1, BATCH: 2}

    @pytest.fixture
    def zoned(self) -> bool:
        return False

    def test_a_batch_is_its_events(self, form: Format) -> None:
        batch = json.dumps({"batch": "b-1", "events": [event("a"), event("b")]}).encode()
        assert folded(form, message(batch)).events == [event("a"), event("b")]


class TestFit(FormatContract):
    @pytest.fixture
    def form(self) -> Format:
        return FORMATS["fit"]

    @pytest.fixture
    def samples(self) -> Mapping[bytes, int]:
        return {sample_activity(): 241}

    def test_the_ids_of_another_user_are_others(self, form: Format) -> None:
        sent = message(sample_activity())
        mine, theirs = (folded(form, sent._replace(user=user)).events for user in ("alice", "bob"))
        assert {each["id"] for each in mine}.isdisjoint(each["id"] for each in theirs)


class Pulses:
    """Lines of beats a minute, a test's format: a line that is none is refused, and it remembers how many it saw."""

    name = "pulses"
    summary = "beats a minute, one a line"
    roots = ()
    remembers: frozenset[str] = frozenset()

    def fold(self, state: bytes, message: AppMessage) -> Fold:
        if b"\0" in message.payload or not message.payload:
            raise RefusedError(Reason.MALFORMED, None, "no lines")
        for index, line in enumerate(message.payload.split(b"\n")):
            place = f"line[{index}]"
            if not line.isdigit():
                yield RefusedRecord(index, place, Reason.WRONG_TYPE, "not a number", line.decode("utf-8", "replace"))
                continue
            made = {"id": event_id(message.user, self.name, index), "type": "heart_rate", "value": {"bpm": int(line)}}
            yield Made(made | {"start_time": "2026-05-03T06:00:00Z"}, index, place)
        return str(index + 1).encode()


class TestPulses(FormatContract):
    @pytest.fixture
    def form(self, monkeypatch: pytest.MonkeyPatch) -> Format:
        form = Pulses()
        monkeypatch.setattr("healthsync_mqtt.testing.format_contract.FORMATS", {"pulses": form})
        return form

    @pytest.fixture
    def samples(self) -> Mapping[bytes, int]:
        return {b"60\n61": 2, b"\n".join(b"%d" % (60 + each % 40) for each in range(1_000)): 1_000}

    @pytest.fixture
    def refusals(self) -> Mapping[bytes, list[str]]:
        return {b"60\nx\n61\ny": ["line[1]", "line[3]"]}


def test_what_the_exact_reader_refuses_of_a_message_is_told_by_its_place_in_the_message() -> None:
    found = decoded(Pulses(), b"60\n9000\nx\n61")
    assert [each.index for each in found.events] == [0, 3]
    assert [(each.index, each.field, each.reason) for each in found.rejections] == [
        (1, "line[1]", Reason.OUT_OF_RANGE),
        (2, "line[2]", Reason.WRONG_TYPE),
    ]
    assert found.rejections[1].raw == b'"x"'
    assert (found.batch, found.total) == ("pulses", 4)


def test_what_is_refused_whole_in_another_form_may_hold_any_guarded_type() -> None:
    """What a foreign word means is not known, so the bytes stay only where everything was agreed to."""
    (whole,) = decoded(Pulses(), b"").rejections
    assert (whole.guarded, whole.form) == (None, "pulses")
    part, of_ours = decoded(Pulses(), b"x\n9000").rejections
    assert (part.guarded, part.form) == (frozenset(), "json")
    assert (of_ours.type, of_ours.form) == ("heart_rate", "json")


def test_an_event_that_cannot_be_told_apart_costs_none_of_the_others() -> None:
    class Deep(Pulses):
        def fold(self, state: bytes, message: AppMessage) -> Fold:
            yield from super().fold(state, message._replace(payload=b"60"))
            deep: object = 1
            for _ in range(40):
                deep = [deep]
            yield Made({"id": "d", "type": "heart_rate", "value": deep}, 1, "deep")
            return b""

    found = decoded(Deep(), b"any")
    assert [each.index for each in found.events] == [0]
    assert [(each.index, each.field, each.reason) for each in found.rejections] == [(1, "deep", Reason.TOO_DEEP)]


def test_what_is_gone_counts_as_much_as_what_is_made_and_the_same_once() -> None:
    """Each is a search of the log, on the loop."""

    class Goner(Pulses):
        def fold(self, state: bytes, message: AppMessage) -> Fold:
            yield from (Gone(f"{number % int(message.payload)}") for number in range(60))
            return state

    tight = Limits(max_made=50)
    few = decoded(Goner(), b"50", tight)
    assert few.rejections == []
    assert few.aftermath is not None
    assert len(few.aftermath.gone) == 50
    assert [each.reason for each in decoded(Goner(), b"51", tight).rejections] == [Reason.TOO_MANY]


def test_ids_hold_what_is_given_and_nothing_else() -> None:
    assert event_id("ann", "x", "weight", 17) == event_id("ann", "x", "weight", "17")
    assert len({event_id("ann", "x", *facts) for facts in (("a", "b"), ("ab",), ("a", "b", ""))}) == 3
    assert event_id("ann", "x", 1) != event_id("ben", "x", 1)


def test_a_format_is_read_after_unpacking() -> None:
    assert len(decoded(FORMATS["fit"], gzip.compress(sample_activity())).events) == 241


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
    assert (ids[0], ids[-1], len(ids)) == ("before", "after", 243)
    assert bench.balanced()
    bench.close()


async def test_a_bad_delivery_in_a_format_is_kept_as_it_came_where_everything_was_agreed_to() -> None:
    bench = Bench(gate=agreeing_to_all("alice"))
    bench.pipeline.submit([delivery(bench.source(), 1, b"no FIT file")._replace(form="fit")])
    await bench.settle()
    (row,) = bench.log.committed.quarantine.values()
    assert row.raw == b"no FIT file"
    bench.close()


async def test_without_consent_to_guarded_types_the_bytes_of_another_format_are_not_kept() -> None:
    bench = Bench()
    bench.pipeline.submit([delivery(bench.source(), 1, b"no FIT file")._replace(form="fit")])
    await bench.settle()
    (row,) = bench.log.committed.quarantine.values()
    assert (row.raw, row.reason, row.size) == (b"", "malformed", 11)
    bench.close()


def test_ids_that_begin_alike_are_the_same_ids() -> None:
    made = event_ids("ann", "x", "weight")
    assert made("a", "", "b", "c") == event_id("ann", "x", "weight", "a", "", "b", "c")
    assert event_id("ann", "x", "é") == str(uuid5(UUID("5b0b3a4e-3b60-5e0e-9d6a-6b6b1f7d2c11"), "ann\x1fx\x1fé"))
