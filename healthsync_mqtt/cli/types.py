"""healthsync type …"""

from typing import Annotated, Any

import typer

from healthsync_mqtt.cli import completion, output
from healthsync_mqtt.cli.group import new_group
from healthsync_mqtt.cli.options import DATA, FreshData, Json, type_name
from healthsync_mqtt.model.catalogue import CATALOGUE, EventType
from healthsync_mqtt.model.facts import described, facts_of_fields

app = new_group("The types of events.")

Name = Annotated[str, typer.Argument(help="The type, or an alias of it.", autocompletion=completion.types)]


@app.command("list")
def list_types(
    data: FreshData = DATA,  # noqa: ARG001  # --data is taken everywhere
    json: Json = False,
) -> None:
    """List the types of events: their numbers with units and ranges, and who may have them.

    Example: healthsync type list
    """
    if json:
        for each in CATALOGUE.values():
            output.emit(described(each))
        return
    output.listing(
        map(_row, CATALOGUE.values()),
        {
            "name": "TYPE",
            "kind": "KIND",
            "fields": "FIELDS",
            "daily": "IN A DAY",
            "sensitivity": "SENSITIVITY",
            "aliases": "ALIASES",
        },
        as_json=False,
    )


@app.command("show")
def show_type(
    name: Name,
    data: FreshData = DATA,  # noqa: ARG001  # --data is taken everywhere
    json: Json = False,
) -> None:
    """Show one type: its fields, the units that it takes, an example.

    Example: healthsync type show glucose
    """
    of = CATALOGUE[type_name(name)]
    if json:
        output.emit(detailed(of))
        return
    from healthsync_mqtt.model.event_schema import example_event, words

    facts: list[tuple[str, object]] = [
        ("type", of.name),
        ("aliases", ", ".join(of.aliases)),
        ("kind", of.kind.value),
        ("in a day", of.daily.value),
        ("sensitivity", of.sensitivity.value),
        ("LOINC", of.loinc),
        ("shapes", ", ".join(of.forms)),
    ]
    facts += [(each["name"], _range(each)) for each in facts_of_fields(of)]
    facts += [(name, ", ".join(listed)) for name, listed in words(of).items()]
    facts += [(f"{name} also in", ", ".join(units)) for name, units in _units(of).items() if len(units) > 1]
    output.facts([(what, said) for what, said in facts if said])
    output.emit(example_event(of))


@app.command("schema")
def schema(
    name: Name,
    canonical: Annotated[
        bool, typer.Option("--canonical", help="Of the canonical event, which subscribers and sinks are given.")
    ] = False,
    data: FreshData = DATA,  # noqa: ARG001  # --data is taken everywhere
    json: Json = False,  # noqa: ARG001  # it is JSON always
) -> None:
    """Print the JSON Schema (2020-12) of a whole event of one type.

    Example: healthsync type schema heart_rate
    """
    from healthsync_mqtt.model.event_schema import canonical_schema, event_schema

    of = CATALOGUE[type_name(name)]
    output.emit(canonical_schema(of) if canonical else event_schema(of))


def detailed(of: EventType) -> dict[str, Any]:
    """The same with the shapes of its value, the units that it takes, and an example."""
    from healthsync_mqtt.model.event_schema import example_event, words

    more = {"forms": list(of.forms), "units": _units(of), "words": words(of), "example": example_event(of)}
    return described(of) | more


def _units(of: EventType) -> dict[str, list[str]]:
    """By field, the units that ``{"amount": …, "unit": …}`` may name; where there is no such form, none."""
    if "amount" not in of.forms:
        return {}
    return {each.field: list(each.taken) for each in of.quantities}


def _range(field: dict[str, Any]) -> str:
    return f"{field['low']:,g} to {field['high']:,g} {field['unit']}"


def _row(of: EventType) -> dict[str, Any]:
    fields = ", ".join(f"{each['name']} ({_range(each)})" for each in facts_of_fields(of)[:3])
    more = len(of.quantities) - 3
    return described(of) | {
        "fields": fields + (f", and {more} more" if more > 0 else ""),
        "aliases": ", ".join(of.aliases),
    }
