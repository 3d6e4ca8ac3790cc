"""Units other than a type's own, and what one of them is in it: exact, by the decimal digits that were written.

A type stores one unit (UCUM). A number in another one is taken where that unit has one meaning for it, and is converted
with the factor by which the unit is defined. Nothing is guessed: a spelling that is not in this table is unknown, and
so is one that means two things (``fl oz`` is an American or an imperial one).
"""

import math
from collections.abc import Mapping
from fractions import Fraction
from functools import cache
from typing import Final, NamedTuple


class Conversion(NamedTuple):
    """``own = factor * number + offset``."""

    factor: Fraction
    offset: Fraction = Fraction(0)


#: By the unit that is stored, a row for each unit that is taken for it: its factor, with an offset where the zeros
#: differ, then its spellings, UCUM first.
_TABLE: Final[Mapping[str, str]] = {
    "kg": """
        1                   kg
        0.001               g
        0.45359237          [lb_av] lb lbs
        0.028349523125      [oz_av] oz
        6.35029318          [stone_av] st stone
    """,
    "g": """
        1                   g
        1000                kg
        0.001               mg
        0.000001            ug mcg µg μg
        28.349523125        [oz_av] oz
    """,
    "mg": """
        1                   mg
        1000                g
        0.001               ug mcg µg μg
    """,
    "ug": """
        1                   ug mcg µg μg
        1000                mg
        1000000             g
    """,
    "m": """
        1                   m
        1000                km
        0.01                cm
        0.001               mm
        1609.344            [mi_i] mi
        0.9144              [yd_i] yd
        0.3048              [ft_i] ft
        0.0254              [in_i] in
    """,
    "cm": """
        1                   cm
        100                 m
        0.1                 mm
        30.48               [ft_i] ft
        2.54                [in_i] in
    """,
    "mm": """
        1                   mm
        10                  cm
        1000                m
        25.4                [in_i] in
    """,
    "m/s": """
        1                   m/s
        5/18                km/h kmh km/hr kph kmph
        0.44704             [mi_i]/h mi/h mi/hr mph
        0.3048              [ft_i]/s ft/s
    """,
    "kcal": """
        1                   kcal Cal
        0.001               cal
        125/523             kJ kj
        1/4184              J
    """,
    "mL": """
        1                   mL ml
        1000                L l
        10                  cL cl
        29.5735295625       [foz_us] fl_oz_us
        28.4130625          [foz_br] fl_oz_imp
        236.5882365         [cup_us] cup_us
        473.176473          [pt_us] pt_us
        568.26125           [pt_br] pt_imp
    """,
    "L": """
        1                   L l
        0.001               mL ml
    """,
    "L/min": """
        1                   L/min l/min
        60                  L/s l/s
    """,
    "%": """
        1                   % percent
        100                 1 fraction
    """,
    "mm[Hg]": """
        1                   mm[Hg] mmHg
        1000000/133322      kPa
    """,
    "/min": """
        1                   /min 1/min count/min beats/min bpm breaths/min brpm rpm spm
        60                  /s 1/s count/s Hz
    """,
    "ms": """
        1                   ms
        1000                s sec
    """,
    "s": """
        1                   s sec
        0.001               ms
        60                  min
        3600                h hr
    """,
    "min": """
        1                   min
        1/60                s sec
        1/60000             ms
        60                  h hr
    """,
    "mL/kg/min": """
        1                   mL/kg/min ml/kg/min mL/(kg.min) ml/(kg*min) mL/min/kg ml/min/kg mL/min·kg
    """,
    "kg/m2": """
        1                   kg/m2 kg/m^2 kg/m²
    """,
    "W": """
        1                   W
        1000                kW
    """,
    "Cel": """
        1                   Cel degC °C C celsius
        5/9-160/9           [degF] degF °F F fahrenheit
        1-273.15            K
    """,
    "dB": """
        1                   dB dBA dB(A) dB(SPL) dBASPL
    """,
    "uV": """
        1                   uV µV μV mcV
        1000                mV
        1000000             V
    """,
    "[IU]": """
        1                   [IU] IU U
    """,
}

#: mg/dL of glucose in one mmol/L.
MG_DL_PER_MMOL_L: Final = "18.0156"
GLUCOSE: Final = f"""
        1                   mg/dL mg/dl
        {MG_DL_PER_MMOL_L}             mmol/L mmol/l
"""

#: A difference of temperatures, of which the zero is the same in every unit.
DIFFERENCE: Final = """
        1                   Cel degC °C C celsius K
        5/9                 [degF] degF °F F fahrenheit
"""


@cache
def units_for(unit: str, table: str = "") -> Mapping[str, Conversion]:
    """The units in which a number of this unit may come, by their spellings: of its own ``table``, or the usual."""
    rows = [line.split() for line in (table or _TABLE.get(unit, f"1 {unit}")).strip().splitlines()]
    return {spelling: _conversion(factor) for factor, *spellings in rows for spelling in spellings}


def _conversion(text: str) -> Conversion:
    factor, minus, offset = text.partition("-")
    return Conversion(Fraction(factor), -Fraction(offset) if minus else Fraction(0))


def convert(number: float, by: Conversion, decimals: int | None = None) -> float:
    """The number in the unit that is stored. What needs no conversion stays what it was; else the nearest float.

    ``decimals`` is to how many places a converted number is rounded.
    """
    if by.factor == 1 and not by.offset:
        return number
    exact = by.factor * Fraction(repr(number)) + by.offset
    return float(exact if decimals is None else round(exact, decimals))


def bounds(low: float, high: float, by: Conversion) -> tuple[float, float]:
    """The numbers in another unit between which all lies within low..high: six digits, rounded inwards."""
    return _digits(low, by, upwards=True), _digits(high, by, upwards=False)


def _digits(bound: float, by: Conversion, *, upwards: bool) -> float:
    if by.factor == 1 and not by.offset:
        return bound
    exact = (Fraction(repr(bound)) - by.offset) / by.factor
    if not exact:
        return 0.0
    scale = Fraction(10) ** (5 - math.floor(math.log10(abs(exact))))
    return float((math.ceil if upwards else math.floor)(exact * scale) / scale)
