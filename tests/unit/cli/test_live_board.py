"""The board of ``up --demo`` on the smallest usual terminal, and what the simulator may not drive off it."""

import io
from collections.abc import Sequence
from pathlib import Path

import pytest
from rich.console import Console

from bridge.decode.delivery import decode
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.live_view import Board, Sight, Wanted
from healthsync_mqtt.cli.options import now_us
from healthsync_mqtt.identity.login.refused_logins import RefusedLogin
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.storage.opening import open_log, open_reader
from healthsync_mqtt.storage.port import Item, Quarantined

COUNTERS = {"stored": 9_876_543, "duplicate": 12_345, "rejected": 6_789, "logins_refused": 3}
WHERE = {"mqtts": "127.0.0.1:8883", "wss": "127.0.0.1:8084", "mqtt": "127.0.0.1:1883"}
NEXT = ("healthsync user add alice", "healthsync device add alice watch-1", "healthsync events tail")


def rendered(sight: Sight, following: Sequence[str] = NEXT) -> list[str]:
    console = Console(file=io.StringIO(), width=80, height=24, force_terminal=False, soft_wrap=True)
    console.print(sight.screen(WHERE, following))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue().splitlines()


def send(data: Path, user: str, device: str, *bpm: int) -> None:
    origin = Origin(user=user, device=device, provider=None, topic=f"users/{user}/devices/{device}/events")
    now = now_us()
    with open_log(data) as log:
        for number, each in enumerate(bpm):
            text = (
                f'{{"id": "{device}-{now}-{number}", "type": "heart_rate", '
                f'"start_time": "2026-01-01T06:00:00Z", "value": {{"bpm": {each}}}}}'
            )
            found = decode(text.encode(), origin, now)
            log.stage(
                [Item(origin, event) for event in found.events],
                [Quarantined(origin, now, each) for each in found.rejections],
                now,
            )
        log.commit()


@pytest.fixture
def place(tmp_path: Path) -> DataDirectory:
    place = DataDirectory(tmp_path / "data")
    place.registry().close()
    open_log(place.path).close()
    return place


def test_others_stay_beside_the_simulators_flood_and_all_fits_80_by_24(place: DataDirectory) -> None:
    send(place.path, "demo", "watch", 71, 72)
    with open_reader(place.path) as log, place.registry() as registry:
        registry.add_user("demo", "all", now_us())
        registry.add_device("demo", "watch", now_us())
        board = Board(log, registry, Wanted())
        board.look(COUNTERS, 50)
        send(place.path, "demo", "simulator", *range(60, 160))
        send(place.path, "a-user-with-a-long-name", "and-a-long-device-name", 900, *[80] * 9)
        registry.refused_logins.note(
            [
                RefusedLogin(
                    client_id="demo-watch",
                    reason="the token has expired",
                    address="192.0.2.7",
                    count=1,
                    first_us=now_us(),
                    last_us=now_us(),
                )
            ]
        )
        lines = rendered(board.look(COUNTERS, 12_345))
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    text = "\n".join(lines)
    own, simulator = text.index("your devices"), text.index("the simulator")
    assert "a-user-with-a-long-na" in text[own:simulator]
    assert "demo/simulator" not in text[own:simulator]
    assert text[simulator:].count("demo/simulator") == 3
    assert "demo-watch" in text[text.index("refused\n") :]
    assert "the token has expired" in text
    assert "out_of_range" in text
    assert all(each in text for each in NEXT)
    figures = ("12,345 events/s", "stored 9,876,543", "duplicate 12,345", "rejected 6,789", "refused 3")
    assert all(each in text for each in figures), "none is cut off"


def test_what_to_type_next_is_whole_on_a_directory_far_away(place: DataDirectory) -> None:
    send(place.path, "demo", "watch", 71, 72, 73, 74)
    far = tuple(f"{each} --data /srv/a/rather/long/path/to/where/the/data/lies" for each in NEXT)
    with open_reader(place.path) as log, place.registry() as registry:
        board = Board(log, registry, Wanted())
        board.look(COUNTERS, 1)
        send(place.path, "demo", "watch", 71, 72, 73, 74)
        send(place.path, "demo", "simulator", 71, 72, 73, 901, 902, 903)
        lines = rendered(board.look(COUNTERS, 1), far)
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    typed = "".join(line.strip() for line in lines).replace("Next:", "").replace(" ", "")
    assert all(each.replace(" ", "") in typed for each in far[:2])


def test_an_event_of_ones_own_stays_in_view_and_the_board_can_be_filtered(place: DataDirectory) -> None:
    with open_reader(place.path) as log, place.registry() as registry:
        everything = Board(log, registry, Wanted.of(None))
        mine = Board(log, registry, Wanted.of("demo/watch"))
        send(place.path, "demo", "watch", 71)
        for board in (everything, mine):
            board.look(COUNTERS, 1)
        send(place.path, "demo", "simulator", *range(60, 90))
        send(place.path, "demo", "phone", 900, 72)
        assert [each.device for each in everything.look(COUNTERS, 1).own] == ["watch", "phone"]
        seen = mine.look(COUNTERS, 1)
    assert [each.device for each in seen.own] == ["watch"]
    assert seen.refused == ()


def test_old_refusals_are_not_read_again(place: DataDirectory) -> None:
    send(place.path, "demo", "phone", *range(900, 907))
    with open_reader(place.path) as log, place.registry() as registry:
        board = Board(log, registry, Wanted())
        assert board.look(COUNTERS, 1).refused == ()
        send(place.path, "demo", "phone", 999)
        assert [each.client for each in board.look(COUNTERS, 1).refused] == ["demo/phone"]
