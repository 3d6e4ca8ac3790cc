"""healthsync sink add …, sink set: what a sink is configured with, tried before it is stored."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from healthsync_mqtt.cli import completion, output
from healthsync_mqtt.cli.group import new_group
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.options import DATA, Data, FreshData, Json
from healthsync_mqtt.descriptions.outlets import described_sink
from healthsync_mqtt.errors import ConfigError, UnavailableError, UsageError
from healthsync_mqtt.sinks.config import AnyConfig, SinkConfig, Sinks, made
from healthsync_mqtt.sinks.ledger import SinkLedger
from healthsync_mqtt.sinks.port import TrialFinding
from healthsync_mqtt.sinks.pseudonym import LostPseudonymError

add_group = new_group("Add a sink.")

Replace = Annotated[bool, typer.Option(help="Replace the sink of this name; its place in the log stays.")]
NoTest = Annotated[bool, typer.Option("--no-test", help="Store it without trying whether it works.")]
TokenEnv = Annotated[str | None, typer.Option(help="The environment variable that holds the token.")]
TokenFile = Annotated[Path | None, typer.Option(help="The file (mode 0600) that holds the token.")]
TokenSecret = Annotated[str | None, typer.Option(help="The token's file in the secrets directory.")]
CaFile = Annotated[Path | None, typer.Option(help="The CA of the server's certificate.")]

_SETS: Final = "healthsync sink set --help"
_DEFAULTS: dict[str, dict[str, Any]] = {
    "v2": {"deletes": "delete", "settle_s": 0.0},
    "v3": {"deletes": "mark", "settle_s": 0.0},
    "v1": {"deletes": "delete", "settle_s": 0.0},
    "victoria": {"deletes": "mark", "settle_s": 20.0},
}


@add_group.command("influxdb")
def add_influxdb(  # noqa: PLR0917 - one argument an option
    url: Annotated[str, typer.Argument(help="http(s)://host:port")],
    name: Annotated[str, typer.Option(help="The sink's name.")] = "influxdb",
    dialect: Annotated[
        str,
        typer.Option(
            help="v2 (2.x, Cloud, 1.8), v3 (3 Core), v1 (/write), victoria.", autocompletion=completion.dialects
        ),
    ] = "v2",
    org: Annotated[str, typer.Option(help="Organisation (2.x and Cloud).")] = "-",
    bucket: Annotated[str, typer.Option(help="Bucket; database with v3 and v1.")] = "healthsync",
    token_env: TokenEnv = None,
    token_file: TokenFile = None,
    token_secret: TokenSecret = None,
    ca_file: CaFile = None,
    deletes: Annotated[
        str | None,
        typer.Option(help="delete or mark; the dialect's own way if left out.", autocompletion=completion.deletions),
    ] = None,
    replace: Replace = False,
    no_test: NoTest = False,
    data: FreshData = DATA,
    json: Json = False,
) -> None:
    """Ship all events, those of the past too, to InfluxDB or a server that speaks its protocol, if a test point works.

    Example: healthsync sink add influxdb http://localhost:8086 --org home --bucket health --token-env INFLUX_TOKEN
    """
    if find_spec("influxdb_client") is None:
        raise ConfigError("influxdb-client is not installed", hint="in the checkout: pip install '.[influx]'")
    if dialect not in _DEFAULTS:
        raise UsageError(f"there is no dialect {dialect!r}", hint=f"one of: {', '.join(_DEFAULTS)}")
    values = _DEFAULTS[dialect] | ({"deletes": deletes} if deletes else {})
    place = _token_place(token_env, token_file, token_secret)
    sink = made(
        kind="influxdb", name=name, url=url, dialect=dialect, org=org, bucket=bucket, token=place,
        ca_file=str(ca_file.absolute()) if ca_file else None, **values,
    )  # fmt: skip
    if not any(place.values()) and not json:
        output.say("no token is named: the server must take writes without one")
    if url.startswith("http://") and any(place.values()) and not json:
        output.say("the token goes over this connection unencrypted: use https:// outside of one machine")
    _store(data, sink, replace=replace, test=not no_test, as_json=json)


@add_group.command("file")
def add_file(  # noqa: PLR0917 - one argument an option
    path: Annotated[Path, typer.Argument(help="A folder of its own.")],
    name: Annotated[str, typer.Option(help="The sink's name.")] = "file",
    file_bytes: Annotated[int, typer.Option(help="Begin a new file where one has this many bytes.")] = 256_000_000,
    replace: Replace = False,
    no_test: NoTest = False,
    data: FreshData = DATA,
    json: Json = False,
) -> None:
    """Write all events, those of the past too, as NDJSON into a folder: one canonical event a line, tombstones too.

    What users' days come to is beside them, in files of their own.

    Example: healthsync sink add file /srv/health/events
    """
    sink = made(kind="file", name=name, path=str(path.absolute()), file_bytes=file_bytes)
    _store(data, sink, replace=replace, test=not no_test, as_json=json)


@add_group.command("kafka")
def add_kafka(  # noqa: PLR0917 - one argument an option
    servers: Annotated[str, typer.Argument(help="HOST:PORT, or several with commas between them.")],
    name: Annotated[str, typer.Option(help="The sink's name.")] = "kafka",
    topic: Annotated[str, typer.Option(help="The topic of events; it has to be there.")] = "healthsync.events",
    latest_topic: Annotated[
        str | None, typer.Option(help="A compacted topic for the latest version of each event, too.")
    ] = None,
    days_topic: Annotated[str | None, typer.Option(help="A compacted topic for what users' days come to, too.")] = None,
    user: Annotated[str | None, typer.Option(help="Who logs in; the token is this user's password.")] = None,
    mechanism: Annotated[
        str, typer.Option(help="scram-sha-512, scram-sha-256 or plain.", autocompletion=completion.mechanisms)
    ] = "scram-sha-512",
    token_env: TokenEnv = None,
    token_file: TokenFile = None,
    token_secret: TokenSecret = None,
    plaintext: Annotated[bool, typer.Option("--plaintext", help="Without TLS: within one machine.")] = False,
    ca_file: CaFile = None,
    replace: Replace = False,
    no_test: NoTest = False,
    data: FreshData = DATA,
    json: Json = False,
) -> None:
    """Send all events, those of the past too, to a Kafka topic: canonical events keyed by user, deletions as nulls.

    Example: healthsync sink add kafka kafka.example:9093 --user healthsync --token-file kafka.password
    """
    if find_spec("confluent_kafka") is None:
        raise ConfigError("confluent-kafka is not installed", hint="in the checkout: pip install '.[kafka]'")
    place = _token_place(token_env, token_file, token_secret)
    sink = made(
        kind="kafka", name=name, servers=servers, topic=topic, latest_topic=latest_topic, days_topic=days_topic,
        user=user, mechanism=mechanism, token=place, plaintext=plaintext,
        ca_file=str(ca_file.absolute()) if ca_file else None,
    )  # fmt: skip
    if plaintext and user and not json:
        output.say("the password goes over this connection unencrypted: use TLS outside of one machine")
    _store(data, sink, replace=replace, test=not no_test, as_json=json)


def set_sink(  # noqa: PLR0917 - one argument an option
    name: Annotated[str, typer.Argument(help="The sink's name.", autocompletion=completion.sinks)],
    url: Annotated[str | None, typer.Option(help="http(s)://host:port")] = None,
    org: Annotated[str | None, typer.Option(help="Organisation (2.x and Cloud).")] = None,
    bucket: Annotated[str | None, typer.Option(help="Bucket; database with v3 and v1.")] = None,
    token_env: TokenEnv = None,
    token_file: TokenFile = None,
    token_secret: TokenSecret = None,
    ca_file: CaFile = None,
    deletes: Annotated[str | None, typer.Option(help="delete or mark.", autocompletion=completion.deletions)] = None,
    batch_bytes: Annotated[int | None, typer.Option(help="The most bytes of a request, unpacked.")] = None,
    flush_s: Annotated[float | None, typer.Option(help="How long a few events wait for more.")] = None,
    timeout_s: Annotated[float | None, typer.Option(help="The most time of a request.")] = None,
    settle_s: Annotated[float | None, typer.Option(help="How much a server may lose in a crash, in seconds.")] = None,
    series_budget: Annotated[int | None, typer.Option(help="The most series of one user.")] = None,
    file_bytes: Annotated[int | None, typer.Option(help="The most bytes of a file.")] = None,
    servers: Annotated[str | None, typer.Option(help="HOST:PORT of Kafka, or several with commas.")] = None,
    topic: Annotated[str | None, typer.Option(help="Kafka's topic of events.")] = None,
    latest_topic: Annotated[str | None, typer.Option(help="Kafka's topic of latest versions.")] = None,
    days_topic: Annotated[str | None, typer.Option(help="Kafka's topic of users' days.")] = None,
    no_test: NoTest = False,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Change what a sink is configured with; its place in the log stays.

    Example: healthsync sink set influxdb --token-file /etc/healthsync/influx.token
    """
    before = Sinks(data).get(name)
    given: dict[str, Any] = {
        "url": url, "org": org, "bucket": bucket, "deletes": deletes, "batch_bytes": batch_bytes, "flush_s": flush_s,
        "timeout_s": timeout_s, "settle_s": settle_s, "series_budget": series_budget, "file_bytes": file_bytes,
        "servers": servers, "topic": topic, "latest_topic": latest_topic, "days_topic": days_topic,
        "ca_file": str(ca_file.absolute()) if ca_file else None,
    }  # fmt: skip
    changes = {key: value for key, value in given.items() if value is not None}
    place = _token_place(token_env, token_file, token_secret)
    if any(place.values()):
        changes["token"] = place
    if not changes:
        raise UsageError("nothing is to be changed", hint=_SETS)
    sink = made(_SETS, **(before.model_dump(mode="json") | changes))
    _store(data, sink, replace=True, test=not no_test, as_json=json)


