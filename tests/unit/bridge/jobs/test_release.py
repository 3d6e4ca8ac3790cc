"""Out of the quarantine: stored and taken out in one commit, or left where it is."""

import gzip
import json

import pytest

from bridge.decode.delivery import DEFAULT, Limits
from bridge.jobs.release import Release
from healthsync_mqtt.errors import NotFoundError
from healthsync_mqtt.formats.catalogue import FORMATS
from healthsync_mqtt.formats.fit_sample import sample_activity
from tests.support.consent import agreeing_to_all
from tests.unit.bridge.bench import Bench, delivery, event


async def test_what_is_good_by_now_is_stored_and_leaves() -> None:
    bench = Bench(limits=Limits(max_string=64))
    try:
        long = event("a", device={"model": "m" * 100})
        bench.pipeline.submit([delivery(bench.source(), 1, [long, event("b")])])
        await bench.settle()
        reader = bench.log.reader()
        assert [row.event_id for row in reader.rejected()] == ["a"]
        bench.pipeline.limits = DEFAULT
        release = Release(bench.pipeline, bench.chores, reader)
        commits = bench.log.commits
        assert await release.release(1) == {"number": 1, "outcome": "released"}
        await bench.settle()
        assert bench.log.commits == commits + 1
        assert bench.ids() == ["b", "a"]
        assert reader.rejected() == []
        assert bench.balanced()
    finally:
        bench.close()


async def test_what_is_still_bad_stays() -> None:
    bench = Bench()
    try:
        bench.pipeline.submit([delivery(bench.source(), 1, event("a", bpm=900))])
        await bench.settle()
        release = Release(bench.pipeline, bench.chores, bench.log.reader())
        found = await release.release(1)
        assert found == {"number": 1, "outcome": "rejected", "reason": "out_of_range", "field": "value.bpm"}
        assert "900" not in json.dumps(found)
        (row,) = bench.log.reader().rejected()
        assert json.loads(row.raw)["value"] == {"bpm": 900}
        with pytest.raises(NotFoundError):
            await release.release(2)
    finally:
        bench.close()


async def test_a_payload_of_another_format_is_read_in_it_again() -> None:
    """A file that unfolded to too much for the limits of its day, and fits today's."""
    bench = Bench(limits=Limits(max_payload=1_000, max_message=1_000), gate=agreeing_to_all("alice"))
    try:
        whole = gzip.compress(sample_activity(), mtime=0)
        bench.pipeline.submit([delivery(bench.source(), 1, whole)._replace(form="fit")])
        await bench.settle()
        reader = bench.log.reader()
        (row,) = reader.rejected()
        assert (row.raw, row.form) == (whole, "fit")
        bench.pipeline.limits = DEFAULT
        release = Release(bench.pipeline, bench.chores, reader)
        assert await release.release(row.no) == {"number": row.no, "outcome": "released"}
        await bench.settle()
        assert len(bench.ids()) == 241
        assert reader.rejected() == []
        assert bench.balanced()
    finally:
        bench.close()


async def test_a_format_that_was_taken_away_since_leaves_the_row_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench()
    try:
        bench.pipeline.submit([delivery(bench.source(), 1, b"no FIT file")._replace(form="fit")])
        await bench.settle()
        monkeypatch.setattr("bridge.jobs.release.FORMATS", {"json": FORMATS["json"]})
        release = Release(bench.pipeline, bench.chores, bench.log.reader())
        assert (await release.release(1))["outcome"] == "rejected"
        assert len(bench.log.reader().rejected()) == 1
    finally:
        bench.close()
