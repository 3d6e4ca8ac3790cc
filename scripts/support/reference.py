"""Writes docs/reference from the code: topics, events, reasons, settings, metrics, commands; schemas, parts of howtos.

Beside them the types of the TypeScript client. ``--check`` compares instead.
"""

import argparse
import importlib
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer.main

from healthsync_mqtt.adapters.catalogue import known
from healthsync_mqtt.cli.main import app
from healthsync_mqtt.config.settings import ENV_PREFIX, Settings
from healthsync_mqtt.formats.catalogue import FORMATS
from healthsync_mqtt.model import reasons
from healthsync_mqtt.model.catalogue import CATALOGUE, EventType
from healthsync_mqtt.model.event_schema import example_event, words
from healthsync_mqtt.model.reasons import Reason
from healthsync_mqtt.telemetry.metrics import METRICS
from healthsync_mqtt.topics.asyncapi import topic_table
from scripts.support import howto_parts, typescript_types
from scripts.support.schema_files import DIRECTORY, files

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
MARK = "<!-- Written by scripts/docs from the code; changes made here are lost. -->"
MEMBER = re.compile(r'((?:^ +#: .*\n)+)^ +\w+ = "(\w+)"', re.MULTILINE)


def cell(text: object) -> str:
    """Text that may stand between the bars of a table."""
    return " ".join(str(text).replace("|", "\\|").split())


def row(*cells: object) -> str:
    return f"| {' | '.join(cell(each) for each in cells)} |"


def head(*names: str) -> str:
    return f"{row(*names)}\n|{'---|' * len(names)}"


def topics() -> Iterator[str]:
    yield "# Topics"
    yield (
        "From [`topics.yaml`](../../topics.yaml), the single source: access decisions, subscriptions and this table "
        "come from it. `{user}`, `{device}` and the other names in braces stand for one id each, "
        "`[A-Za-z0-9_-]{1,64}`."
    )
    yield topic_table().strip()
    yield (
        "A topic that is not in the table is refused. So is a filter with wildcards, unless every topic that it could "
        "match is allowed; filters that begin with `$` are refused always. `healthsync topic list` prints the same."
    )


def quantity_rows(event_type: EventType) -> Iterator[str]:
    for quantity in event_type.quantities:
        span = f"{quantity.low:,g} to {quantity.high:,g}"
        code = quantity.loinc or ""
        yield row(f"`{quantity.field}`", f"`{quantity.unit}`", span, code if quantity.checked else f"({code})")


def events() -> Iterator[str]:
    yield "# Types of events"
    yield (
        'The envelope is the same for all types (README, "The event"). A number outside its range is rejected with '
        "`out_of_range`; the ranges refuse what no body or sensor produces and do not judge health. Units are UCUM, "
        "codes LOINC. [schemas](schemas) has a JSON Schema (2020-12) for events of each type, for events, batches and "
        "receipts, and the AsyncAPI document; `healthsync type schema NAME` prints one."
    )
    yield (
        'A number in another unit is sent as `{"amount": 190, "unit": "lb"}` and stored in the type\'s own unit, '
        "converted exactly by its decimal digits; a unit that is not listed for the type is refused with "
        "`unknown_unit`. A code in parentheses was not seen in a table of others who use it for the same."
    )
    yield head("type", "aliases", "kind", "in a day", "sensitivity", "shapes of the value", "LOINC")
    for each in CATALOGUE.values():
        shapes = ", ".join(f"`{name}`" for name in each.forms)
        aliases = ", ".join(f"`{name}`" for name in each.aliases)
        kind = each.kind.value, each.daily.value, each.sensitivity.value
        code = each.loinc or ""
        yield row(f"[`{each.name}`](#{each.name})", aliases, *kind, shapes, code if each.checked else f"({code})")
    for each in CATALOGUE.values():
        yield f"## {each.name}"
        if each.quantities:
            yield head("field", "unit", "range", "LOINC")
            yield from quantity_rows(each)
        for field, listed in words(each).items():
            yield f"`{field}` is one of: {', '.join(listed)}."
        if each.max_span_us is not None:
            hours = each.max_span_us // 3_600_000_000
            yield f"`start_time` and `end_time` are required, at most {hours:,} hours apart."
        if "amount" in each.forms:
            yield f"Units: {', '.join(f'`{unit}`' for unit in each.quantities[0].taken)}."
        yield f"```json\n{json.dumps(example_event(each), ensure_ascii=False)}\n```"


