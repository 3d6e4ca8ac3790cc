"""healthsync topic …"""

from pathlib import Path
from typing import Annotated, Any

import typer

from healthsync_mqtt.cli import completion, output
from healthsync_mqtt.cli.group import new_group
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.options import DATA, Data, FreshData, Json
from healthsync_mqtt.config.settings import load_settings
from healthsync_mqtt.errors import DeniedError, Noun, UnknownNameError, UsageError
from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.principal import Principal
from healthsync_mqtt.topics.access import AccessRules
from healthsync_mqtt.topics.explanation import ChannelLine, explain_publish, explain_subscribe
from healthsync_mqtt.topics.registry import Channel, TopicRegistry

app = new_group("The MQTT topics.")


@app.command("list")
def list_topics(
    asyncapi: Annotated[bool, typer.Option("--asyncapi", help="Print an AsyncAPI 3.0 document instead.")] = False,
    data: FreshData = DATA,
    json: Json = False,
) -> None:
    """List topics: who may publish and subscribe.

    Example: healthsync topic list
    """
    topics = TopicRegistry.load(load_settings(data).topics_file)
    if asyncapi:
        from healthsync_mqtt.topics.asyncapi import asyncapi as asyncapi_document

        output.emit(asyncapi_document(topics))
        return
    output.listing(
        map(_described, topics),
        {"topic": "TOPIC", "publish": "PUBLISH", "subscribe": "SUBSCRIBE", "qos": "QOS", "retain": "RETAIN"},
        as_json=json,
    )


@app.command("check")
def check(
    *,
    who: Annotated[
        str,
        typer.Option(
            "--as", help="USER/DEVICE, or a client id, or a subscriber's name.", autocompletion=completion.clients
        ),
    ],
    publish: Annotated[str | None, typer.Option(help="A topic it publishes to.")] = None,
    subscribe: Annotated[str | None, typer.Option(help="A filter it subscribes to.")] = None,
    retain: Annotated[bool, typer.Option("--retain", help="With the RETAIN flag.")] = False,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Explain an access decision, rule by rule. Exit code 77 when it is refused.

    Example: healthsync topic check --as alice/watch-1 --subscribe users/alice/#
    """
    if (publish is None) is (subscribe is None):
        raise UsageError("one of --publish and --subscribe is needed", hint="see: healthsync topic check --help")
    rules = AccessRules(TopicRegistry.load(load_settings(data).topics_file, types=frozenset(CATALOGUE)), screens=True)
    principal = _principal(data, who)
    if publish is not None:
        found = explain_publish(rules, principal, publish, retain=retain)
    else:
        found = explain_subscribe(rules, principal, subscribe or "")
    touched = [line for line in found.lines if line.decision is not None]
    verdict = "allowed" if found.decision.allowed else "refused"
    if json:
        output.emit(
            {
                "client_id": principal.client_id,
                "role": principal.role.value,
                "action": "publish" if publish is not None else "subscribe",
                "topic": publish if publish is not None else subscribe,
                "allowed": found.decision.allowed,
                "reason": found.decision.reason.value,
                "rule": found.decision.rule,
                "rules": [_line(line) for line in touched],
                "untouched": [line.channel.key for line in found.lines if line.decision is None],
            }
        )
    else:
        output.listing(
            map(_line, touched),
            {"verdict": "", "channel": "CHANNEL", "topic": "TOPIC", "rule": "RULE"},
            as_json=False,
        )
        output.facts([(verdict, found.decision.rule)])
    if not found.decision.allowed:
        raise typer.Exit(DeniedError.exit_code)


def _principal(data: Path, who: str) -> Principal:
    with DataDirectory(data).registry() as registry:
        user, slash, device = who.partition("/")
        if slash:
            return registry.device(user, device).principal
        roster = registry.roster()
    principals = [each.principal for each in roster.devices]
    principals += [each.principal for each in roster.subscribers] + [each.principal for each in roster.admins]
    for principal in principals:
        if principal.client_id == who:
            return principal
    hint = "healthsync device list; healthsync subscriber list"
    raise UnknownNameError(Noun.client, who, f"nobody has the client id {who}", hint=hint)


def _line(line: ChannelLine) -> dict[str, Any]:
    decision = line.decision
    assert decision is not None
    return {
        "channel": line.channel.key,
        "topic": line.channel.template.text,
        "verdict": "allowed" if decision.allowed else "refused",
        "reason": decision.reason.value,
        "rule": decision.rule,
    }


def _described(channel: Channel) -> dict[str, Any]:
    return {
        "key": channel.key,
        "topic": channel.template.text,
        "direction": str(channel.direction),
        "qos": channel.qos,
        "retain": channel.retain,
        "publish": sorted(channel.roles_publish),
        "subscribe": sorted(channel.roles_subscribe),
        "payload": channel.payload,
        "summary": channel.summary,
    }
