"""Which characters a text may have: one rule for events, the command line and logs.

Refused are the Unicode categories Cc (controls), Cf (invisible formatting: bidirectional overrides, tags, the byte
order mark), Zl and Zp (line and paragraph separators), Co (private use) and Cs (half a surrogate pair). Exceptions:

- a zero-width joiner or non-joiner (U+200D, U+200C) right after a visible character outside ASCII, where emoji,
  Persian and the scripts of India need it; two of them in a row, or one after ASCII, do nothing but hide;
- the Arabic, Syriac and Kaithi signs that stand before a number: they are of category Cf and nevertheless visible.
"""

import re
from typing import Final

# Written out, because asking unicodedata for a million characters takes longer than the program takes to start.
_ALWAYS: Final = (
    "\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2064\u2066-\u206f\ud800-\uf8ff\ufeff"
    "\ufff9-\ufffb\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0001\U000e0020-\U000e007f"
    "\U000f0000-\U000ffffd\U00100000-\U0010fffd"
)
#: Of category Cf, and visible.
NUMBER_SIGNS: Final = frozenset(
    "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
)

_JOINERS = "\u200c\u200d"
_ANY = re.compile(f"[{_JOINERS}{_ALWAYS}]")
_ANY_IN_JSON = re.compile(rf"\\|[{_JOINERS}{_ALWAYS}]")
_FORBIDDEN = re.compile(f"[{_ALWAYS}]|(?<![^\x00-\xa0\u200c\u200d{_ALWAYS}])[\u200c\u200d]")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")
_FORBIDDEN_IN_JSON = re.compile(r"(?<!\\)(?:\\\\)*+\\[^\"\\/]|" + _FORBIDDEN.pattern)


def is_clean(text: str) -> bool:
    """Whether a text has only characters that a text may have."""
    return _ANY.search(text) is None or _FORBIDDEN.search(text) is None


def may_be_unclean(json: bytes) -> bool:
    """Whether compact JSON could hold a text that is not clean; never False when it does. Raises UnicodeDecodeError."""
    if json.isascii() and 0x7F not in json and 0x5C not in json:
        return False
    text = json.decode()
    return _ANY_IN_JSON.search(text) is not None and _FORBIDDEN_IN_JSON.search(text) is not None


def printable(text: str, longest: int = 64) -> str:
    """A text of a sender, made safe to show: cut, each character that it may not have replaced by U+FFFD."""
    return _FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", text[:longest])


def escaped(text: str, *, keep: str = "") -> str:
    r"""A text with each character that it may not have written as ``\xNN``, ``\uNNNN`` or ``\UNNNNNNNN``.

    Nothing is lost, and a terminal obeys none of it. ``keep`` names the characters that stay as they are.
    """
    return _FORBIDDEN.sub(lambda found: found[0] if found[0] in keep else _escape(found[0]), text)


def escaped_json(json: str) -> str:
    r"""JSON on one line with each character that a text may not have as ``\uNNNN``: the same value, safe to show."""
    return _FORBIDDEN.sub(_escape_json, json)


def ascii_json(json: str) -> str:
    r"""JSON with everything outside ASCII as ``\uNNNN``: the same value, for a terminal that knows nothing else."""
    return _NOT_ASCII.sub(_escape_json, json)


def _escape_json(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def _escape(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
