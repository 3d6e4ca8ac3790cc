import copy
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft7Validator

from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.principal import Role
from healthsync_mqtt.topics.asyncapi import asyncapi, asyncapi_json, asyncapi_yaml, topic_table
from healthsync_mqtt.topics.registry import TopicRegistry
from healthsync_mqtt.topics.schemas import SCHEMAS

REGISTRY = TopicRegistry.load()
DOCUMENT = asyncapi(REGISTRY)

#: The initiative's own schema of documents of this version, as npm's @asyncapi/specs 6.11.1 has it (Apache-2.0).
_META = Path(__file__).parents[2] / "fixtures" / "asyncapi-3.0.0.json.gz"


@pytest.fixture(scope="module")
def meta() -> Draft7Validator:
    schema = json.loads(gzip.decompress(_META.read_bytes()))
    Draft7Validator.check_schema(schema)
    return Draft7Validator(schema)


def test_the_document_is_one_by_its_meta_schema(meta: Draft7Validator) -> None:
    assert DOCUMENT["asyncapi"] == "3.0.0"
    assert [error.message for error in meta.iter_errors(json.loads(asyncapi_json(REGISTRY)))] == []


@pytest.mark.parametrize("change", ["action", "address", "payload", "operations"])
def test_what_is_no_such_document_is_found(meta: Draft7Validator, change: str) -> None:
    document = copy.deepcopy(DOCUMENT)
    channel, operation = (next(iter(document[each].values())) for each in ("channels", "operations"))
    match change:
        case "action":
            operation["action"] = "publish"
        case "address":
            channel["address"] = 7
        case "payload":
            channel["payload"] = {}
        case _:
            document["operations"] = []
    assert not meta.is_valid(document)


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value
            else:
                yield from references(value)
    elif isinstance(node, list):
        for item in node:
            yield from references(item)


def test_every_channel_is_covered() -> None:
    assert {key: body["address"] for key, body in DOCUMENT["channels"].items()} == {
        channel.key: channel.template.text for channel in REGISTRY
    }
    for channel in REGISTRY:
        assert set(DOCUMENT["channels"][channel.key]["parameters"]) == set(channel.template.variables)


@pytest.mark.parametrize("key", REGISTRY.channels)
def test_operations_follow_the_roles_and_carry_the_binding(key: str) -> None:
    channel = REGISTRY[key]
    expected = {
        action
        for action, roles in (("receive", channel.roles_publish), ("send", channel.roles_subscribe))
        if roles - {Role.bridge}
    }
    assert expected
    found = {action for action in ("receive", "send") if f"{action}_{key}" in DOCUMENT["operations"]}
    assert found == expected
    for action in found:
        operation = DOCUMENT["operations"][f"{action}_{key}"]
        assert operation["action"] == action
        assert operation["channel"] == {"$ref": f"#/channels/{key}"}
        assert operation["bindings"]["mqtt"] == {
            "qos": channel.qos,
            "retain": channel.retain,
            "bindingVersion": "0.2.0",
        }


def test_every_reference_resolves() -> None:
    found = set(references(DOCUMENT))
    assert len(found) > len(REGISTRY.channels)
    for reference in found:
        node: Any = DOCUMENT
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
        assert isinstance(node, dict)


def test_every_payload_of_the_shipped_file_has_a_schema() -> None:
    assert {channel.payload for channel in REGISTRY} <= set(SCHEMAS)


def test_the_will_of_a_device_is_named_at_the_servers() -> None:
    for server in DOCUMENT["servers"].values():
        assert server["bindings"]["mqtt"]["lastWill"]["topic"] == REGISTRY["status"].template.text


def test_json_and_yaml_say_the_same() -> None:
    assert json.loads(asyncapi_json(REGISTRY)) == yaml.safe_load(asyncapi_yaml(REGISTRY)) == DOCUMENT
    assert "&id" not in asyncapi_yaml(REGISTRY)


def test_the_type_of_a_canonical_topic_is_one_of_the_catalogue() -> None:
    assert DOCUMENT["components"]["parameters"]["type"]["enum"] == sorted(CATALOGUE)
    assert "enum" not in asyncapi(TopicRegistry.load(types=None))["components"]["parameters"]["type"]


def test_a_prefix_is_part_of_the_addresses() -> None:
    document = asyncapi(TopicRegistry.load(prefix="home"))
    assert all(body["address"].startswith("home/") for body in document["channels"].values())


def test_the_table_has_a_row_for_every_channel() -> None:
    rows = topic_table().splitlines()
    assert len(rows) == 2 + len(REGISTRY.channels)
    assert {row.count("|") for row in rows} == {8}
    for channel, row in zip(REGISTRY, rows[2:], strict=True):
        assert f"`{channel.template.text}`" in row
        assert channel.summary in row
    assert topic_table(REGISTRY) == topic_table()
