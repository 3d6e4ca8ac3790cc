# long: one table of all sessions; restoring, opening, leaving and ending each touch all of its indexes
"""All sessions: who is connected, who takes over whom, who listens to what, and the fan-out of a message."""

import asyncio
import heapq
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from healthsync_mqtt.broker.embedded.dialect import JSON, THREE, Dialect
from healthsync_mqtt.broker.embedded.limits.budget import ByteBudget
from healthsync_mqtt.broker.embedded.limits.heaviest import Heaviest
from healthsync_mqtt.broker.embedded.sessions.index import GrantedQos, Subscriptions
from healthsync_mqtt.broker.embedded.sessions.port import Keep, KeepNothing, KeptSession, KeptWill, subscribed
from healthsync_mqtt.broker.embedded.sessions.retained_messages import Retained, RetainedMessages
from healthsync_mqtt.broker.embedded.sessions.session import Message, Session
from healthsync_mqtt.config.sections import LimitSettings
from healthsync_mqtt.model.principal import Principal
from healthsync_mqtt.telemetry.log import get_logger
from healthsync_mqtt.telemetry.notices import Notices
from healthsync_mqtt.topics.access import AccessRules

log = get_logger("door")


class SessionLink(Protocol):
    """The connection of a session, as its session sees it."""

    def flush(self) -> None:
        """Send what the session has."""

    def close(self, reason: str, *, will: bool) -> None:
        """End the connection."""


