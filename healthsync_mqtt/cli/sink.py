"""healthsync sink …"""

from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from healthsync_mqtt.cli import completion, output
from healthsync_mqtt.cli.group import new_group
from healthsync_mqtt.cli.installation import DataDirectory, expect
from healthsync_mqtt.cli.options import DATA, Data, DryRun, Json, Yes, moment, now_us, type_name
from healthsync_mqtt.cli.sink_setup import add_group, set_sink, tested
from healthsync_mqtt.descriptions.outlets import described_sink, sink_status, sink_statuses
from healthsync_mqtt.errors import UnavailableError, UsageError
from healthsync_mqtt.sinks.config import InfluxConfig, KafkaConfig, Sinks

if TYPE_CHECKING:
    from collections.abc import Callable

    from healthsync_mqtt.model.record import Record
    from healthsync_mqtt.sinks.influx.backfill import Slice

app = new_group("Where events go after the log: InfluxDB and what speaks its protocol.")
app.add_typer(add_group, name="add")
app.command("set")(set_sink)

#: States in which events arrive, or nobody wants them to.
_WELL = {"idle", "shipping", "not started"}

Name = Annotated[str, typer.Argument(help="The sink's name.", autocompletion=completion.sinks)]
User = Annotated[str | None, typer.Option(help="Only this user's events.", autocompletion=completion.users)]
Type = Annotated[str | None, typer.Option("--type", help="Only this type.", autocompletion=completion.types)]
Since = Annotated[str | None, typer.Option(help="Only events from this time on: 2026-11-23, or an age such as 7d.")]


@app.command("list")
def list_sinks(data: Data = DATA, json: Json = False) -> None:
    """List sinks.

    Example: healthsync sink list
    """
    sinks = Sinks(data)
    output.listing(
        [described_sink(sinks.get(name)) for name in sinks.names()],
        {"sink": "SINK", "kind": "KIND", "target": "WHERE", "paused": "SUSPENDED"},
        as_json=json,
        empty="no sinks yet; add one: healthsync sink add influxdb http://localhost:8086 --token-env INFLUX_TOKEN",
    )


