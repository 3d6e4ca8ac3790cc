"""healthsync sink …"""

from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from healthsync_mqtt.cli import output
from healthsync_mqtt.cli.group import new_group
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.options import DATA, Data, Json, moment, now_us, type_name
from healthsync_mqtt.errors import ConfigError, UnavailableError, UsageError
from healthsync_mqtt.model.times import iso
from healthsync_mqtt.sinks.config import SinkConfig, Sinks, made

app = new_group("Where events go after the log: InfluxDB and what speaks its protocol.")
add_group = new_group("Add a sink.")
app.add_typer(add_group, name="add")

Name = Annotated[str, typer.Argument(help="The sink's name.")]
User = Annotated[str | None, typer.Option(help="Only this user's events.")]
Type = Annotated[str | None, typer.Option("--type", help="Only this type.")]
Since = Annotated[str | None, typer.Option(help="Only events from this time on: 2026-11-23, or an age such as 7d.")]

_DEFAULTS: dict[str, dict[str, Any]] = {
    "v2": {"deletes": "delete", "settle_s": 0.0},
    "v3": {"deletes": "mark", "settle_s": 0.0},
    "v1": {"deletes": "delete", "settle_s": 0.0},
    "victoria": {"deletes": "mark", "settle_s": 10.0},
}


