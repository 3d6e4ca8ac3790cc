"""What codes of FHIR resources say: LOINC's and those of IEEE 11073, by our types."""

from typing import Final

from healthsync_mqtt.formats.reading.document import Record, items

LOINC: Final = "http://loinc.org"
UCUM: Final = "http://unitsofmeasure.org"

#: Our type, and the codes of what it is.
CODES: Final = {
    "steps": "55423-8",
    "daily_steps": "41950-7",
    "distance": "55430-3",
    "distance_swimming": "93816-7",
    "energy_active": "41981-2",
    "daily_energy_total": "41979-6",
    "floors": "100304-5",
    "wheelchair_pushes": "96502-0",
    "active_minutes_moderate": "77592-4",
    "active_minutes_vigorous": "77593-2",
    "heart_rate": "8867-4",
    "resting_heart_rate": "40443-4",
    "hrv_sdnn": "80404-7",
    "vo2_max": "60842-2 94122-9",
    "spo2": "59408-5 2708-6",
    "respiratory_rate": "9279-1",
    "body_temperature": "8310-5 8331-1",
    "perfusion_index": "61006-3",
    "glucose": "41653-7 2339-0 2345-7 15074-8 99504-3 14749-6",
    "blood_alcohol": "74859-0",
    "weight": "29463-7 3141-9",
    "height": "8302-2",
    "bmi": "39156-5",
    "body_fat_percentage": "41982-0",
    "lean_mass": "91557-9",
    "muscle_mass": "73964-9",
    "waist_circumference": "8280-0 56086-2",
    "fev1": "20150-9",
    "fvc": "19870-5",
    "pef": "19935-6",
    "sleep": "93832-4",
}
TYPE_OF: Final = {code: type_ for type_, codes in CODES.items() for code in codes.split()}
"""Our type by each code."""

PRESSURE: Final = frozenset({"85354-9", "55284-4"})
PARTS_OF_PRESSURE: Final = {"8480-6": "systolic", "8462-4": "diastolic", "8867-4": "pulse"}
"""A blood pressure, and the codes of its components."""

ECG: Final = frozenset({"11524-6", "131328"})
"""An ECG, by LOINC and by the code of its potentials (IEEE 11073)."""
LEADS: Final = {
    "131329": "I", "131330": "II", "131389": "III", "131390": "aVR", "131391": "aVL", "131392": "aVF",
    "131331": "V1", "131332": "V2", "131333": "V3", "131334": "V4", "131335": "V5", "131336": "V6",
}  # fmt: skip
"""The codes of IEEE 11073 for the potentials of a lead."""
MDC: Final = "urn:oid:2.16.840.1.113883.6.24"
PARTS_OF_A_NIGHT: Final = {"93831-6": "deep_s", "93830-8": "light_s", "93829-0": "rem_s"}
"""What a night has in its components."""

#: Spellings of UCUM with words in braces, which mean nothing there.
SPELLINGS: Final = {
    "/min": ("{beats}/min", "{breaths}/min", "beats/minute", "breaths/minute", "{Beats}/min"),
    "{steps}": ("1", "steps", "{steps}/d", "{count}"),
    "{flights}": ("1", "flights", "{count}"),
    "{pushes}": ("1", "pushes", "{count}"),
    "kcal": ("kcal/d", "kcal/(24.h)"),
    "min": ("min/d",),
    "kg/m2": ("kg/m²",),
}


def codes_of(concept: Record, *systems: str) -> set[str]:
    """The codes of a concept in some systems, or in none that is said."""
    return {
        str(each.get("code"))
        for each in items(concept, "coding")
        if isinstance(each, dict) and each.get("system") in (*systems, None)
    }


def known_code(concept: Record) -> str | None:
    """The first code of a concept that is a type of ours, or a blood pressure."""
    codes = [str(each.get("code")) for each in items(concept, "coding") if isinstance(each, dict)]
    return next((code for code in codes if code in codes_of(concept, LOINC) & (TYPE_OF.keys() | PRESSURE)), None)
