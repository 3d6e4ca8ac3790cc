"""A made-up export of Apple Health of any size, with everything that real ones get wrong; the same for the same seed.

Traps: a document type that is not well-formed, control characters, the parts of correlations again as records, units of
a locale, percentages as fractions, zones in metadata, workouts whose totals are statistics, a route and an ECG beside.
"""

import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from random import Random
from typing import Final

_START: Final = datetime(2023, 1, 1, tzinfo=UTC)
_HOME: Final = timezone(timedelta(hours=-5))
_HEAD: Final = """<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE HealthData [
<!-- HealthKit Export Version: 14 -->
<!ELEMENT HealthData (ExportDate,Me,(Record|Correlation|Workout|ActivitySummary|ClinicalRecord)*)>
<!ATTLIST HealthData
  locale CDATA #REQUIRED
>
<!ELEMENT WorkoutRoute ((MetadataEntry|FileReference)*)>
<!ATTLIST HeartRateVariabilityMetadataList
  bpm CDATA #REQUIRED
  <!ELEMENT broken, as iOS 16 writes it
]>
<HealthData locale="en_US">
 <ExportDate value="2026-01-10 11:30:00 -0500"/>
 <Me HKCharacteristicTypeIdentifierDateOfBirth="1980-01-01" HKCharacteristicTypeIdentifierBiologicalSex="HKBiologicalSexNotSet"/>
"""  # noqa: E501
_WATCH: Final = (
    'sourceName="Ann\u2019s Apple\u00a0Watch" sourceVersion="10.6.1" device="&lt;&lt;HKDevice: 0x30281{0:04x}0&gt;, '
    'name:Apple Watch, manufacturer:Apple Inc., model:Watch, hardware:Watch6,2, software:10.6.1&gt;"'
)
_PHONE: Final = 'sourceName="iPhone" sourceVersion="17.6.1"'


class AppleExport:
    """An export of so many hours; ``traps``: with what real ones get wrong."""

    def __init__(self, hours: int, *, seed: int = 1, traps: bool = True) -> None:
        self.hours = hours
        self._chance = Random(seed)  # noqa: S311  # plausible, not secret
        self._traps = traps

    def write_xml(self, path: Path) -> Path:
        """``export.xml`` alone."""
        with path.open("w", encoding="utf-8") as file:
            file.writelines(self.markup())
        return path

    def write_zip(self, path: Path) -> Path:
        """``export.zip`` as the phone shares it, with a route, an electrocardiogram and the other document."""
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            with archive.open("apple_health_export/export.xml", "w", force_zip64=True) as file:
                for piece in self.markup():
                    file.write(piece.encode())
            archive.writestr("apple_health_export/export_cda.xml", '<?xml version="1.0"?><ClinicalDocument/>')
            archive.writestr("apple_health_export/workout-routes/route_1.gpx", route())
            archive.writestr("apple_health_export/electrocardiograms/ecg_2023-01-01.csv", electrocardiogram())
        return path

    def markup(self) -> Iterator[str]:
        """The document in pieces."""
        yield _HEAD if self._traps else _HEAD[: _HEAD.index("<!DOCTYPE")] + _HEAD[_HEAD.index("<HealthData ") :]
        for hour in range(self.hours):
            yield "".join(self._hour(_START + timedelta(hours=hour), hour))
        yield "</HealthData>\n"

    def _hour(self, at: datetime, hour: int) -> Iterator[str]:
        chance = self._chance
        for minute in range(60):
            when = at + timedelta(minutes=minute, seconds=chance.randrange(60))
            watch = _WATCH.format(chance.randrange(65_536))
            yield (
                f' <Record type="HKQuantityTypeIdentifierHeartRate" {watch} unit="count/min" {_times(when)} '
                f'value="{chance.randrange(50, 130)}">\n'
                '  <MetadataEntry key="HKMetadataKeyHeartRateMotionContext" value="1"/>\n </Record>\n'
            )
            if minute % 5 == 0:
                yield _record("StepCount", "count", when, chance.randrange(1, 400), seconds=240)
                miles = f"{chance.random() / 5:.6f}"
                yield _record("DistanceWalkingRunning", "mi", when, miles, seconds=240)
                yield _record("ActiveEnergyBurned", "Cal", when, f"{chance.random() * 9:.3f}", seconds=240)
        if self._traps:
            yield from self._odd(at, hour)
        if hour % 24 == 18:
            yield from _workout(at)

    def _odd(self, at: datetime, hour: int) -> Iterator[str]:
        chance = self._chance
        yield _record("OxygenSaturation", "%", at, f"{0.9 + chance.random() / 10:.2f}")
        if hour % 12 == 7:
            yield from _pressure(at, 110 + chance.randrange(20), 70 + chance.randrange(10))
            yield from _meal(at)
            yield _record("BodyMass", "lb", at, f"{150 + chance.random():.1f}", more='creator="a\x0bb"')
            glucose = _record("BloodGlucose", "mmol&lt;180.1558800000541&gt;/L", at, f"{5 + chance.random():.1f}")
            entry = '<MetadataEntry key="HKTimeZone" value="Europe/Berlin"/>'
            yield glucose.replace("/>\n", f">\n  {entry}\n </Record>\n")
        if hour % 24 == 3:
            for place, stage in enumerate(("AsleepCore", "AsleepDeep", "AsleepREM", "Awake")):
                start = at + timedelta(minutes=15 * place)
                value = f"HKCategoryValueSleepAnalysis{stage}"
                yield (
                    f' <Record type="HKCategoryTypeIdentifierSleepAnalysis" {_PHONE} '
                    f'{_times(start, seconds=900)} value="{value}"/>\n'
                )


