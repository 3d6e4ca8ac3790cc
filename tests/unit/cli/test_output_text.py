"""What people see has no character that a terminal obeys, and every locale gets an answer."""

import io
import json
import os
import subprocess
import sys

import pytest

from healthsync_mqtt.cli import output
from healthsync_mqtt.errors import InputError

HOSTILE = "\x1b[2J\u202eabc\x9b31m\u2028\U000e0041ü"


@pytest.mark.parametrize("how", ["facts", "table", "say", "emit", "error"])
def test_no_control_reaches_the_terminal(capsys: pytest.CaptureFixture[str], how: str) -> None:
    {
        "facts": lambda: output.facts([("raw", HOSTILE)]),
        "table": lambda: output.table(["RAW"], [[HOSTILE]]),
        "say": lambda: output.say(HOSTILE),
        "emit": lambda: output.emit({"raw": HOSTILE}),
        "error": lambda: output.failure(InputError(HOSTILE, hint=HOSTILE), as_json=False),
    }[how]()
    shown = capsys.readouterr()
    text = shown.out + shown.err
    assert "ü" in text
    assert not set(HOSTILE) - set("[2Jabc31mü") & set(text)
    if how == "emit":
        assert json.loads(text) == {"raw": HOSTILE}


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_any_encoding_of_the_terminal_gets_an_answer(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    output.for_any_locale()
    output.emit({"name": "Zoë 日本 👩"})
    output.facts([("name", "Zoë 日本 👩")])
    stream.flush()
    first, second = raw.getvalue().decode(encoding).splitlines()
    assert json.loads(first) == {"name": "Zoë 日本 👩"}
    assert second.startswith("name  Zo")


WITHOUT_LETTERS = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def test_a_degree_sign_is_printed_by_the_program_under_a_locale_without_letters() -> None:
    asked = ["-c", "from healthsync_mqtt.cli.main import main; main()", "type", "show", "body_temperature"]
    done = subprocess.run([sys.executable, *asked], env=os.environ | WITHOUT_LETTERS, capture_output=True, check=True)
    assert b"celsius also in" in done.stdout


def test_what_is_said_and_emitted_is_under_a_locale_without_letters() -> None:
    script = (
        "from healthsync_mqtt.cli import output\n"
        "output.for_any_locale()\noutput.say('Zo\\xeb')\noutput.emit({'a': '\\u65e5'})"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env=os.environ | WITHOUT_LETTERS, capture_output=True, check=True
    )
    assert json.loads(done.stdout) == {"a": "日"}
    assert b"Zo" in done.stderr
