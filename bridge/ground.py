"""What every bridge stands on, whatever broker it works for: its log, its topics, its figures and its tasks."""

import asyncio
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from bridge.calendar import Calendar
from bridge.courtesy import Courtesy
from bridge.ports import Chores
from bridge.spans import EventSpans
from bridge.stages.consent import ConsentGate
from bridge.stages.journal import Journal
from bridge.supervisor import Supervisor
from healthsync_mqtt import __version__
from healthsync_mqtt.config.settings import Settings
from healthsync_mqtt.formats.catalogue import declare
from healthsync_mqtt.identity.people.opening import be_home
from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.mqtt.message_room import MessageRoom
from healthsync_mqtt.sinks.bridge_part import BridgePart
from healthsync_mqtt.storage.opening import open_log, open_reader, server_promise
from healthsync_mqtt.storage.port import LogReader
from healthsync_mqtt.storage.quotas import Quotas
from healthsync_mqtt.telemetry.counters import Counters
from healthsync_mqtt.telemetry.log import get_logger
from healthsync_mqtt.telemetry.span_export import Collector, SpanExport
from healthsync_mqtt.topics.registry import TopicRegistry

log = get_logger("bridge")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """Made before an edge is, and closed after it. ``session`` names this run."""

    settings: Settings
    topics: TopicRegistry
    counters: Counters
    gate: ConsentGate
    journal: Journal
    reader: LogReader
    searching: LogReader
    """The same log, for searches in other threads."""
    chores: Chores
    courtesy: Courtesy
    message_room: MessageRoom
    calendar: Calendar
    tasks: Supervisor
    spans: EventSpans | None
    """None: no spans are made."""
    started_us: int
    session: str

    @property
    def status_topic(self) -> str:
        """Where the bridge says whether it runs."""
        return self.topics.build("bridge_status", bridge=self.settings.bridge.id)

    @property
    def keeps_files(self) -> bool:
        """Whether followers that keep what they know of users in files work here: erasing reaches no other files."""
        return BridgePart.of(self.settings).home


@contextmanager
def ground(settings: Settings) -> Iterator[Ground]:
    """Open the log of a data directory; ``tasks`` is to be stopped by whoever starts some."""
    paths = settings.paths
    topics = TopicRegistry.load(settings.topics_file, types=frozenset(CATALOGUE))
    declare(paths.root / "formats")
    with ExitStack() as opened:
        quotas = Quotas(**settings.quarantine.model_dump(exclude={"days"}))
        writer = open_log(paths.root, quotas=quotas, seal_new=settings.storage.encryption == "rows")
        _say_promise(settings)
        tasks = Supervisor()
        journal = Journal(writer, apart=bool(settings.storage.url), failed=tasks.fail)
        opened.callback(journal.close)
        if settings.registry.home:
            loop = asyncio.get_running_loop()
            opened.enter_context(be_home(paths.registry_db, lambda error: loop.call_soon_threadsafe(tasks.fail, error)))
        reader = open_reader(paths.root)
        opened.callback(reader.close)
        searching = open_reader(paths.root)
        opened.callback(searching.close)
        chores = Chores()
        yield Ground(
            settings=settings,
            topics=topics,
            counters=Counters(),
            gate=ConsentGate(),
            journal=journal,
            reader=reader,
            searching=searching,
            chores=chores,
            courtesy=Courtesy(),
            message_room=MessageRoom(settings.limits.max_packet, settings.limits.app_messages_bytes),
            calendar=Calendar.of(reader, chores),
            tasks=tasks,
            spans=_spans(settings),
            started_us=time.time_ns() // 1000,
            session=secrets.token_hex(8),
        )


def _spans(settings: Settings) -> EventSpans | None:
    """What makes spans of the way of events, where there is a collector."""
    if not settings.tracing.endpoint:
        return None
    export = SpanExport(Collector(settings.tracing.endpoint, "healthsync", __version__))
    return EventSpans(export, settings.tracing.sample_ratio)


def _say_promise(settings: Settings) -> None:
    """What an acknowledgement is worth where the log is on a server; one that is worth nothing was refused."""
    promise = server_promise(settings.paths.root)
    if promise is not None:
        tell = log.warning if promise.asynchronous or promise.waiting else log.info
        tell("storage.server", promise=promise.words)
