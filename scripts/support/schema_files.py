"""The published schemas as files: ``docs/reference/schemas``, a file a schema, and the AsyncAPI document beside them.

``python -m scripts.support.schema_files`` keeps those of the version that is released, for the tests.
"""

import json
import sys
from pathlib import Path
from typing import Any, cast

from healthsync_mqtt import __version__
from healthsync_mqtt.gateway.app import described, routed
from healthsync_mqtt.gateway.login.rules import Anybody
from healthsync_mqtt.gateway.surface import GatewayParts, routers
from healthsync_mqtt.model.catalogue import CATALOGUE
from healthsync_mqtt.model.event_schema import event_schema, schemas
from healthsync_mqtt.topics.asyncapi import asyncapi
from healthsync_mqtt.topics.registry import TopicRegistry

ROOT = Path(__file__).parents[2]
DIRECTORY = ROOT / "docs" / "reference" / "schemas"
RELEASED = ROOT / "tests" / "fixtures" / "schemas"


def files() -> dict[str, str]:
    """The text of each file by its name below ``DIRECTORY``."""
    documents = schemas() | {"asyncapi.json": asyncapi(TopicRegistry.load()), "openapi.json": openapi()}
    return {name: _text(document) for name, document in documents.items()}


def openapi() -> dict[str, Any]:
    """The document of the gateway's routes; nobody calls them here."""
    nobody: Any = None
    return described(routed(routers(cast("GatewayParts", _Nothing())), Anybody(nobody)))


class _Nothing:
    """GatewayParts of a gateway that nobody calls."""

    def __getattr__(self, name: str) -> None:
        return None


def _text(document: Any) -> str:
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def main() -> int:
    """Write what this version takes; a version that is there is not written again."""
    path = RELEASED / f"{__version__}.json"
    if path.exists():
        sys.stderr.write(f"{path} is there: a released schema does not change\n")
        return 1
    path.write_text(_text({of.name: event_schema(of) for of in CATALOGUE.values()}), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
