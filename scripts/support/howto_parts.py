"""The parts of pages in docs/howto that the code knows: what to type into an app, and what becomes of its messages.

A part stands between ``<!-- from the code: FORMAT of USER's DEVICE -->`` and ``<!-- to here -->``.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from healthsync_mqtt.formats.catalogue import FORMATS
from healthsync_mqtt.formats.port import Format
from healthsync_mqtt.model.catalogue import CATALOGUE, GUARDED
from healthsync_mqtt.topics.registry import TopicRegistry

HOWTO: Final = Path(__file__).parents[2] / "docs" / "howto"
_PART: Final = re.compile(
    r"(<!-- from the code: (?P<form>\w+) of (?P<user>\w+)'s (?P<device>[\w-]+) -->\n).*?(<!-- to here -->)", re.DOTALL
)


def pages() -> dict[Path, str]:
    """Every page that has such a part, as it must be."""
    texts = {path: path.read_text(encoding="utf-8") for path in HOWTO.glob("*.md")}
    return {path: _PART.sub(_written, text) for path, text in texts.items() if _PART.search(text)}


def _written(part: re.Match[str]) -> str:
    rows = _rows(FORMATS[part["form"]], part["user"], part["device"])
    table = "\n".join(f"| {name} | {said} |" for name, said in rows)
    return f"{part[1]}\n| | |\n|---|---|\n{table}\n\n{part[5]}"


def _rows(form: Format, user: str, device: str) -> Iterator[tuple[str, str]]:
    topic = TopicRegistry.load().build("format_messages", user=user, device=device, format=form.name)
    yield "topic", f"`{topic}`"
    if form.roots:
        yield "or its own, on the embedded broker", ", ".join(f"`{root}/…`" for root in form.roots)
    types = sorted({each for taken in form.takes() for each in taken.type.split(", ") if each in CATALOGUE})
    yield "comes to", ", ".join(f"`{each}`" for each in types if each not in GUARDED)
    guarded = [each for each in types if each in GUARDED]
    if guarded:
        yield "with a consent that names it", ", ".join(f"`{each}`" for each in guarded)
    yield "word for word", f"[{form.name}](../reference/formats.md#{form.name})"