def tested(config: SinkConfig) -> list[TrialFinding]:
    """What works of this sink; UnavailableError when something does not that it needs."""
    from healthsync_mqtt.sinks.kinds import try_out

    findings = try_out(config)
    broken = next((finding for finding in findings if finding.needed and not finding.works), None)
    if broken is not None:
        raise UnavailableError(f"{broken.tried} does not work: {broken.message}", hint=broken.hint)
    return findings


def _token_place(env: str | None, file: Path | None, secret: str | None) -> dict[str, str | None]:
    return {"env": env, "file": str(file.absolute()) if file else None, "secret": secret}


def _store(data: Path, sink: AnyConfig, *, replace: bool, test: bool, as_json: bool) -> None:
    sinks = Sinks(data)
    if not replace:
        sinks.refuse_known(sink.name)
    if test:
        try:
            _refuse_new_names(data, sinks, sink)
            tested(sink)
        except (UnavailableError, LostPseudonymError) as error:
            hint = f"{error.hint}; to store it all the same: --no-test".removeprefix("; ")
            raise UnavailableError(f"{sink.name} is not stored: {error}", hint=hint) from None
    if not sinks.file(sink.name).exists():
        sinks.prepare()
        SinkLedger.open(sinks.ledger(sink.name)).close()  # from now on it is not there only when it is lost
    sinks.put(sink, replace=replace)
    if as_json:
        output.emit(described_sink(sink))
    else:
        output.say(f"{'changed' if replace else 'added'} {sink.name}; look at it: healthsync sink status {sink.name}")


def _refuse_new_names(data: Path, sinks: Sinks, sink: AnyConfig) -> None:
    """LostPseudonymError where points would be shipped under other names than those that are there."""
    from healthsync_mqtt.sinks.kinds import refuse_lost_names

    log = DataDirectory(data).log()
    if log is not None:
        with log:
            if log.cursor(sink.cursor):
                refuse_lost_names(sinks, sink)