class Sessions:
    """Sessions by client id. A client id belongs to one principal for ever, so a session never changes hands."""

    def __init__(self, limits: LimitSettings, rules: AccessRules, keep: Keep | None = None) -> None:
        """``keep`` keeps persistent sessions and retained messages over a restart; without it nothing does."""
        self._keep = keep or KeepNothing()
        self._limits = limits
        self._notices = Notices()
        self._rules = rules
        self._sessions: dict[str, Session] = {}
        self._links: dict[str, SessionLink] = {}
        self._left_at: dict[str, float] = {}
        #: when the sessions of those who left end, soonest first; entries of those who came back are passed over
        self._ends: list[tuple[float, str]] = []
        self._dirty: set[Session] = set()
        self.index: Subscriptions[Session] = Subscriptions()
        self._wills: dict[int, KeptWill] = {}
        each = max(limits.session_bytes, limits.max_packet)
        self._budget = ByteBudget(limits.sessions_bytes, each)
        self._heaviest: Heaviest[Session] = Heaviest(each)
        self.retained = RetainedMessages(
            ByteBudget(limits.retained_bytes, limits.retained_bytes),
            owner=rules.owner,
            evicted=lambda topic: self._keep.retain(topic, None),
        )

    def restore(self, today: Callable[[str], Principal | None], known: Callable[[str, str], bool]) -> list[str]:
        """Take over what an earlier run left, as far as its owners may have it today; before the first client.

        ``today`` is the principal of a client id, ``known`` says whether a user has a device. The client ids whose
        session is over: it was to end with its connection, which ended with the run, or it is somebody else's now.
        """
        over = []
        for kept in self._keep.sessions():
            principal = today(kept.principal.client_id)
            ends = kept.left is None and kept.expiry == 0
            if principal is None or principal.role is not kept.principal.role or ends:
                self._keep.dropped(kept.no)
                over.append(kept.principal.client_id)
                continue
            session = self._session(principal, persistent=True, kept=kept)
            if kept.expiry is not None:
                session.expiry_s = min(kept.expiry, session.most_expiry_s)
            self._sessions[session.client_id] = session
            self._left_at[session.client_id] = self.now() if kept.left is None else kept.left
            if kept.left is None:
                self._keep.changed(session.no, principal, self.now(), session.expiry_s)
            self._note_end(session)
            for topic_filter, filter_ in kept.filters.items():
                self.index.add(session, topic_filter, filter_.granted)
            session.principal = kept.principal
            self._recheck(session, principal)
        self._left_at = dict(sorted(self._left_at.items(), key=lambda each: each[1]))
        for message in self._keep.retained():
            parsed = self._rules.registry.parse(message.topic)
            device = None if parsed is None else parsed[1].get("device")
            if (
                parsed is None
                or (device is not None and not known(parsed[1]["user"], device))
                or not self.retained.keep(message)
            ):
                self._keep.retain(message.topic, None)
        for kept_session in self._sessions.values():
            for topic_filter in kept_session.interrupted:
                self.replay(kept_session, topic_filter, 0)
        for no, will in self._keep.wills().items():
            principal = today(will.principal.client_id)
            if principal is None or principal.role is not will.principal.role:
                self._keep.will(no, None)
            else:
                self._wills[no] = will._replace(principal=principal)
        return over

    @property
    def keep(self) -> Keep:
        """What lasts beyond the run."""
        return self._keep

    def left_wills(self) -> dict[int, KeptWill]:
        """Wills that an earlier run left waiting, by their number; once."""
        wills, self._wills = self._wills, {}
        return wills

    def now(self) -> float:
        """Seconds of running time, by which sessions expire: no clock that is set ends one."""
        return self._keep.running()

    def durable(self, session: Session, then: Callable[[], None]) -> None:
        """Call ``then`` when what the session has become so far outlasts the process; at once for a clean session."""
        if session.persistent:
            self._keep.durable(then)
        else:
            then()

    def outlasting(self, then: Callable[[], None]) -> None:
        """Call ``then`` when all that sessions are owed and all that is retained so far outlasts the process."""
        self._keep.durable(then)

    def subscribe(self, session: Session, topic_filter: str, granted: GrantedQos) -> None:
        """The session has this filter from now on, or with something else granted."""
        self.index.add(session, topic_filter, granted)
        if session.persistent:
            self._keep.filter(session.no, topic_filter, subscribed(granted))

    @property
    def held_bytes(self) -> int:
        """Bytes that wait for clients, each payload counted for everyone who waits for it."""
        return self._budget.used

    @property
    def dropped(self) -> int:
        """Messages that found no room, of the sessions that there are."""
        return sum(session.dropped for session in self._sessions.values())

    @property
    def connected(self) -> int:
        """Clients with an open connection."""
        return len(self._links)

    def has(self, client_id: str) -> bool:
        """Whether this client has a session, connected or not."""
        return client_id in self._sessions

    def session(self, client_id: str) -> Session | None:
        """The session of a client, connected or not."""
        return self._sessions.get(client_id)

    def filters(self, client_id: str) -> tuple[str, ...]:
        """The filters of this client's session; none when it has no session."""
        session = self._sessions.get(client_id)
        return () if session is None else tuple(self.index.filters(session))

    def is_connected(self, client_id: str) -> bool:
        """Whether this client has an open connection."""
        return client_id in self._links

    def lapsed(self, client_id: str) -> bool:
        """End the session of a client that is away, if its time is over; whether it was."""
        session, left = self._sessions.get(client_id), self._left_at.get(client_id)
        if session is None or left is None or left + session.expiry_s >= self.now():
            return False
        self._discard(session)
        return True

    def open(
        self,
        link: SessionLink,
        principal: Principal,
        *,
        clean: bool,
        expiry_s: float | None = None,
        dialect: Dialect = THREE,
    ) -> tuple[Session, bool]:
        """The session for an accepted CONNECT, and whether it was there before (session present).

        A connection that the client still has elsewhere is closed first [MQTT-3.1.4-2]. ``clean``: nothing of an older
        session is kept. ``expiry_s`` is how long this one is kept when the client is away; None: it ends with its
        connection if it is clean, and is kept as long as any if not.
        """
        client_id = principal.client_id
        older = self._links.pop(client_id, None)
        if older is not None:
            older.close("taken_over", will=True)
        session = self._sessions.get(client_id)
        if session is not None and (clean or session.principal.role is not principal.role):
            self._discard(session)
            session = None
        present = session is not None
        if expiry_s is None:
            expiry_s = 0.0 if clean else self._limits.session_expiry_s
        if session is None:
            session = self._sessions[client_id] = self._session(principal, persistent=expiry_s > 0)
        else:
            self._recheck(session, principal)
        session.expiry_s = min(expiry_s, session.most_expiry_s)
        if session.persistent:
            self._keep.changed(session.no, principal, None, session.expiry_s)
        session.resume(dialect)
        self._links[client_id] = link
        self._left_at.pop(client_id, None)
        return session, present

    def renewed(self, session: Session, principal: Principal) -> None:
        """The session's client is who it was, perhaps with other rights than at its CONNECT."""
        if principal != session.principal:
            self._recheck(session, principal)
            if session.persistent:
                self._keep.changed(session.no, principal, self._left_at.get(session.client_id), session.expiry_s)

    def amend(self, principal: Principal) -> None:
        """The identity has other rights: close its connection; its session keeps what it may have by them."""
        session, link = self._sessions.get(principal.client_id), self._links.get(principal.client_id)
        if session is not None:
            self.renewed(session, principal)
        if link is not None:
            link.close("rights_changed", will=True)

    def leave(self, link: SessionLink, session: Session, now: float) -> None:
        """The connection is gone; a clean session ends with it."""
        if self._links.get(session.client_id, link) is not link:
            return  # the session has another connection by now
        self._links.pop(session.client_id, None)
        if self._sessions.get(session.client_id) is not session:
            return
        session.disconnect()
        if session.persistent and session.expiry_s:
            self._left_at[session.client_id] = now
            self._note_end(session)
            self._keep.changed(session.no, session.principal, now, session.expiry_s)
            self._make_room()
        else:
            self._discard(session)

    def expire(self, now: float) -> list[str]:
        """End the sessions whose clients have been away too long; their client ids."""
        gone = []
        while self._ends and self._ends[0][0] < now:
            _, client_id = heapq.heappop(self._ends)
            session, left = self._sessions.get(client_id), self._left_at.get(client_id)
            if session is not None and left is not None and left + session.expiry_s < now:
                gone.append(client_id)
                self._discard(session)
        return gone

    def revoke(self, client_id: str) -> Principal | None:
        """The identity lost its right: close its connection, forget what was queued for it; who it was, if known."""
        session = self._sessions.get(client_id)
        link = self._links.get(client_id)
        if link is not None:
            link.close("revoked", will=False)
        if session is None:
            return None
        self._discard(session)
        return session.principal

    def links(self) -> list[SessionLink]:
        """The open connections; a copy."""
        return list(self._links.values())

    def snapshot(self) -> list[dict[str, object]]:
        """Every session, for the admin's eyes."""
        return [
            {
                "client_id": session.client_id,
                "role": session.principal.role.value,
                "connected": session.connected,
                "persistent": session.persistent,
                "backlog": session.backlog,
                "bytes": session.held_bytes,
                "dropped": session.dropped,
                "filters": len(self.index.filters(session)),
            }
            for session in self._sessions.values()
        ]

    def listening(self, topic: str) -> bool:
        """Whether any session would get a message on this topic."""
        return bool(self.index.match(topic))

    def routed(self, message: Retained, retain: bool) -> None:  # noqa: FBT001  # the router calls it by position
        """A message came through the router: keep it where that is asked for, and hand it to everyone who listens."""
        if retain and not message.payload:
            self.retained.clear(message.topic)
            self._keep.retain(message.topic, None)
        elif retain and self.retained.keep(message):
            self._keep.retain(message.topic, message)
        elif retain:
            self._keep.retain(message.topic, None)
            if self.retained.dropped == 1:
                log.warning("door.retained_full", bytes=self.retained.held_bytes)
        self._hand_out(message, retain, screened=True)

    def fan_out(self, topic: str, payload: bytes, qos: int) -> None:
        """Queue a message of the bridge for every session with a matching filter."""
        self._hand_out(Retained(topic, payload, qos, about=JSON), False)

    def _hand_out(self, message: Retained, retain: bool, *, screened: bool = False) -> None:  # noqa: FBT001
        """Queue a message for every session with a matching filter, at the lower of its QoS and the granted one."""
        topic, payload, qos, _, about, expires, sender = message
        name = topic.encode()
        for session, granted in self.index.match(topic).items():
            own = granted.no_local and session.client_id == sender
            if not own and (not screened or self._rules.reaches(session.principal, topic)):
                level, kept = min(qos, int(granted)), retain and granted.as_published
                self.give(session, Message(name, payload, level, kept, -1, None, about, expires, granted.identifiers))

    def forget(self, withheld: Callable[[str], bool], *, takes_back: bool = True) -> None:
        """Drop what waits for any client on a topic that is ``withheld``, sent and not acknowledged or not yet sent.

        ``takes_back``: what takes back a retained message is given.
        """
        for session in self._sessions.values():
            session.withhold(withheld, takes_back=takes_back)
        for link in self.links():
            link.flush()

    def erase(self, user: str, about: Callable[[str], bool], then: Callable[[], None]) -> None:
        """Nothing about a user waits or is retained, and no session is said to read of the user; ``then``: on disk.

        ``about`` says whether a topic is the user's. The user's own sessions are gone already.
        """
        self.forget(about, takes_back=False)
        for message in self.retained.match("#"):
            if about(message.topic):
                self.retained.clear(message.topic)
                self._keep.retain(message.topic, None)
        for session in self._sessions.values():
            for topic_filter in [each for each in self.index.filters(session) if about(each)]:
                self.unsubscribe(session, topic_filter)
            readers = session.principal.users
            if readers is not None and user in readers:
                session.principal = replace(session.principal, users=readers - {user})
                if session.persistent:
                    self._keep.changed(
                        session.no, session.principal, self._left_at.get(session.client_id), session.expiry_s
                    )
        self._keep.scrubbed(then)

    def replay(self, session: Session, topic_filter: str, newest: int) -> None:
        """Send what is retained for a filter of the session, as far as it was routed: up to message ``newest``."""
        granted = self.index.granted(session, topic_filter)
        found, now = self.retained.match(topic_filter), self.now()
        for message in found:
            if message.expires and message.expires <= now:
                self.retained.clear(message.topic)
                self._keep.retain(message.topic, None)
        live = [message.topic for message in found if not message.expires or message.expires > now]
        topics = [topic for topic in live if self._rules.reaches(session.principal, topic)]
        if granted is not None and topics:
            session.replay(topic_filter, topics, granted, newest)
            self._soon(session)

    def give(self, session: Session, message: Message) -> None:
        """Queue a message for one session; it is sent soon, together with others."""
        if not self._budget.room(message.size) and session.takes(message):
            self._relieve(session.held_bytes + message.size)
        if not session.offer(message):
            if session.dropped == 1:
                self._say("door.queue_full", session.client_id, connected=session.connected)
            return
        self._soon(session)

    def _relieve(self, size: int) -> None:
        """All sessions keep as much as they may: the one that keeps most gives way, if that is more than ``size``."""
        heaviest = self._heaviest.find(lambda session: session.held_bytes)
        if heaviest is not None and heaviest.held_bytes > size:
            heaviest.shed()
            self._say("door.sessions_full", heaviest.client_id, bytes=self._budget.used)

    def _say(self, event: str, client_id: str, **what: int) -> None:
        """A log line that a client can cause again and again: once in a while, for each of some of a crowd."""
        left_out = self._notices.due((event, client_id), time.monotonic())
        if left_out is not None:
            log.warning(event, client_id=client_id, left_out=left_out, **what)

    def unsubscribe(self, session: Session, topic_filter: str) -> None:
        """The session wants this filter no more."""
        self.index.remove(session, topic_filter)
        session.give_up_replay(topic_filter)
        if session.persistent:
            self._keep.filter(session.no, topic_filter, None)

    def _soon(self, session: Session) -> None:
        """Send what the session has, together with others."""
        if not self._dirty:
            asyncio.get_running_loop().call_soon(self._flush)
        self._dirty.add(session)

    def _flush(self) -> None:
        dirty, self._dirty = self._dirty, set()
        for session in dirty:
            link = self._links.get(session.client_id)
            if link is not None:
                link.flush()

    def _recheck(self, session: Session, principal: Principal) -> None:
        """The session keeps only the filters that its principal may have today, and of what waits only what it may."""
        before, session.principal = session.principal, principal
        for topic_filter in self.index.filters(session):
            if not self._rules.may_listen(principal, topic_filter).allowed:
                self.unsubscribe(session, topic_filter)
        if before != principal:
            session.withhold(lambda topic: not self._rules.may_have(principal, topic), takes_back=False)

    def _make_room(self) -> None:
        while len(self._sessions) > self._limits.max_sessions and self._left_at:
            oldest = next(iter(self._left_at))
            self._say("door.session_evicted", oldest)
            self._discard(self._sessions[oldest])

    def _session(self, principal: Principal, *, persistent: bool, kept: KeptSession | None = None) -> Session:
        return Session(
            principal,
            persistent=persistent,
            window=self._limits.send_window,
            queue_limit=self._limits.session_queue,
            budget=self._budget,
            retained=self.retained,
            keep=self._keep,
            kept=kept,
            most_expiry_s=self._limits.session_expiry_s,
            now=self.now,
            heaviest=self._heaviest,
        )

    def _note_end(self, session: Session) -> None:
        """Its client is away: when it ends if nobody comes."""
        left = self._left_at[session.client_id]
        heapq.heappush(self._ends, (left + session.expiry_s, session.client_id))
        if len(self._ends) > 2 * len(self._left_at) + 1_000:
            self._ends = [(at + self._sessions[who].expiry_s, who) for who, at in self._left_at.items()]
            heapq.heapify(self._ends)

    def _discard(self, session: Session) -> None:
        if session.persistent:
            self._keep.dropped(session.no)
        session.forget()
        session.connected = False
        self.index.drop(session)
        self._sessions.pop(session.client_id, None)
        self._left_at.pop(session.client_id, None)