@app.command("status")
def status(
    name: Annotated[
        str | None, typer.Argument(help="The sink's name; all without one.", autocompletion=completion.sinks)
    ] = None,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Say what sinks are doing, how far behind they are, and what to do. Exit code 1 when one does not ship.

    Example: healthsync sink status
    """
    sinks = Sinks(data)
    shown = sink_statuses(data, sinks, [name] if name else sinks.names())
    _show(shown, as_json=json)
    if any(one["state"] not in _WELL and one["reason"] != "paused_by_operator" for one in shown):
        raise typer.Exit(1)


def _show(shown: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json or len(shown) != 1:
        columns = {
            "sink": "SINK",
            "state": "STATE",
            "since": "SINCE",
            "reason": "REASON",
            "lag": "LAG",
            "refused_lines": "REFUSED",
        }
        columns |= {"message": "MESSAGE", "fix": "FIX"}
        output.listing(shown, columns, as_json=as_json, empty="no sinks yet")
        return
    output.facts(
        (key.replace("_", " "), value) for key, value in shown[0].items() if not isinstance(value, dict | list)
    )
    for refusal in shown[0]["refused"]:
        output.say(f"refused: seq {refusal['seq']}: {refusal['reason']}: {refusal['message']}")


@app.command("show")
def show(name: Name, data: Data = DATA, json: Json = False) -> None:
    """Show what a sink is configured with, and what it is doing.

    Example: healthsync sink show influxdb
    """
    sinks = Sinks(data)
    shown = described_sink(sinks.get(name)) | {"status": sink_status(data, sinks, name)}
    if json:
        output.emit(shown)
        return
    status = shown.pop("status")
    output.facts((key.replace("_", " "), value) for key, value in shown.items() if value is not None)
    output.facts(
        (key, status[key])
        for key in ("state", "since", "reason", "message", "lag")
        if status.get(key) not in {None, ""}
    )


@app.command("test")
def try_sink(name: Name, data: Data = DATA, json: Json = False) -> None:
    """Try whether a sink works: write a point of no type, read it, delete it. Exit code 69 when it would not ship.

    Example: healthsync sink test influxdb
    """
    findings = tested(Sinks(data).get(name))
    output.listing(
        [finding._asdict() for finding in findings],
        {"tried": "TRIED", "works": "GOOD", "message": "MESSAGE"},
        as_json=json,
        empty="nothing was tried",
    )


@app.command("remove")
def remove(name: Name, yes: Yes = False, dry_run: DryRun = False, data: Data = DATA, json: Json = False) -> None:
    """Stop shipping to a sink and forget it. What it has already got stays there; added again, it begins anew.

    Example: healthsync sink remove influxdb --yes
    """
    sinks = Sinks(data)
    found = sinks.get(name)
    if dry_run:
        output.told(
            {"sink": name, "removed": False}, f"would forget {name}, which ships to {found.target}", as_json=json
        )
        return
    output.must_agree(
        f"Remove the sink {name}? Its server keeps what it has",
        f"healthsync sink remove {name} --yes",
        yes=yes,
        as_json=json,
    )
    sinks.remove(name)
    DataDirectory(data).audit("sink.removed", sink=name)
    output.told({"sink": name, "removed": True}, f"{name} is removed; its server keeps what it has", as_json=json)


@app.command("suspend")
def suspend(name: Name, data: Data = DATA, json: Json = False) -> None:
    """Stop shipping to a sink; events stay in the log.

    Example: healthsync sink suspend influxdb
    """
    _set_paused(data, name, paused=True, as_json=json)


@app.command("pause", hidden=True)
def pause(name: Name, data: Data = DATA, json: Json = False) -> None:
    """Stop shipping to a sink: the older word for suspend.

    Example: healthsync sink pause influxdb
    """
    _set_paused(data, name, paused=True, as_json=json)


@app.command("resume")
def resume(name: Name, data: Data = DATA, json: Json = False) -> None:
    """Ship again from where it stopped, and try a paused server now.

    Example: healthsync sink resume influxdb
    """
    _set_paused(data, name, paused=False, as_json=json)


@app.command("adopt")
def adopt_sinks(yes: Yes = False, data: Data = DATA, json: Json = False) -> None:
    """Let this directory's sinks be those of the log that bridges share, where the directory they were in is lost.

    What that directory alone knows is lost: under which names its sinks have persons, who are erased from there by no
    other name. Where it still is, give this bridge that one, or take its names over first: healthsync bridge join.

    Example: healthsync sink adopt --yes
    """
    from healthsync_mqtt.sinks import belonging
    from healthsync_mqtt.sinks.bridge_part import BridgePart
    from healthsync_mqtt.storage.opening import claimed_sinks

    if claimed_sinks(data) is None:
        raise UsageError("the log is this bridge's own, and so are its sinks", hint="healthsync sink list")
    if not BridgePart.read(data).home:
        raise UsageError(
            "the sinks of a log that bridges share belong to the bridge at home",
            hint="adopt them where the registry is, or where registry.home is true",
        )
    if belonging.elsewhere(data) is not None:
        output.must_agree(
            "Run the sinks of the log from here? What only their other directory knows is lost",
            "healthsync sink adopt --yes",
            yes=yes,
            as_json=json,
        )
    adopted = belonging.adopt(data)
    if adopted:
        DataDirectory(data).audit("sink.adopted")
    said = "the sinks of the log are run from here" if adopted else "they were run from here already"
    output.told({"adopted": adopted}, said, as_json=json)


@app.command("user")
def user_tag(
    user: Annotated[str, typer.Argument(help="The user's id.", autocompletion=completion.users)],
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Show under which pseudonym (the tag `user`) sinks know a user.

    Example: healthsync sink user alice
    """
    from healthsync_mqtt.sinks.belonging import refuse_elsewhere
    from healthsync_mqtt.sinks.kinds import known_pseudonyms

    refuse_elsewhere(data)
    with DataDirectory(data).registry() as registry:
        registry.user(user)
    Sinks(data).prepare()
    pseudonym = known_pseudonyms(Sinks(data)).of(user)
    if json:
        output.emit({"user_id": user, "pseudonym": pseudonym})
    else:
        output.facts([(user, pseudonym)])


@app.command("backfill")
def backfill(  # noqa: PLR0917
    name: Name,
    user: User = None,
    type_: Type = None,
    since: Since = None,
    dry_run: DryRun = False,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Ship events of the log again, beside the running service; points that are there overwrite themselves.

    Example: healthsync sink backfill influxdb --since 30d
    """
    from healthsync_mqtt.sinks.belonging import refuse_elsewhere
    from healthsync_mqtt.sinks.bridge_part import BridgePart
    from healthsync_mqtt.sinks.coverage import Coverage
    from healthsync_mqtt.sinks.influx.backfill import Slice, drain, overtaken
    from healthsync_mqtt.sinks.kinds import open_ledger
    from healthsync_mqtt.sinks.worker import assemble

    sinks, sink = _ready(data, name)
    refuse_elsewhere(data)
    expect(DataDirectory(data), user)
    sink = sink.model_copy(update={"flush_s": 0.0, "settle_s": 0.0, "paused": False})
    since_us = moment(since, now_us()) if since else None
    with ExitStack() as stack:
        part = BridgePart.read(data)
        reader = part.rows(stack.enter_context(_log(data)))
        if dry_run:
            wanted = Slice(
                reader, through=reader.head(), user=user, type=type_name(type_) if type_ else None, since_us=since_us
            )
            events = _count(wanted)
            output.told({"sink": name, "events": events}, f"would ship {events} events again", as_json=json)
            return
        ledger = open_ledger(sinks, sink, reader)
        stack.callback(ledger.close)
        more: dict[str, Any] = {}
        if part.registry.exists():
            coverage = Coverage.open(part.registry)
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
    dry_run: DryRun = False,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Compare log and sink, and repair what differs. Exit code 1 when something is left.

    Points of InfluxDB per user, type and day; messages of Kafka one by one.

    Example: healthsync sink reconcile influxdb --since 7d --dry-run
    """
    from healthsync_mqtt.sinks.comparison import Comparison

    since_us = moment(since, now_us()) if since else None
    if isinstance(kafka := Sinks(data).get(name), KafkaConfig):
        expect(DataDirectory(data), user)
        wanted = _wanted(user, type_name(type_) if type_ else None, since_us)
        _reconcile_topic(data, kafka, wanted, repairing=not dry_run, as_json=json)
        return
    _, sink = _ready(data, name)
    expect(DataDirectory(data), user)
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


def _wanted(user: str | None, kind: str | None, since_us: int | None) -> "Callable[[Record], bool]":
    """Rows that are asked for."""

    def wanted(record: "Record") -> bool:
        of_user, of_type = user in {None, record.user}, kind in {None, record.type}
        return of_user and of_type and (since_us is None or record.start_us >= since_us)

    return wanted


def _reconcile_topic(
    data: Path, sink: KafkaConfig, wanted: "Callable[[Record], bool]", *, repairing: bool, as_json: bool
) -> None:
    from healthsync_mqtt.sinks.topic_comparison import TopicComparison

    with TopicComparison.open(data, sink) as comparison:
        found = comparison.run(wanted, repairing=repairing)
    if as_json:
        output.emit({"sink": sink.name} | found.shown())
    else:
        output.facts(found.shown().items())
    if found.doubled or not found.repaired:
        raise typer.Exit(1)


def _count(rows: "Slice") -> int:
    after = events = 0
    while page := rows.read(after, 1_000):
        events, after = events + len(page), page[-1].seq
    return events


def _ready(data: Path, name: str) -> tuple[Sinks, InfluxConfig]:
    sinks = Sinks(data)
    return sinks, sinks.influx(name)


def _log(data: Path) -> Any:
    log = DataDirectory(data).log()
    if log is None:
        raise UnavailableError("there is no event log yet", hint="start the service once: healthsync up")
    return log


def _set_paused(data: Path, name: str, *, paused: bool, as_json: bool) -> None:
    sinks = Sinks(data)
    sinks.put(sinks.get(name).model_copy(update={"paused": paused}), replace=True)
    DataDirectory(data).audit("sink.suspended" if paused else "sink.resumed", sink=name)
    if as_json:
        output.emit({"sink": name, "paused": paused})
    else:
        output.say(f"{name} is {'suspended' if paused else 'resumed'}")