def reason_texts() -> dict[str, str]:
    """Each reason's word and what the comment above it says."""
    source = inspect.getsource(reasons)
    return {word: " ".join(re.sub(r"#: ?", "", comment).split()) for comment, word in MEMBER.findall(source)}


def rejections() -> Iterator[str]:
    yield "# Reasons"
    yield (
        "Why an event was not accepted: one closed vocabulary for receipts (`rejected[].code`), `healthsync rejected "
        "list`, counters and the log. Words are never renamed and never reused."
    )
    yield head("reason", "meaning")
    texts = reason_texts()
    for reason in Reason:
        yield row(f"`{reason.value}`", texts[reason.value])


def default(value: object) -> str:
    if value is None or value == ():
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def settings() -> Iterator[str]:
    yield "# Settings"
    yield (
        "An option of the command comes before the environment, the environment before `healthsync.toml` in the data "
        "directory, and that before the default. A key with a dot is a key in a section of the file. Unknown keys "
        "are refused."
    )
    yield head("setting", "environment", "default", "meaning")
    for setting in Settings().describe():
        variable = ENV_PREFIX + setting.key.upper().replace(".", "__")
        yield row(f"`{setting.key}`", f"`{variable}`", default(setting.value), setting.summary)


def metrics() -> Iterator[str]:
    yield "# Metrics"
    yield (
        "`GET /metrics` on the address `metrics.host`:`metrics.port` ([settings](settings.md)), in Prometheus' text "
        "format. Labels come from closed sets or are names of sinks; no user, device or value is in them. What an "
        "installation does not have is left out. How to use them: [operations](../operations.md#metrics)."
    )
    yield head("metric", "type", "labels", "meaning")
    for each in METRICS:
        labels = ", ".join(f"`{label}`" for label in each.labels)
        yield row(f"`{each.full_name}`", each.kind.value, labels, each.help)


def commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Every command that can be run, by its full name."""
    members = getattr(command, "commands", None)
    if members is None:
        yield path, command
        return
    for name, member in members.items():
        if not member.hidden:
            yield from commands(member, f"{path} {name}")


def parameter_rows(command: Any) -> Iterator[str]:
    for parameter in command.params:
        if getattr(parameter, "hidden", False) or parameter.name == "help":
            continue
        names = "/".join([*parameter.opts, *parameter.secondary_opts])
        if parameter.param_type_name == "argument":
            names = (parameter.metavar or str(parameter.name)).upper()
        yield row(f"`{names}`", getattr(parameter, "help", "") or "")


def cli() -> Iterator[str]:
    yield "# Commands"
    yield (
        "Every command prints for people on a terminal and takes `--json` for programs: fields are added, never "
        "renamed. Data goes to stdout, everything else to stderr. Exit codes: 0 done, 1 failed, 2 wrong usage, 69 "
        "service or store not reachable, 77 refused, 78 wrong settings."
    )
    for name, command in commands(typer.main.get_command(app), "healthsync"):
        yield f"## {name}"
        yield inspect.cleandoc(command.help or "").replace("\b\n", "")
        rows = list(parameter_rows(command))
        if rows:
            yield head("argument or option", "meaning")
            yield from rows


def formats() -> Iterator[str]:
    yield "# Payload formats"
    yield (
        "What apps and gadgets that exist send, as it is taken. Each value comes to the event that a device of ours "
        "would have sent: units are converted exactly, times need an offset or a declared zone, nothing is guessed. "
        "What is not taken is refused by its place in the message, with a [reason](reasons.md), or is not of health. A "
        "bucket or record that is sent again keeps its id: the same is a duplicate, another value supersedes; where a "
        "source has no modification time, the order of arrival decides. Any other device: "
        "[a declared mapping](../howto/mapping.md)."
    )
    yield head("format", "what sends it", "its own topics")
    for form in FORMATS.values():
        roots = ", ".join(f"`{root}/…`" for root in form.roots)
        yield row(f"[`{form.name}`](#{form.name})", form.summary, roots)
    for form in FORMATS.values():
        yield f"## {form.name}"
        yield (inspect.getmodule(type(form)).__doc__ or "").strip()
        yield head("there", "here", "")
        for taken in form.takes():
            names = ", ".join(f"`{each}`" if each in CATALOGUE else each for each in taken.type.split(", "))
            yield row(taken.source, names, taken.about)


def adapters() -> Iterator[str]:
    yield "# Adapters"
    yield (
        "What clouds hold of a user, as it is taken: their field, the type of event that it becomes, and the unit"
        " that it comes in where that is not ours. `healthsync adapter map PROVIDER KIND FILE` shows what an "
        "answer comes to. What the provider calls not measured is no event; what cannot be read is left out by "
        "its place, and its neighbours are taken. A record with an id of the provider's keeps one here, whatever "
        "in it changes; where the provider says no time of change, the newest answer holds. A deleted record is a"
        " tombstone. What a provider says of a day is of a `daily` type, with its date as `source.local_date`: "
        "where no zone is known the day begins at midnight UTC, without an offset. An adapter of one's own: "
        "[adapter-spec](../adapter-spec.md)."
    )
    yield head("adapter", "let in by", "data comes by", "state")
    found = known().adapters
    for name, adapter in found.items():
        capability = adapter.capability
        ways = ", ".join(sorted(way.value for way in capability.delivery))
        yield row(f"[`{name}`](#{name})", capability.auth.value, ways, capability.reason or capability.state.value)
    for name, adapter in found.items():
        capability, mapping = adapter.capability, adapter.mapping
        yield f"## {name}"
        module = importlib.import_module(f"healthsync_mqtt.adapters.providers.{name}")
        yield (module.__doc__ or "").strip()
        if capability.about or capability.hint:
            yield ". ".join(part for part in (capability.about, capability.hint) if part)
        if capability.budgets:
            limits = ", ".join(
                f"{each.requests:,} requests in {each.seconds:,} s {'for a user' if each.per_user else 'in all'}"
                for each in capability.budgets
            )
            yield f"Asked at most: {limits}."
        if mapping is not None:
            yield f"Kinds of answers: {', '.join(f'`{kind}`' for kind in mapping.kind_names)}."
            yield head("there", "here", "LOINC", "")
            for taken in mapping.takes():
                code = CATALOGUE[taken.type].loinc if taken.type in CATALOGUE else ""
                yield row(f"`{taken.source}`", f"`{taken.type}`", code or "", taken.about)


PAGES: dict[str, Callable[[], Iterator[str]]] = {
    "topics.md": topics,
    "events.md": events,
    "formats.md": formats,
    "adapters.md": adapters,
    "reasons.md": rejections,
    "settings.md": settings,
    "metrics.md": metrics,
    "cli.md": cli,
}


def page(name: str) -> str:
    """The whole text of a page: blocks are separated by an empty line, rows of a table are not."""
    blocks = list(PAGES[name]())
    text = f"{blocks[0]}\n\n{MARK}\n"
    before = ""
    for block in blocks[1:]:
        joined = block.startswith("|") and before.startswith("|")
        text += block + "\n" if joined else f"\n{block}\n"
        before = block
    return text


def main() -> int:
    """Exit code 1 when ``--check`` finds a page that is not what the code says."""
    parser = argparse.ArgumentParser(prog="scripts/docs", description="Writes docs/reference from the code.")
    parser.add_argument("--check", action="store_true", help="change nothing; fail when a page is out of date")
    check = parser.parse_args().check
    wanted = {REFERENCE / name: page(name) for name in PAGES}
    wanted |= {DIRECTORY / name: text for name, text in files().items()} | howto_parts.pages()
    wanted[typescript_types.PATH] = typescript_types.page()
    stale = [path.name for path, text in wanted.items() if not path.exists() or path.read_text("utf-8") != text]
    gone = [path for path in DIRECTORY.rglob("*.json") if path not in wanted]
    stale += [path.name for path in gone]
    if not check:
        for path, text in wanted.items():
            if path.name in stale:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
        for path in gone:
            path.unlink()
    if check and stale:
        sys.stdout.write(f"out of date: {', '.join(stale)}; run scripts/docs\n")
    return bool(check and stale)


if __name__ == "__main__":
    sys.exit(main())
