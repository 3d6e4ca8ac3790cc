"""The one rule for characters, held against the Unicode tables of this Python."""

import json
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from healthsync_mqtt.model.text import NUMBER_SIGNS, escaped, is_clean, may_be_unclean, printable

REFUSED = {"Cc", "Cf", "Zl", "Zp", "Co", "Cs"}
JOINERS = "\u200c\u200d"


def test_the_categories_and_their_exceptions_are_those_of_unicode():
    for code in range(sys.maxunicode + 1):
        character = chr(code)
        category = unicodedata.category(character)
        if category == "Cn":  # a newer Unicode may know it
            continue
        refused = category in REFUSED and character not in NUMBER_SIGNS
        assert is_clean(character) is not refused, f"U+{code:04X} {category}"
    assert all(unicodedata.category(sign) == "Cf" for sign in NUMBER_SIGNS)


@pytest.mark.parametrize("text", [
    "👩\u200d⚕️", "❤️\u200d🔥", "\u0645\u06cc\u200c\u062e\u0648", "ക്\u200dഷ", "न\u094d\u200d", "\u06dd٣",
])  # fmt: skip
def test_joiners_stand_where_scripts_need_them(text: str):
    assert is_clean(text)
    assert printable(text) == escaped(text) == text


@pytest.mark.parametrize("text", [
    "a\u200db", "\u200d", "\u200c日", "日\u200d\u200d本", "a \u200d", "\xa0\u200d", "日\u200e",
    "\u2028", "\ufeffa", "\U000e0041", "\ue000", "\xad", "\ud800", "\x85"])  # fmt: skip
def test_what_hides_or_steers_is_refused_everywhere(text: str):
    assert not is_clean(text)
    assert is_clean(printable(text))
    assert is_clean(escaped(text))


def test_escapes_name_the_character():
    assert escaped("\x1b[1m\u202e\U000e0041\n", keep="\n") == "\\x1b[1m\\u202e\\U000e0041\n"


@given(st.text(max_size=12))
def test_a_look_at_the_json_misses_nothing(text: str):
    if any(unicodedata.category(c) == "Cs" for c in text):
        return
    for spelling in (json.dumps([text]), json.dumps([text], ensure_ascii=False)):
        assert is_clean(text) or may_be_unclean(spelling.encode())
    assert not may_be_unclean(b'["' + b"\\\\" * 3 + b'\\""]')


@given(st.text())
def test_escaped_twice_is_escaped_once(text: str):
    assert escaped(escaped(text)) == escaped(text)
    assert is_clean(escaped(text))