def _times(when: datetime, *, seconds: int = 0) -> str:
    begin, end = (
        f"{each.astimezone(_HOME):%Y-%m-%d %H:%M:%S %z}" for each in (when, when + timedelta(seconds=seconds))
    )
    return f'creationDate="{end}" startDate="{begin}" endDate="{end}"'


def _record(name: str, unit: str, when: datetime, value: object, *, seconds: int = 0, more: str = "") -> str:
    times = _times(when, seconds=seconds)
    return f' <Record type="HKQuantityTypeIdentifier{name}" {_PHONE} {more} unit="{unit}" {times} value="{value}"/>\n'


def _pressure(at: datetime, systolic: int, diastolic: int) -> Iterator[str]:
    halves = [
        _record("BloodPressureSystolic", "mmHg", at, systolic),
        _record("BloodPressureDiastolic", "mmHg", at, diastolic),
    ]
    yield from halves
    kind = "HKCorrelationTypeIdentifierBloodPressure"
    yield f' <Correlation type="{kind}" {_PHONE} {_times(at)}>\n{"".join(halves)} </Correlation>\n'


def _meal(at: datetime) -> Iterator[str]:
    parts = [_record("DietaryProtein", "g", at, 12.5), _record("DietarySodium", "mg", at, 310)]
    yield from parts
    name = '  <MetadataEntry key="HKFoodType" value="Oats &amp; milk"/>\n'
    kind = "HKCorrelationTypeIdentifierFood"
    yield f' <Correlation type="{kind}" {_PHONE} {_times(at)}>\n{name}{"".join(parts)} </Correlation>\n'


def _workout(at: datetime) -> Iterator[str]:
    times = _times(at, seconds=1800)
    pause, resume = (f"{(at + timedelta(minutes=each)).astimezone(_HOME):%Y-%m-%d %H:%M:%S %z}" for each in (10, 12))
    yield (
        f' <Workout workoutActivityType="HKWorkoutActivityTypeWalking" duration="28.0" durationUnit="min" {_PHONE} '
        f"{times}>\n"
        '  <MetadataEntry key="HKElevationAscended" value="418 cm"/>\n'
        '  <MetadataEntry key="HKIndoorWorkout" value="0"/>\n'
        f'  <WorkoutEvent type="HKWorkoutEventTypePause" date="{pause}"/>\n'
        f'  <WorkoutEvent type="HKWorkoutEventTypeResume" date="{resume}"/>\n'
        '  <WorkoutStatistics type="HKQuantityTypeIdentifierDistanceWalkingRunning" sum="0.536602" unit="mi"/>\n'
        '  <WorkoutStatistics type="HKQuantityTypeIdentifierHeartRate" average="109.484" minimum="100" maximum="117" '
        'unit="count/min"/>\n'
        '  <WorkoutRoute><FileReference path="/workout-routes/route_1.gpx"/></WorkoutRoute>\n'
        " </Workout>\n"
    )


def route() -> str:
    """A track of three places."""
    places = "".join(
        f'<trkpt lon="11.57{each}" lat="48.13{each}"><ele>519.{each}</ele>'
        f"<time>2023-01-01T18:00:0{each}Z</time></trkpt>"
        for each in range(3)
    )
    return f'<?xml version="1.0"?><gpx version="1.1"><trk><trkseg>{places}</trkseg></trk></gpx>'


def electrocardiogram() -> str:
    """Thirty seconds of one, as a phone in German writes it."""
    volts = "\n".join(f"{each % 7 - 3},{each % 10}" for each in range(512 * 30))
    return (
        "Name,Ann\nGeburtsdatum,01.01.1980\nAufzeichnungsdatum,2023-01-01 08:00:00 +0100\n"
        'Klassifizierung,Sinusrhythmus\nSymptome,\nSoftwareversion,2.0\nGer\u00e4t,"Watch6,2"\n'
        f"Abtastrate,512 Hertz\n\n\nAbleitung,Ableitung I\nEinheit,\u00b5V\n\n{volts}\n"
    )
