"""The page about adapters: its module is one, and runs from a folder."""

import json
import re
import subprocess
import sys
from pathlib import Path

from tests.support.commands import invoke
from tests.support.patience import PATIENCE_S

PAGE = (Path(__file__).parents[3] / "docs/adapter-spec.md").read_text(encoding="utf-8")
ANSWER = {
    "data": [
        {"id": 7, "at": "2026-11-03T07:00:00+01:00", "grams": 72400, "fat": 0},
        {"id": 8, "at": "never", "grams": 1},
        {"id": 9, "at": "2026-11-04T07:00:00+01:00", "grams": None, "fat": 21.5},
    ]
}


def written(tmp_path: Path) -> Path:
    (module,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "adapters").mkdir()
    (tmp_path / "adapters/kitchen.py").write_text(module)
    (tmp_path / "adapters/broken.py").write_text("nothing")
    (tmp_path / "answer.json").write_text(json.dumps(ANSWER))
    return tmp_path


def test_the_module_of_the_page_is_listed_and_maps(tmp_path: Path) -> None:
    data = str(written(tmp_path))
    listed = invoke(["adapter", "list", "--data", data, "--json"])
    rows = {row["name"]: row for row in map(json.loads, listed.stdout.splitlines())}
    assert rows["kitchen"]["types"] == ["body_fat_percentage", "weight"]
    assert (rows["kitchen"]["state"], rows["fitbit"]["state"]) == ("available", "ended")
    assert "broken.py" in listed.stderr
    line = ["adapter", "map", "kitchen", "weighings", f"{data}/answer.json", "--data", data, "--json"]
    mapped = invoke(line)
    events = [json.loads(each) for each in mapped.stdout.splitlines()]
    assert [(each["type"], each["value"], each["utc_offset"]) for each in events] == [
        ("weight", {"kg": 72.4}, 3600),
        ("body_fat_percentage", {"percent": 21.5}, 3600),
    ]
    left = json.loads(mapped.stderr.splitlines()[-1])
    assert (left["place"], left["reason"]) == ("data[1].at", "bad_time")


def test_a_recording_of_an_exchange_is_its_answer(tmp_path: Path) -> None:
    data = str(written(tmp_path))
    exchange = {"request": {"method": "GET", "url": "https://x.test/v1"}, "response": {"status": 200, "body": ANSWER}}
    (tmp_path / "exchange.json").write_text(json.dumps(exchange))
    line = ["adapter", "map", "kitchen", "weighings", f"{data}/exchange.json", "--data", data, "--json"]
    assert len(invoke(line).stdout.splitlines()) == 2


def test_what_cannot_be_mapped_says_why_and_what_to_do(tmp_path: Path) -> None:
    data = str(written(tmp_path))
    for words, code, said in (
        (["nobody", "sleep"], 2, "there is no adapter 'nobody'"),
        (["kitchen", "slep"], 2, "its kinds: weighings"),
        (["fitbit", "sleep"], 69, "healthsync import"),
    ):
        line = ["adapter", "map", *words, f"{data}/answer.json", "--data", data]
        done = invoke(line)
        assert (done.exit_code, said in done.stderr) == (code, True), done.stderr
    (tmp_path / "portal.json").write_text("<html>")
    done = invoke(["adapter", "map", "oura", "sleep", f"{data}/portal.json", "--data", data])
    assert (done.exit_code, "not JSON" in done.stderr) == (1, True)


def test_a_new_adapter_is_there_at_once_and_keeps_the_contract(tmp_path: Path) -> None:
    data = str(tmp_path)
    made = invoke(["adapter", "new", "mine", "--data", data, "--json"])
    assert made.exit_code == 0, made.stderr
    files = json.loads(made.stdout)
    module, test = Path(files["module"]), Path(files["test"])
    assert "NAME" not in module.read_text() + test.read_text()
    listed = invoke(["adapter", "list", "--data", data, "--json"])
    assert '"name":"mine"' in listed.stdout
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", str(test)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=False, cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    for name in ("mine", "withings", "no/name", "1st"):
        again = invoke(["adapter", "new", name, "--data", data])
        assert again.exit_code in {1, 2}
