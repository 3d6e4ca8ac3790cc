"""The OpenAPI document: made from the routes as they are served, with the bodies that these only hand on."""

from collections.abc import Container
from typing import Any, Final

from healthsync_mqtt import __version__
from healthsync_mqtt.gateway.document.schemas import SCHEMAS, ref
from healthsync_mqtt.gateway.login.sessions import ACCESS_COOKIE

_SECURITY: Final[list[dict[str, list[str]]]] = [{"token": []}, {"login": []}, {"session": []}]
_SCHEMES: Final[dict[str, Any]] = {
    "token": {"type": "http", "scheme": "bearer", "description": "The token of a device, subscriber or admin."},
    "login": {"type": "http", "scheme": "basic", "description": "The user name and password of an app."},
    "session": {"type": "apiKey", "in": "cookie", "name": ACCESS_COOKIE, "description": "A person's session."},
}


def answers(
    schema: str, description: str, *refusals: int, media: tuple[str, ...] = ("application/json",)
) -> dict[int | str, dict[str, Any]]:
    """The answers of a route: 200 with this schema, and these statuses with a problem."""
    good = {name: {"schema": {"$ref": f"#/components/schemas/{schema}"} if "json" in name else {}} for name in media}
    found: dict[int | str, dict[str, Any]] = {200: {"description": description, "content": good}}
    return found | {status: _refusal(status) for status in refusals}


def _refusal(status: int) -> dict[str, Any]:
    problem = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {"description": _WORDS[status], "content": problem}


def takes(description: str) -> dict[str, Any]:
    """A body that a route hands on as it came."""
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Anything"}}}
    return {"requestBody": {"required": True, "description": description, "content": content}}


def form(name: str) -> dict[str, Any]:
    """A JSON body of this schema."""
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": ref(name)}}}}


_WORDS: Final = {
    304: "What the client has is what there is.",
    400: "A parameter or the request cannot be read.",
    401: "The credential is missing or no good.",
    403: "This login may not do that.",
    404: "There is nothing here that is the caller's.",
    406: "Not in this form.",
    408: "The body took too long.",
    409: "The name is taken, or it cannot be done as things are.",
    410: "The token is of before: begin again without one.",
    413: "The body is too large.",
    415: "The body is in an encoding that is not read.",
    422: "Every event was refused; with the members of a receipt.",
    429: "Too many; Retry-After says when.",
    431: "The head of the request is too long, its path and query with it.",
    503: "It could not be done now, or nobody knows whether it was; Retry-After says when to ask again.",
}


def document(made: dict[str, Any], for_anybody: Container[tuple[str, str]] = ()) -> dict[str, Any]:
    """The document that FastAPI made of the routes, with our schemas and credentials.

    ``for_anybody``: path and method, in lower case, of routes that ask for none of these credentials.
    """
    paths: dict[str, Any] = made["paths"]
    # Those of parameters. What FastAPI adds is said of answers that are never given here.
    of_parameters = {
        name: schema
        for name, schema in made.get("components", {}).get("schemas", {}).items()
        if "ValidationError" not in name
    }
    for path, operations in paths.items():
        for method, operation in operations.items():
            # What FastAPI adds for parameters that do not fit: here that is a 400 with a problem.
            if "Validation Error" in operation["responses"].get("422", {}).get("description", ""):
                del operation["responses"]["422"]
            operation["responses"]["431"] = _refusal(431)  # the server's, before there is a route
            if "401" in operation["responses"] and (path, method) not in for_anybody:
                operation["security"] = _SECURITY
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "HealthSync",
            "version": __version__,
            "description": "Health data in and out over HTTP. What a 200 says is stored is on disk.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {"schemas": SCHEMAS | of_parameters, "securitySchemes": _SCHEMES},
    }
