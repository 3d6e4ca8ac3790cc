"""What the OpenAPI document refers to is in it: generators stop where it is not."""

import json
import re

from scripts.support.schema_files import files


def test_every_reference_of_the_document_resolves() -> None:
    text = files()["openapi.json"]
    referred = set(re.findall(r'"\$ref": "#/components/schemas/(\w+)"', text))

    assert "Order" in referred
    assert referred <= set(json.loads(text)["components"]["schemas"])
