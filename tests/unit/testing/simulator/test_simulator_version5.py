"""The simulator's clients that speak MQTT 5 find defects that a client of 3.1.1 cannot see."""

from collections.abc import Sequence
from typing import Any

import pytest

from healthsync_mqtt.broker.embedded import door
from healthsync_mqtt.broker.embedded.connection import Connection
from healthsync_mqtt.broker.embedded.dialect import Dialect5
from healthsync_mqtt.model.delivery import DeliveryVerdict
from healthsync_mqtt.mqtt.codec.packets import Connect
from healthsync_mqtt.testing.simulator.world import PLAIN, SeedOutcome, SimulatedFault, World, simulate
from tests.unit.testing.simulator.test_simulator import found


def whole(outcome: SeedOutcome | None, monkeypatch: pytest.MonkeyPatch, *faults: SimulatedFault) -> None:
    """Without the defect the same seed is good."""
    assert outcome is not None
    monkeypatch.undo()
    assert simulate(outcome.seed, only=frozenset(faults)).violations == ()


def test_verdicts_of_other_messages_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Connection.acknowledge

    def turned(self: Connection, tokens: Sequence[int], verdicts: Sequence[DeliveryVerdict] = ()) -> None:
        right(self, tokens, [*verdicts[1:], *verdicts[:1]])

    monkeypatch.setattr(Connection, "acknowledge", turned)
    outcome = found(PLAIN)
    assert outcome is not None
    assert any(each.startswith(("G1", "G3")) for each in outcome.violations), outcome
    whole(outcome, monkeypatch)


def test_a_session_of_version_5_that_ends_with_its_connection_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = door.expiry_of

    def forgotten(asked: Connect) -> float | None:
        return 0.0 if asked.protocol_level == 5 else right(asked)

    monkeypatch.setattr(door, "expiry_of", forgotten)
    outcome = found(PLAIN, SimulatedFault.CUT)
    assert outcome is not None
    assert any(each.startswith("sessions") or "never got" in each for each in outcome.violations), outcome
    whole(outcome, monkeypatch, SimulatedFault.CUT)


def test_more_messages_than_a_client_takes_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    made = Dialect5.__init__

    def greedy(self: Dialect5, *asked: Any, **more: Any) -> None:
        made(self, *asked, **more)
        self.window = 65_535

    monkeypatch.setattr(Dialect5, "__init__", greedy)
    outcome = found(PLAIN, SimulatedFault.CUT)
    assert outcome is not None
    assert any(each.startswith("MQTT 5: ") for each in outcome.violations), outcome
    whole(outcome, monkeypatch, SimulatedFault.CUT)


def test_half_of_the_clients_speak_version_5() -> None:
    spoken = [World(seed, None)._speech(f"alice-d{n}") for seed in range(200) for n in range(2)]  # type: ignore[arg-type]
    assert {speech.manner.version for speech in spoken} == {4, 5}
    assert 120 < sum(speech.manner.version == 5 for speech in spoken) < 280
    assert {speech.manner.method for speech in spoken if speech.manner.version == 5} == {True, False}
    assert {speech.receive_maximum for speech in spoken} >= {1, 3}
