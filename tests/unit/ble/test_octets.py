"""Numbers and times in octets: the examples of IEEE 11073-20601 and of the SIG, and what no device may do to us."""

from datetime import datetime
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.ble.octets import NoNumber, Octets, float32, s16, sfloat, u24, wall
from healthsync_mqtt.model.reasons import Reason, RefusedError


@pytest.mark.parametrize(
    ("raw", "amount"),
    [
        # Personal Health Devices Transcoding White Paper 1.6, 2.2.1: SFLOAT of 114
        (0x0072, Fraction(114)),
        (0xF123, Fraction(291, 10)),
        (0x1001, Fraction(10)),
        (0x0FFF, Fraction(-1)),
        (0x8801, Fraction(-2047, 10**8)),
        (0x77FD, Fraction(2045 * 10**7)),
        # the mantissas of the special values, where the exponent makes numbers of them
        (0x17FF, Fraction(20470)),
        (0xF800, Fraction(-2048, 10)),
        # IEEE 11073-20601, F.8: with exponent 0
        (0x07FE, NoNumber.PLUS_INFINITY),
        (0x07FF, NoNumber.NAN),
        (0x0800, NoNumber.NRES),
        (0x0801, NoNumber.RESERVED),
        (0x0802, NoNumber.MINUS_INFINITY),
    ],
)
def test_sfloat(raw: int, amount: object) -> None:
    assert sfloat(Octets(raw.to_bytes(2, "little"))) == amount


@pytest.mark.parametrize(
    ("raw", "amount"),
    [
        # Personal Health Devices Transcoding White Paper 1.6, 2.2.2: FLOAT of 36.4
        (0xFF00016C, Fraction(364, 10)),
        (0xFE000E42, Fraction(3650, 100)),
        (0x00FFFFFF, Fraction(-1)),
        (0x01000001, Fraction(10)),
        # IEEE 11073-20601, F.7
        (0x007FFFFE, NoNumber.PLUS_INFINITY),
        (0x007FFFFF, NoNumber.NAN),
        (0x00800000, NoNumber.NRES),
        (0x00800001, NoNumber.RESERVED),
        (0x00800002, NoNumber.MINUS_INFINITY),
    ],
)
def test_float(raw: int, amount: object) -> None:
    assert float32(Octets(raw.to_bytes(4, "little"))) == amount


@given(st.integers(-2048, 2047), st.integers(-8, 7))
def test_every_sfloat_is_its_mantissa_and_its_power_of_ten(mantissa: int, exponent: int) -> None:
    raw = (mantissa & 0xFFF) | (exponent & 0xF) << 12
    read = sfloat(Octets(raw.to_bytes(2, "little")))
    if isinstance(read, NoNumber):
        assert exponent == 0
        assert mantissa in {2046, 2047, -2048, -2047, -2046}
    else:
        assert read == mantissa * Fraction(10) ** exponent


def test_a_time_on_a_wall() -> None:
    assert wall(Octets(bytes.fromhex("ea07 0b14 17 3b 3b"))) == datetime(2026, 11, 20, 23, 59, 59)  # noqa: DTZ001


@pytest.mark.parametrize("text", ["0000 0b14 00 00 00", "ea07 0014 00 00 00", "ea07 0b00 00 00 00"])
def test_a_time_whose_day_is_not_known_is_none(text: str) -> None:
    # GATT Specification Supplement, Date Time: nought is "not known"
    assert wall(Octets(bytes.fromhex(text))) is None


@pytest.mark.parametrize(
    "text", ["ea07 0d14 00 00 00", "ea07 021e 00 00 00", "ea07 0b14 18 00 00", "ea07 0b14 00 00 3c"]
)
def test_a_time_that_never_was_is_refused(text: str) -> None:
    with pytest.raises(RefusedError) as caught:
        wall(Octets(bytes.fromhex(text)))
    assert caught.value.code is Reason.BAD_TIME


def test_what_is_cut_off_is_refused() -> None:
    for read, length in ((sfloat, 2), (float32, 4), (u24, 3), (s16, 2), (wall, 7)):
        for short in range(length):
            with pytest.raises(RefusedError) as caught:
                read(Octets(b"\x01" * short))
            assert caught.value.code is Reason.MALFORMED


def test_integers_are_little_endian() -> None:
    assert u24(Octets(b"\x01\x02\x03")) == 0x030201
    assert s16(Octets(b"\xfe\xff")) == -2
