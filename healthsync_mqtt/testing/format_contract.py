"""What every payload format promises (``formats.port.Format``), as tests that any of them runs through.

Subclass ``FormatContract`` in a test module and give it a ``form`` fixture, the format, and a ``samples`` fixture: some
contents of it with the number of events in each.
"""

from collections.abc import Mapping
from contextlib import suppress
from random import Random

from bridge.decode.delivery import decode
from healthsync_mqtt.formats.catalogue import FORMATS
from healthsync_mqtt.formats.port import Format
from healthsync_mqtt.model.event import Decoded
from healthsync_mqtt.model.limits import Limits
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.reasons import Reason, RefusedError

_NOW_US = 1_795_430_000_000_000
_ROOMY = Limits(max_events=100_000, max_payload=16_777_216)


def decoded(form: Format, content: bytes, limits: Limits = _ROOMY) -> Decoded:
    """What the bridge makes of a delivery in this format from alice's device."""
    origin = Origin("alice", "watch", None, "users/alice/devices/watch/events")
    return decode(content, origin, _NOW_US, limits, form=form)


class FormatContract:
    """The tests."""

    def test_it_is_in_the_catalogue_under_its_name(self, form: Format) -> None:
        assert FORMATS[form.name] is form

    def test_every_event_of_a_sample_is_accepted(self, form: Format, samples: Mapping[bytes, int]) -> None:
        for content, number in samples.items():
            found = decoded(form, content)
            assert (found.rejections, len(found.events)) == ([], number)
            assert len({event.id for event in found.events}) == number

    def test_read_twice_it_is_the_same_for_the_same_user(self, form: Format, samples: Mapping[bytes, int]) -> None:
        for content in samples:
            assert form.read(content, "alice") == form.read(content, "alice")

    def test_what_is_damaged_is_refused_or_read_and_never_raises(
        self, form: Format, samples: Mapping[bytes, int]
    ) -> None:
        """Also by the format itself: RefusedError is all that it raises."""
        chance = Random(1)  # noqa: S311  # a test's
        for content in samples:
            cut = [content[: chance.randrange(len(content))] for _ in range(20)]
            for _ in range(20):
                at = chance.randrange(len(content))
                cut.append(content[:at] + bytes([content[at] ^ (1 << chance.randrange(8))]) + content[at + 1 :])
            for damaged in (b"", b"\0", *cut):
                with suppress(RefusedError):
                    form.read(damaged, "alice")
                found = decoded(form, damaged)
                assert found.total == len(found.events) + len(found.rejections) > 0

    def test_limits_hold_for_what_comes_out(self, form: Format, samples: Mapping[bytes, int]) -> None:
        for content, number in samples.items():
            found = decoded(form, content, Limits(max_events=number - 1))
            assert [each.reason for each in found.rejections] == [Reason.TOO_MANY]
            assert found.rejections[0].raw == content
