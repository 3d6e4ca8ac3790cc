"""Which kind a file is, by its content; and how files, folders and archives in archives are taken apart."""

import gzip
import io
import json
import re
import zipfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest

from healthsync_mqtt.errors import InputError
from healthsync_mqtt.imports.catalogue import ARCHIVES, kind_of
from healthsync_mqtt.imports.source import members_of
from tests.support.archives import own_events
from tests.support.fit_files import BEGIN, fit_file, record
from tests.unit.imports.told import Told

RIDE = fit_file(*(record(BEGIN + each, bpm=100 + each) for each in range(5)))


def zipped(files: dict[str, bytes]) -> bytes:
    found = io.BytesIO()
    with zipfile.ZipFile(found, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return found.getvalue()


def put(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_each_kind_has_a_name_of_its_own_and_says_what_it_is() -> None:
    assert len({each.name for each in ARCHIVES}) == len(ARCHIVES)
    assert all(each.summary for each in ARCHIVES)


@pytest.mark.shared_data
def test_every_recording_is_of_one_kind_and_is_read_or_refused_with_its_place(shared_data: Path) -> None:
    known = {
        "fit": "fit", "apple_health": "apple_health", "omh": "open_mhealth",
        "phone/health_auto_export": "health_auto_export", "fitbit": "fitbit", "googlefit": "googlefit",
        "withings": "withings",
    }  # fmt: skip
    counts = json.loads(Path(__file__).with_name("recordings.json").read_text())
    there = {path.relative_to(shared_data).as_posix() for path in shared_data.rglob("*") if path.is_file()}
    assert set(counts) == {name for name in there if not name.startswith("influx/")}  # those are answers of servers
    seen = 0
    for name in counts:
        path = shared_data / name
        if counts[name] is None:
            with pytest.raises(InputError, match=f"(?m)^{re.escape(path.name)} is nothing that can be imported$"):
                Told(path)
            continue
        kind = next((kind for folder, kind in known.items() if name.startswith(f"{folder}/")), None)
        with ExitStack() as opened:
            ((member, head),) = members_of(path, opened)
            kinds = [each.name for each in ARCHIVES if each.recognises(member, head)]
            assert len(kinds) == 1, path
            assert kinds == [kind] or kind is None or path.suffix == ".csv", path
            assert kind_of(member, head) is not None
        told = Told(path, zone="Europe/Berlin", bucket_s=3600, unit="metric")
        assert all(each.place for each in told.asides)
        assert told.events or told.asides, path
        refused = Counter(each.split(":")[0] for each in told.refused())
        assert (told.types, told.left, refused) == (
            counts[name]["types"], counts[name]["left_out"], counts[name].get("refused", {}),
        ), path  # fmt: skip
        seen += 1
    assert seen > 60


def test_an_account_export_is_zips_in_a_zip_with_other_things_beside(tmp_path: Path) -> None:
    inner = zipped({"a_1.fit": RIDE, "a_2.fit": RIDE[:-9], "notes.txt": b"cats"})
    outer = {
        "DI_CONNECT/DI-Connect-Uploaded-Files/UploadedFiles_0-_Part1.zip": inner,
        "DI_CONNECT/DI-Connect-User/user.json": b"{}",
        "customer.pdf": b"%PDF",
    }
    told = Told(put(tmp_path / "garmin.zip", zipped(outer)))
    assert (told.types, told.left) == ({"heart_rate": 9}, {"damaged": 1, "other_file": 3})
    assert len({each["id"] for each in told.events}) == 5
    assert any("Part1.zip/a_1.fit" in place for place in told.places)


def test_gzips_and_names_make_no_difference(tmp_path: Path) -> None:
    assert Told(put(tmp_path / "photo.jpg", gzip.compress(RIDE))).types == {"heart_rate": 5}
    lines = "\n".join(json.dumps(each) for each in own_events(7)).encode()
    assert Told(put(tmp_path / "x", gzip.compress(lines))).types == {"heart_rate": 7}
    batch = json.dumps({"batch": "b", "events": own_events(3)}, indent=2).encode()
    assert Told(put(tmp_path / "y", batch)).types == {"heart_rate": 3}


@pytest.mark.parametrize("name", ["../../evil.fit", "/etc/evil.fit", "a/../../evil.fit", "..\\evil.fit"])
def test_no_name_leads_outside(tmp_path: Path, name: str) -> None:
    before = sorted(tmp_path.parent.rglob("evil*"))
    assert Told(put(tmp_path / "a.zip", zipped({name: RIDE}))).types == {"heart_rate": 5}
    assert sorted(tmp_path.parent.rglob("evil*")) == before


def test_a_zip_whose_files_lie_over_each_other_is_refused(tmp_path: Path) -> None:
    content = bytearray(zipped({"a.fit": RIDE, "b.fit": RIDE}))
    first = content.find(b"PK\x01\x02")
    second = content.find(b"PK\x01\x02", first + 4)
    content[second + 42 : second + 46] = content[first + 42 : first + 46]
    with pytest.raises(InputError, match="over each other"):
        Told(put(tmp_path / "a.zip", bytes(content)))


def test_a_gzip_that_grows_too_far_is_left_out(tmp_path: Path) -> None:
    bomb = b"<HealthData>" + bytes(100 * 1024 * 1024)
    told = Told(put(tmp_path / "e.xml.gz", gzip.compress(bomb)))
    assert (told.events, told.left) == ([], {"damaged": 1})


def test_a_damaged_zip_and_a_locked_one_say_so(tmp_path: Path) -> None:
    whole = zipped({"a.fit": RIDE * 50, "b.fit": RIDE})
    with pytest.raises(InputError, match="cannot be read"):
        Told(put(tmp_path / "a.zip", whole[: len(whole) // 2]))
    changed = bytearray(whole)
    changed[60] ^= 0xFF
    told = Told(put(tmp_path / "b.zip", bytes(changed)))
    assert told.types["heart_rate"] >= 5


def test_links_are_not_followed(tmp_path: Path) -> None:
    put(tmp_path / "outside.fit", RIDE)
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "link.fit").symlink_to(tmp_path / "outside.fit")
    with pytest.raises(InputError, match="nothing that can be imported"):
        Told(folder)


def test_a_link_that_is_named_is_read(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    put(tmp_path / "there/ride.fit", RIDE)
    (tmp_path / "link.fit").symlink_to(tmp_path / "there/ride.fit")
    assert Told(tmp_path / "link.fit").types == {"heart_rate": 5}


def test_fhir_by_line_and_documents_that_are_none(tmp_path: Path) -> None:
    observation = {
        "resourceType": "Observation", "id": "o-1", "status": "final", "effectiveDateTime": "2026-05-03T07:00:00+02:00",
        "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
        "valueQuantity": {"value": 71.3, "system": "http://unitsofmeasure.org", "code": "kg"},
    }  # fmt: skip
    lines = "\n".join(json.dumps({**observation, "id": f"o-{each}"}) for each in range(3))
    told = Told(put(tmp_path / "bulk.ndjson", f"{lines}\n{{\n".encode()))
    assert (told.types, told.left) == ({"weight": 3}, {"malformed": 1})
    assert told.asides[0].place == "bulk.ndjson:4"
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": observation}]}
    assert Told(put(tmp_path / "bundle.json", json.dumps(bundle).encode())).types == {"weight": 1}
