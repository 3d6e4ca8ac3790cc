"""G4 as a property: what alice's identities see of a world with bob in it is what they see of one without him.

The world is the pure core put together without sockets: access decisions, origins, decoder, consent, the event log in
memory, and canonical events by filter. Traces of random users, roles, filters and consents run in it.
"""

import json
from dataclasses import dataclass
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.decode.delivery import decode
from bridge.stages.authorise import origin_of
from bridge.stages.consent import ConsentGate
from healthsync_mqtt.identity.consent.decisions import PURPOSES, Action, ConsentDecision, in_force
from healthsync_mqtt.model.principal import Principal, Role
from healthsync_mqtt.model.record import canonical_dict
from healthsync_mqtt.storage.memory import MemoryEventLog
from healthsync_mqtt.storage.port import Item
from healthsync_mqtt.topics.access import AccessRules
from healthsync_mqtt.topics.grammar import matches
from healthsync_mqtt.topics.registry import TopicRegistry

REGISTRY = TopicRegistry.load()
RULES = AccessRules(REGISTRY)
USERS = ("alice", "bob")
TYPES = ("heart_rate", "steps")
VALUES = {"heart_rate": {"bpm": 60}, "steps": {"steps": 5}}
DEVICES = ("watch", "phone")


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that somebody of ``user`` does."""

    user: str
    principal: Principal | None
    verb: str
    argument: Any


def principals(user: str) -> st.SearchStrategy[Principal]:
    return st.one_of(
        st.sampled_from(DEVICES).map(
            lambda device: Principal(role=Role.device, client_id=f"{user}-{device}", user=user, device=device)
        ),
        st.sampled_from([None, frozenset({"steps"})]).map(
            lambda types: Principal(
                role=Role.subscriber,
                client_id=f"{user}-app-{'all' if types is None else 'some'}",
                users=frozenset({user}),
                types=types,
            )
        ),
    )


def topics() -> st.SearchStrategy[str]:
    """Topics and filters of anybody, whoever uses them."""
    user, device, name = (st.sampled_from([*names, "+"]) for names in (USERS, DEVICES, TYPES))
    return st.one_of(
        user.map(lambda u: f"users/{u}/events"),
        st.tuples(user, device).map(lambda p: f"users/{p[0]}/devices/{p[1]}/events"),
        st.tuples(user, name).map(lambda p: f"users/{p[0]}/canonical/{p[1]}"),
        st.sampled_from(["#", "users/#", "+/+/canonical/#", "$share/g/#"]),
    )


@st.composite
def events(draw: st.DrawFn) -> bytes:
    made = []
    for _ in range(draw(st.integers(1, 3))):
        name = draw(st.sampled_from(TYPES))
        fields: dict[str, Any] = {
            "id": f"e{draw(st.integers(0, 4))}",  # shared by the users: an id of one is nothing to the other
            "type": name,
            "start_time": "2026-01-01T00:00:00Z",
            "end_time": "2026-01-01T00:01:00Z",
            "value": VALUES[name],
            "version": draw(st.integers(0, 2)),
        }
        claimed = draw(st.sampled_from([None, *USERS]))
        made.append(fields if claimed is None else fields | {"user_id": claimed})
    return json.dumps(made).encode()


@st.composite
def steps(draw: st.DrawFn) -> Step:
    user = draw(st.sampled_from(USERS))
    verb = draw(st.sampled_from(["publish", "publish", "subscribe", "consent"]))
    if verb == "consent":
        choice = (
            draw(st.sampled_from(Action)),
            draw(st.sampled_from(PURPOSES)),
            draw(st.none() | st.frozensets(st.sampled_from(TYPES), min_size=1)),
            draw(st.none() | st.integers(1, 10)),
        )
        return Step(user, None, verb, choice)
    principal = draw(principals(user))
    return Step(user, principal, verb, (draw(topics()), draw(events()) if verb == "publish" else b""))


class World:
    """Runs a trace; ``seen`` is everything that the identities of each user were told."""

    def __init__(self) -> None:
        self.log = MemoryEventLog()
        self.now = 1_795_413_600_000_000
        self.history: list[ConsentDecision] = [
            ConsentDecision(user_id=user, action=Action.grant, purpose=purpose, types=None, decided_us=0,
                            expires_us=None, text_version=None, recorded_by="test")
            for user in USERS for purpose in PURPOSES
        ]  # fmt: skip
        self.gate = ConsentGate(in_force(self.history))
        self.filters: dict[Principal, set[str]] = {}
        self.seen: dict[str, list[Any]] = {user: [] for user in USERS}

    def run(self, trace: list[Step], only: str | None = None) -> "World":
        for step in trace:
            self.now += 1  # time passes for a user who does nothing as well
            if only is None or step.user == only:
                getattr(self, step.verb)(step)
        return self

    def consent(self, step: Step) -> None:
        action, purpose, types, lasting = step.argument
        expires = None if lasting is None or action is Action.withdraw else self.now + lasting
        self.history.append(
            ConsentDecision(user_id=step.user, action=action, purpose=purpose, types=types, decided_us=self.now,
                     expires_us=expires, text_version=None, recorded_by="test")
        )  # fmt: skip
        self.gate.replace(in_force(self.history))

    def subscribe(self, step: Step) -> None:
        decision = RULES.may_subscribe(step.principal, step.argument[0])
        self.seen[step.user].append(("suback", decision.allowed, decision.rule))
        if decision.allowed:
            self.filters.setdefault(step.principal, set()).add(step.argument[0])

    def publish(self, step: Step) -> None:
        topic, payload = step.argument
        decision = RULES.may_publish(step.principal, topic)
        self.seen[step.user].append(("decision", decision.allowed, decision.rule))
        if not decision.allowed or not decision.channel.ingest:
            return
        channel, variables = REGISTRY.parse(topic)
        origin = origin_of(channel, variables, step.principal, topic)
        decoded = self.gate.screen(decode(payload, origin, self.now), origin.user, self.now)
        before = self.log.head()
        seqs = self.log.stage([Item(origin, event) for event in decoded.events], [], self.now)
        self.log.commit()
        receipt = [(event.id, seq > 0) for event, seq in zip(decoded.events, seqs, strict=True)]
        self.seen[step.user].append(("receipt", receipt, decoded.rejections, self.log.position(origin.user)))
        for record in self.log.reader().read(before, 1000, history=True):
            self.fan_out(record)

    def fan_out(self, record: Any) -> None:
        if not self.gate.shares(record, self.now):
            return
        name = REGISTRY.build("canonical", user=record.user, type=record.type)
        told = canonical_dict(record)
        for principal, wanted in self.filters.items():
            if any(matches(topic_filter, name) for topic_filter in wanted):
                owner = principal.user or next(iter(principal.users))
                self.seen[owner].append(("canonical", principal.client_id, told))


@settings(max_examples=150, deadline=None)
@given(st.lists(steps(), max_size=25))
def test_two_users_together_seen_by_one_are_that_one_alone(trace: list[Step]) -> None:
    together = World().run(trace)
    for user in USERS:
        alone = World().run(trace, only=user)
        assert together.seen[user] == alone.seen[user]
        mine = [record._replace(seq=0) for record in together.log.reader().read(0, 1000, user=user, history=True)]
        assert mine == [record._replace(seq=0) for record in alone.log.reader().read(0, 1000, history=True)]


@settings(max_examples=150, deadline=None)
@given(st.lists(steps(), max_size=25))
def test_nobody_is_told_of_an_event_that_is_not_theirs_or_not_agreed_to(trace: list[Step]) -> None:
    world = World().run(trace)
    for user in USERS:
        for kind, *rest in world.seen[user]:
            if kind == "canonical":
                assert rest[1]["user_id"] == user
    assert all(record.user in USERS for record in world.log.reader().read(0, 1000, history=True))
