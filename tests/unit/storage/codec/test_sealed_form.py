"""What was sealed by an earlier program opens again: rows as they were stored once, of a key that is here."""

from collections.abc import Callable

import pytest

from healthsync_mqtt.keys.faults import TamperedError
from healthsync_mqtt.keys.sealed_bytes import HEADER_BYTES, DataKey
from healthsync_mqtt.storage.sealing import SEALED
from healthsync_mqtt.storage.sqlite.sealing import RowSealing

KEY = DataKey(bytes.fromhex("7365616c656434d4"), "user:alice", bytes(range(32)))
NAMES = {None: None, 1: "alice", 2: "watch", 3: "strava", 4: "weight"}
BODY = b'{"kg":81.5}'
STORED = (
    (7, 2**40 + 5, 1, 2, 3, 4, 3, 0, 1_700_000_000_000_000, None, 1_700_000_001_000_000, "", bytes.fromhex(
        "017365616c656434d4b08d023654457fc4371ddce5183ad75405302369af6fbd62097d3c98a987615b34fb45cca448617f6f4b743ab169ab54"
    ), 6, SEALED),
    (7, 2**40 + 5, 1, 2, None, 4, 3, 0, 1_700_000_000_000_000, 1_700_000_060_000_000, 1_700_000_001_000_000,
     "AXNlYWxlZDTUXzA9KkYPl6XmerOdrSPmMuAuFv6uilLvyuO/Jh1DkMqPfGM=", b"", 6, SEALED),
)  # fmt: skip


class OneKey:
    """The codec of alice alone."""

    def encoder(self, user: str) -> Callable[[bytes, bytes], bytes]:
        assert user == "alice"
        return KEY.seal

    def decode(self, user: str, stored: bytes, place: bytes) -> bytes:
        assert user == "alice"
        return KEY.open(stored, place)


def sealing() -> RowSealing:
    return RowSealing(OneKey(), b"a log's own name")  # type: ignore[arg-type]  # rows ask for no more


@pytest.mark.parametrize(("row", "body"), list(zip(STORED, (BODY, b""), strict=True)))
def test_a_row_that_was_sealed_before_opens_and_is_sealed_alike(row: tuple[object, ...], body: bytes) -> None:
    assert sealing().opened(row, NAMES) == ("scale-7", body)
    *numbers, _, _, position, _ = row
    (again,) = sealing().rows([(*numbers, "scale-7", body, position)], NAMES)
    assert (len(again[12]), again[12][:HEADER_BYTES]) == (len(row[12]), row[12][:HEADER_BYTES])  # type: ignore[arg-type,index]
    assert sealing().opened(again, NAMES) == ("scale-7", body)


@pytest.mark.parametrize("place", [0, 1, 3, 4, 5, 6, 7, 8, 9, 10, 13])
def test_no_part_of_a_row_is_another(place: int) -> None:
    row = list(STORED[0])
    row[place] = 2 if row[place] is None else {2: 3, 3: 2, 4: 2}.get(row[place], row[place] + 1)  # type: ignore[call-overload,operator]
    with pytest.raises(TamperedError):
        sealing().opened(row, NAMES)


def test_rows_beside_each_other_are_bound_to_their_own_senders() -> None:
    rows = [
        (seq, seq, 1, device, provider, kind, 0, 0, 5, None, 6, f"e{seq}", BODY, seq)
        for seq, (device, provider, kind) in enumerate([(2, 3, 4), (2, None, 4), (3, 2, 4), (2, 3, 4), (2, 3, 2)], 1)
    ]
    sealed = sealing().rows(rows, NAMES)
    assert [sealing().opened(row, NAMES)[0] for row in sealed] == ["e1", "e2", "e3", "e4", "e5"]
    assert len({row[12][HEADER_BYTES : HEADER_BYTES + 12] for row in sealed}) == len(rows)
