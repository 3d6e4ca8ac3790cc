"""The page about the API for people: made of its document, without a script and without anything from elsewhere."""

import base64
import hashlib
from collections.abc import Iterator
from html import escape
from typing import Any, Final

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1a1a1a}"
    "code{background:#f2f2f2;padding:.1em .3em;border-radius:3px}h2{margin-top:2.5rem;border-bottom:1px solid #ddd}"
    "h3{margin-bottom:.2rem}table{border-collapse:collapse}"
    "td,th{border:1px solid #ddd;padding:.2rem .6rem;text-align:left}"
    "@media(prefers-color-scheme:dark){body{color:#e6e6e6;background:#161616}code{background:#2a2a2a}"
    "td,th,h2{border-color:#444}a{color:#8ab4ff}}"
)
_DIGEST: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
POLICY: Final = f"default-src 'none'; style-src 'sha256-{_DIGEST}'; frame-ancestors 'none'; base-uri 'none'"
"""The Content-Security-Policy that the page needs."""


def page(document: dict[str, Any]) -> bytes:
    """The page of an OpenAPI document."""
    return "".join(_lines(document)).encode()


def _lines(document: dict[str, Any]) -> Iterator[str]:
    info = document["info"]
    yield f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(info["title"])} API</title>'
    yield f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
    yield f"<h1>{escape(info['title'])} API {escape(info['version'])}</h1><p>{escape(info['description'])}</p>"
    yield '<p>For programs: <a href="/v1/openapi.json">openapi.json</a></p>'
    by_tag: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            by_tag.setdefault((operation.get("tags") or [""])[0], []).append((path, method, operation))
    for tag, operations in by_tag.items():
        yield f"<h2>{escape(tag.capitalize())}</h2>"
        for path, method, operation in operations:
            yield from _operation(path, method, operation)
    yield "</body></html>"


def _operation(path: str, method: str, operation: dict[str, Any]) -> Iterator[str]:
    yield f"<h3><code>{method.upper()} {escape(path)}</code></h3><p><b>{escape(operation['summary'])}.</b> "
    yield f"{escape(operation.get('description', ''))}</p>"
    queries = [each for each in operation.get("parameters", ()) if each["in"] == "query"]
    if queries:
        names = ", ".join(f"<code>{escape(each['name'])}</code>" for each in queries)
        yield f"<p>Parameters: {names}</p>"
    yield "<table><tr><th>Status</th><th>Means</th></tr>"
    for status, answer in sorted(operation["responses"].items()):
        yield f"<tr><td>{escape(str(status))}</td><td>{escape(answer['description'])}</td></tr>"
    yield "</table>"
