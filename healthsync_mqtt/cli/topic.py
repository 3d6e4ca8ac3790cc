"""healthsync topic …"""

from typing import Annotated, Any

import typer

from healthsync_mqtt.cli import output
from healthsync_mqtt.cli.group import new_group
from healthsync_mqtt.cli.options import DATA, Data, Json
from healthsync_mqtt.config.settings import load_settings
from healthsync_mqtt.topics.registry import Channel, TopicRegistry

app = new_group("The MQTT topics.")


@app.command("list")
def list_topics(
    asyncapi: Annotated[bool, typer.Option("--asyncapi", help="Print an AsyncAPI 3.1 document instead.")] = False,
    data: Data = DATA,
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
