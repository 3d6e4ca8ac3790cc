"""Everything about one person as one archive: a ZIP with an index that people read, and files that programs read."""

import html
import json
import zipfile
from collections.abc import Iterable, Mapping
from typing import IO, Any, Final, NamedTuple

_PAGE: Final = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>body {{ font: 1rem/1.5 sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem }}
td, th {{ text-align: left; padding: .2rem 1rem .2rem 0; vertical-align: top }}</style>
<h1>{title}</h1>
<p>Written {at}. A file that ends in <code>.jsonl</code> has one object a line; times are UTC.</p>
<table><tr><th>file<th>entries<th>what it is</tr>
{rows}</table>
</html>
"""


class ArchivePart(NamedTuple):
    """One file of the archive: its name, what people are told of it, and its objects as they come."""

    name: str
    about: str
    rows: Iterable[Mapping[str, Any] | bytes]


def write_person(file: IO[bytes], title: str, at: str, parts: Iterable[ArchivePart]) -> dict[str, int]:
    """Write the archive, one object at a time; how many each file has. The index comes last, when that is known."""
    counts: dict[str, int] = {}
    about: dict[str, str] = {}
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, allowZip64=True) as archive:
        for part in parts:
            about[part.name], counts[part.name] = part.about, 0
            with archive.open(part.name, "w", force_zip64=True) as into:
                for row in part.rows:
                    into.write((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n")
                    counts[part.name] += 1
        archive.writestr("index.html", _index(title, at, counts, about))
    return counts


def _index(title: str, at: str, counts: Mapping[str, int], about: Mapping[str, str]) -> str:
    rows = "".join(
        f'<tr><td><a href="{name}">{name}</a><td>{count}<td>{html.escape(about[name])}</tr>\n'
        for name, count in counts.items()
    )
    return _PAGE.format(title=html.escape(title), at=html.escape(at), rows=rows)
