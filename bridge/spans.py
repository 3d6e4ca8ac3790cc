"""The way of traced events as spans: their commit, their canonical messages, their write by each sink.

A message brings its trace in the user property ``traceparent``; of others a share begins one here. Which stored event
is of which trace is known in this process only, and of the last few: what is read from the log after a restart, or much
later, is of no trace.
"""

import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple

from bridge.ports import Commit
from bridge.stages.acknowledge import Outcome
from healthsync_mqtt.telemetry.span_export import SpanExport
from healthsync_mqtt.telemetry.spans import SpanContext, SpanData, SpanKind, begun, chosen, parse_traceparent

_MOST_KNOWN: Final = 10_000
"""Stored events whose trace is known."""


class _Committed(NamedTuple):
    context: SpanContext
    at_us: int


class EventSpans:
    """Told of what the data path does (a ``CommitObserver``). Runs on its loop."""

    def __init__(
        self, export: SpanExport, ratio: float, *, clock_us: Callable[[], int] = lambda: time.time_ns() // 1000
    ) -> None:
        """``ratio`` is the share of messages without a trace that begin one."""
        self.export = export
        self._ratio = ratio
        self._clock_us = clock_us
        self._known: OrderedDict[int, _Committed] = OrderedDict()

    def committed(self, commit: Commit) -> None:
        """Deliveries are stored."""
        for outcome in commit.outcomes:
            said = outcome.delivery.traceparent
            parent = parse_traceparent(said) if said else None
            if parent.sampled if parent is not None else chosen(self._ratio):
                self._stored(outcome, parent, commit)

    def published(self, seq: int) -> str:
        """A stored event is about to be given to subscribers: the ``traceparent`` of that, "" where there is none."""
        known = self._known.get(seq)
        if known is None:
            return ""
        return self._caused(known, "publish canonical event", SpanKind.PRODUCER, 1).traceparent

    def shipped(self, kind: str, before: int, through: int) -> None:
        """A sink of this kind is through with what is in the log behind ``before``, as far as ``through``."""
        if not self._known or before >= through:
            return
        found = Counter(each for seq, each in self._known.items() if before < seq <= through)
        for known, events in found.items():
            self._caused(known, "write to sink", SpanKind.CLIENT, events, healthsync_sink_kind=kind)

    def _stored(self, outcome: Outcome, parent: SpanContext | None, commit: Commit) -> None:
        context = begun(parent, 1)
        stored = [seq for seq in outcome.seqs if seq]
        self.export.add(
            SpanData(
                context=context,
                parent=parent,
                name="commit events",
                kind=SpanKind.CONSUMER,
                start_us=commit.at_us - round(commit.took_s * 1e6),
                end_us=commit.at_us,
                attributes={
                    "messaging.system": "mqtt",
                    "healthsync.events.stored": len(stored),
                    "healthsync.events.duplicate": len(outcome.seqs) - len(stored),
                    "healthsync.events.rejected": len(outcome.decoded.rejections),
                },
            )
        )
        known = _Committed(context, commit.at_us)
        for seq in stored:
            self._known[seq] = known
        while len(self._known) > _MOST_KNOWN:
            self._known.popitem(last=False)

    def _caused(self, known: _Committed, name: str, kind: SpanKind, events: int, **more: str) -> SpanContext:
        """A step that began with the commit of these events, and is over."""
        context = begun(known.context, 1)
        said: dict[str, str | int] = {"healthsync.events": events}
        self.export.add(
            SpanData(
                context=context,
                parent=known.context,
                name=name,
                kind=kind,
                start_us=known.at_us,
                end_us=self._clock_us(),
                attributes=said | {name.replace("_", "."): value for name, value in more.items()},
            )
        )
        return context
