"""What every source of deliveries promises (``model.delivery.Source``), as tests that any of them runs through.

Subclass ``SourceContract`` in a test module and give it a ``site`` fixture: the source, its sender, and the pipeline
that it hands deliveries to. Messages have numbers, and their number as payload.
"""

from collections.abc import Sequence
from typing import Protocol

from healthsync_mqtt.model.delivery import Delivery, DeliveryVerdict, Source

_MANY = 40


class SourceSite(Protocol):
    """A source between a sender and a pipeline."""

    #: the pipeline says that it takes no more before ``resume``, whenever it is handed something
    full: bool

    @property
    def source(self) -> Source:
        """What is tried."""

    @property
    def taken(self) -> Sequence[Delivery]:
        """What it has handed to the pipeline, in that order."""

    @property
    def answered(self) -> Sequence[int]:
        """The numbers of the messages that the sender knows to be durable, in the order in which it was told."""

    def send(self, *numbers: int) -> None:
        """These messages come in, each to be acknowledged."""

    def leave(self) -> None:
        """The sender is gone, unheard."""

    async def settle(self) -> None:
        """Until the source has handed on what it may, and the sender has heard what was said."""


class SourceContract:
    """The tests."""

    async def test_a_delivery_is_what_came_and_knows_its_source(self, site: SourceSite) -> None:
        """In the order in which it came, each message once."""
        site.send(*range(1, _MANY))
        site.send(_MANY)
        await site.settle()
        assert _numbers(site.taken) == list(range(1, _MANY + 1))
        assert {each.source for each in site.taken} == {site.source}

    async def test_nothing_is_answered_before_it_is_durable(self, site: SourceSite) -> None:
        site.send(1, 2, 3)
        await site.settle()
        assert list(site.answered) == []
        _acknowledge(site, site.taken[:2])
        await site.settle()
        assert list(site.answered) == [1, 2]

    async def test_each_is_answered_once_and_in_its_order(self, site: SourceSite) -> None:
        """However many are durable at once, and whatever else comes meanwhile."""
        done, sent = 0, 0
        for many in (1, 3, 0, 7, 2, 1):
            site.send(*range(sent + 1, sent + 6))
            sent += 5
            await site.settle()
            _acknowledge(site, site.taken[done : done + many])
            done += many
            await site.settle()
            assert list(site.answered) == list(range(1, done + 1))
        _acknowledge(site, site.taken[done:])
        await site.settle()
        assert list(site.answered) == list(range(1, sent + 1))

    async def test_all_of_a_source_ask_for_verdicts_or_none(self, site: SourceSite) -> None:
        site.send(1, 2)
        await site.settle()
        _acknowledge(site, site.taken)
        site.send(3)
        await site.settle()
        assert len({each.told for each in site.taken}) == 1

    async def test_who_is_to_wait_hands_on_nothing_before_it_may_and_then_everything(self, site: SourceSite) -> None:
        site.full = True
        site.send(1)
        await site.settle()
        site.send(2)
        site.send(3)
        await site.settle()
        assert _numbers(site.taken) == [1]
        site.full = False
        site.source.resume()
        await site.settle()
        site.send(4)
        await site.settle()
        assert _numbers(site.taken) == [1, 2, 3, 4]

    async def test_who_waits_is_answered_all_the_same(self, site: SourceSite) -> None:
        """The pipeline gets room by what it commits."""
        site.full = True
        site.send(1)
        await site.settle()
        site.send(2)
        await site.settle()
        _acknowledge(site, site.taken[:1])
        await site.settle()
        assert list(site.answered) == [1]

    async def test_to_go_on_without_having_waited_changes_nothing(self, site: SourceSite) -> None:
        site.source.resume()
        site.send(1, 2)
        await site.settle()
        site.source.resume()
        site.source.resume()
        site.send(3)
        await site.settle()
        assert _numbers(site.taken) == [1, 2, 3]

    async def test_what_was_dear_to_decide_is_not_lost(self, site: SourceSite) -> None:
        """Its sender may be read later for it, and is."""
        site.send(1)
        await site.settle()
        site.source.charge(0)
        site.source.charge(10_000)
        site.send(2)
        await site.settle()
        _acknowledge(site, site.taken)
        await site.settle()
        assert list(site.answered) == [1, 2]

    async def test_whoever_is_gone_is_told_nothing_and_nobody_minds(self, site: SourceSite) -> None:
        """What it sent is committed all the same; what waited may come to the pipeline, or come again."""
        site.send(1, 2)
        await site.settle()
        site.full = True
        site.send(3)
        await site.settle()
        site.send(4)
        site.leave()
        await site.settle()
        site.source.charge(1_000)
        _acknowledge(site, site.taken)
        site.full = False
        site.source.resume()
        await site.settle()
        assert list(site.answered) == []
        assert _numbers(site.taken) in ([1, 2, 3], [1, 2, 3, 4])


def _numbers(deliveries: Sequence[Delivery]) -> list[int]:
    return [int(each.payload) for each in deliveries]


def _acknowledge(site: SourceSite, deliveries: Sequence[Delivery]) -> None:
    """They are durable: as the pipeline says it, with verdicts where they are asked for."""
    if deliveries:
        verdicts = [DeliveryVerdict("epoch", n, 1, 0) for n, each in enumerate(deliveries, 1) if each.told]
        site.source.acknowledge([each.token for each in deliveries], verdicts)