@add_group.command("influxdb")
def add_influxdb(  # noqa: PLR0917 - one argument an option
    url: Annotated[str, typer.Argument(help="http(s)://host:port")],
    name: Annotated[str, typer.Option(help="The sink's name.")] = "influxdb",
    dialect: Annotated[str, typer.Option(help="v2 (2.x, Cloud, 1.8), v3 (3 Core), v1 (/write), victoria.")] = "v2",
    org: Annotated[str, typer.Option(help="Organisation (2.x and Cloud).")] = "-",
    bucket: Annotated[str, typer.Option(help="Bucket; database with v3 and v1.")] = "healthsync",
    token_env: Annotated[str | None, typer.Option(help="The environment variable that holds the token.")] = None,
    token_file: Annotated[Path | None, typer.Option(help="The file (mode 0600) that holds the token.")] = None,
    token_secret: Annotated[str | None, typer.Option(help="The token's file in the secrets directory.")] = None,
    ca_file: Annotated[Path | None, typer.Option(help="The CA of the server's certificate.")] = None,
    deletes: Annotated[str | None, typer.Option(help="delete or mark; the dialect's own way if left out.")] = None,
    replace: Annotated[bool, typer.Option(help="Replace the sink of this name; its place in the log stays.")] = False,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Ship all events, those of the past too, to InfluxDB or a server that speaks its protocol.

    Example: healthsync sink add influxdb http://localhost:8086 --org home --bucket health --token-env INFLUX_TOKEN
    """
    if find_spec("influxdb_client") is None:
        raise ConfigError("influxdb-client is not installed", hint="pip install 'healthsync-mqtt[influx]'")
    if dialect not in _DEFAULTS:
        raise UsageError(f"there is no dialect {dialect!r}", hint=f"one of: {', '.join(_DEFAULTS)}")
    values = _DEFAULTS[dialect] | ({"deletes": deletes} if deletes else {})
    place = {
        "env": token_env,
        "file": str(token_file.absolute()) if token_file else None,
        "secret": token_secret,
    }
    sink = made(
        name=name, url=url, dialect=dialect, org=org, bucket=bucket, token=place,
        ca_file=str(ca_file.absolute()) if ca_file else None, **values,
    )  # fmt: skip
    if not any(place.values()) and not json:
        output.say("no token is named: the server must take writes without one")
    if url.startswith("http://") and any(place.values()) and not json:
        output.say("the token goes over this connection unencrypted: use https:// outside of one machine")
    Sinks(data).put(sink, replace=replace)
    if json:
        output.emit(_described(sink))
    else:
        output.say(f"added {name}; look at it: healthsync sink status {name}")


@app.command("list")
def list_sinks(data: Data = DATA, json: Json = False) -> None:
    """List sinks.

    Example: healthsync sink list
    """
    sinks = Sinks(data)
    output.listing(
        [_described(sinks.get(name)) for name in sinks.names()],
        {"sink": "SINK", "url": "URL", "dialect": "DIALECT", "bucket": "BUCKET", "paused": "PAUSED"},
        as_json=json,
        empty="no sinks yet; add one: healthsync sink add influxdb http://localhost:8086 --token-env INFLUX_TOKEN",
    )


@app.command("status")
def status(
    name: Annotated[str | None, typer.Argument(help="The sink's name; all without one.")] = None,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Say what sinks are doing, how far behind they are, and what to do when one is paused.

    Example: healthsync sink status
    """
    sinks = Sinks(data)
    shown = [_status(data, sinks, one) for one in ([sinks.get(name).name] if name else sinks.names())]
    if json or len(shown) != 1:
        columns = {"sink": "SINK", "state": "STATE", "reason": "REASON", "lag": "LAG", "refused_lines": "REFUSED"}
        output.listing(shown, columns, as_json=json, empty="no sinks yet")
        return
    output.facts(
        (key.replace("_", " "), value) for key, value in shown[0].items() if not isinstance(value, dict | list)
    )
    for refusal in shown[0]["refused"]:
        output.say(f"refused: seq {refusal['seq']}: {refusal['reason']}: {refusal['message']}")


@app.command("pause")
def pause(name: Name, data: Data = DATA, json: Json = False) -> None:
    """Stop shipping to a sink; events stay in the log.

    Example: healthsync sink pause influxdb
    """
    _set_paused(data, name, paused=True, as_json=json)


@app.command("resume")
def resume(name: Name, data: Data = DATA, json: Json = False) -> None:
    """Ship again from where it stopped, and try a paused server now.

    Example: healthsync sink resume influxdb
    """
    _set_paused(data, name, paused=False, as_json=json)


@app.command("user")
def user_tag(
    user: Annotated[str, typer.Argument(help="The user's id.")], data: Data = DATA, json: Json = False
) -> None:
    """Show under which pseudonym (the tag `user`) sinks know a user.

    Example: healthsync sink user alice
    """
    from healthsync_mqtt.sinks.pseudonym import Pseudonyms

    with DataDirectory(data).registry() as registry:
        registry.user(user)
    Sinks(data).prepare()
    pseudonym = Pseudonyms.open(Sinks(data).pseudonyms).of(user)
    if json:
        output.emit({"user_id": user, "pseudonym": pseudonym})
    else:
        output.facts([(user, pseudonym)])


@app.command("backfill")
def backfill(  # noqa: PLR0917
    name: Name, user: User = None, type_: Type = None, since: Since = None, data: Data = DATA, json: Json = False
) -> None:
    """Ship events of the log again, beside the running service; points that are there overwrite themselves.

    Example: healthsync sink backfill influxdb --since 30d
    """
    from healthsync_mqtt.sinks.coverage import Coverage
    from healthsync_mqtt.sinks.influx.backfill import Slice, drain, overtaken
    from healthsync_mqtt.sinks.ledger import SinkLedger
    from healthsync_mqtt.sinks.worker import assemble

    sinks, sink = _ready(data, name)
    sink = sink.model_copy(update={"flush_s": 0.0, "settle_s": 0.0, "paused": False})
    since_us = moment(since, now_us()) if since else None
    with ExitStack() as stack:
        reader = stack.enter_context(_log(data))
        ledger = SinkLedger.open(sinks.ledger(name), budget=sink.series_budget)
        stack.callback(ledger.close)
        more: dict[str, Any] = {}
        if (data / "registry.db").exists():
            coverage = Coverage.open(data / "registry.db")
            stack.callback(coverage.close)
            more["permit"] = coverage.permits
        ledger.owed_due_now()
        head, counts = reader.head(), {"events": 0, "points": 0, "refused": 0}

        def ship(rows: Slice, after: int) -> None:
            shipper = assemble(sinks, sink, reader=rows, ledger=ledger, cursor=after, keep=lambda _seq: None, **more)  # type: ignore[arg-type]
            drain(shipper, lambda seq: None if json else output.say(f"{seq} of {head}"))
            for key in counts:
                counts[key] += shipper.status()["since_start"][key]

        ship(Slice(reader, through=head, user=user, type=type_name(type_) if type_ else None, since_us=since_us), 0)
        overtaken(reader, head, ship)
    if json:
        output.emit({"sink": name} | counts)
    else:
        output.facts(counts.items())


@app.command("reconcile")
def reconcile(  # noqa: PLR0917
    name: Name,
    user: User = None,
    type_: Type = None,
    since: Since = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only compare.")] = False,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Compare log and bucket per user, type and day, and repair what differs. Exit code 1 when something is left.

    Example: healthsync sink reconcile influxdb --since 7d --dry-run
    """
    from healthsync_mqtt.sinks.influx.comparison import Comparison

    _, sink = _ready(data, name)
    since_us = moment(since, now_us()) if since else None
    rows: list[dict[str, Any]] = []
    with Comparison.open(data, sink) as comparison:
        for found in comparison.run(user, type_name(type_) if type_ else None, since_us, repairing=not dry_run):
            day = datetime.fromtimestamp(found.difference.day * 86_400, UTC).date().isoformat()
            rows.append({"user_id": found.difference.user, "day": day} | found.shown())
    differing = [row for row in rows if not row["equal"]]
    columns = {
        "user_id": "USER", "measurement": "MEASUREMENT", "day": "DAY", "expected": "IN LOG", "found": "IN BUCKET",
        "missing": "MISSING", "wrong": "WRONG", "surplus": "SURPLUS", "repaired": "REPAIRED",
    }  # fmt: skip
    output.listing(rows if json else differing, columns, as_json=json, empty=f"{len(rows)} days compared, all equal")
    if any(not row["repaired"] for row in differing):
        raise typer.Exit(1)


def _ready(data: Path, name: str) -> tuple[Sinks, SinkConfig]:
    sinks = Sinks(data)
    return sinks, sinks.get(name)


def _log(data: Path) -> Any:
    log = DataDirectory(data).log()
    if log is None:
        raise UnavailableError("there is no event log yet", hint="start the service once: healthsync up")
    return log


def _described(sink: SinkConfig) -> dict[str, Any]:
    shown = sink.model_dump(mode="json")
    place = {key: value for key, value in shown.pop("token").items() if value is not None}
    return {"sink": shown.pop("name"), **shown, "token_from": place or None}


def _status(data: Path, sinks: Sinks, name: str) -> dict[str, Any]:
    from healthsync_mqtt.sinks.ledger import SinkLedger

    sink = sinks.get(name)
    shown: dict[str, Any] = {"sink": name, "state": "not started", "reason": ""}
    refused: list[Any] = []
    if sinks.ledger(name).exists():
        ledger = SinkLedger.open(sinks.ledger(name))
        shown |= ledger.state()
        shown["refused_lines"] = ledger.refused_count()
        refused = [refusal._asdict() for refusal in ledger.refused(20)]
        ledger.close()
    log = DataDirectory(data).log()
    if log is not None:
        with log:
            kept, head = log.cursor(sink.cursor) or 0, log.head()
            # What is sent and not settled yet is not behind; after a crash it is sent again, from the kept cursor.
            shown["lag"] = max(0, head - max(kept, shown.get("cursor", 0)))
            shown["cursor"] = kept
    if sink.paused:
        shown |= {"state": "paused", "reason": "paused_by_operator", "fix": f"healthsync sink resume {name}"}
    return shown | {"refused": refused, "at": iso(now_us())}


def _set_paused(data: Path, name: str, *, paused: bool, as_json: bool) -> None:
    sinks, sink = _ready(data, name)
    sinks.put(sink.model_copy(update={"paused": paused}), replace=True)
    if as_json:
        output.emit({"sink": name, "paused": paused})
    else:
        output.say(f"{name} is {'paused' if paused else 'resumed'}")
