"""Guesses of apps' passwords at the door: whoever is right gets in, and a full line is no failed login."""

import threading
from collections import Counter

import pytest

from healthsync_mqtt.identity.login import app_login
from healthsync_mqtt.identity.login.passwords import new_password, password_fits
from healthsync_mqtt.mqtt.codec.packets import Connack, Connect
from healthsync_mqtt.mqtt.codec.v5 import ReasonCode
from tests.support.app_login import app
from tests.support.inprocess import Bystander, House
from tests.support.patience import PATIENCE_S
from tests.support.peer import Identity, Peer
from tests.support.peer5 import Peer5


def greeting(who: Identity, peer: Peer) -> Connect:
    return Connect(who.client_id, True, 60, who.client_id, who.token.encode(), None, peer.level)


@pytest.mark.parametrize("changes", [{"limits.failed_login_base_s": 0.01, "limits.failed_login_max_s": 0.05}])
async def test_who_is_right_gets_in_among_guesses_and_a_full_line_is_busy(
    house: House, bob: Bystander, monkeypatch: pytest.MonkeyPatch
) -> None:
    """64 guesses kept everybody else out, who was told that the password is wrong and had to wait for the next try."""
    alice, go_on, refused = app(house), threading.Event(), list[str]()

    def fits(text: str, kept: str) -> bool:
        assert go_on.wait(PATIENCE_S)
        return password_fits(text, kept)

    monkeypatch.setattr(app_login, "password_fits", fits)
    monkeypatch.setattr(house.door, "on_refused", lambda reason, _peer, _claimed: refused.append(reason))
    guesses: list[Peer] = []
    for source in range(2, 12):
        for kind in (Peer, Peer5):
            for _ in range(5):
                guess = await kind.open(house.ready.mqtt, local_addr=(f"127.0.0.{source}", 0))
                house.peers.append(guess)
                guesses.append(guess)
                name = alice.client_id if len(guesses) % 2 else f"somebody-{len(guesses)}"
                asked = Identity(client_id=name, token=new_password(), user="", device="")
                guess.send(guess.encoded(greeting(asked, guess)))
    await house.until(lambda: len(house.edge.logins._apps._line) >= 60, "the line is as good as full")
    right = await Peer.open(house.ready.mqtt, local_addr=("127.0.0.99", 0))
    house.peers.append(right)
    right.send(right.encoded(greeting(alice, right)))
    go_on.set()
    assert (await right.expect(Connack)).code == 0
    answers = Counter([(guess.level, (await guess.expect(Connack)).code) for guess in guesses])
    assert set(answers) == {(4, 3), (5, ReasonCode.SERVER_BUSY), (4, 5), (5, ReasonCode.BAD_CREDENTIALS)}
    wrong = answers[4, 5] + answers[5, ReasonCode.BAD_CREDENTIALS]
    assert len(refused) == wrong == house.counters.logins_refused
    await house.still_serves(bob)
