# long: a schema each
"""The schemas of the OpenAPI document: made of the values that are told and asked, and what routes only hand on."""

from typing import Any, Final

import msgspec

from healthsync_mqtt.adapters.link_descriptions import AdapterLine, CloudLine, LinkDescription
from healthsync_mqtt.descriptions.audit_rows import AuditFinding, AuditLine
from healthsync_mqtt.descriptions.consents import ConsentDecisionLine, ConsentLine
from healthsync_mqtt.descriptions.passkeys import PasskeyLine
from healthsync_mqtt.descriptions.people import (
    AdminDescription,
    AppDescription,
    DeviceDescription,
    LastSighting,
    SubscriberDescription,
    UserDescription,
    WebhookDescription,
)
from healthsync_mqtt.descriptions.refusals import RejectedDescription
from healthsync_mqtt.descriptions.sign_in import SignInWays
from healthsync_mqtt.descriptions.sources import SourceLine
from healthsync_mqtt.gateway.document.request_bodies import REQUESTS
from healthsync_mqtt.gateway.registry.new_tokens import TokenAnswer
from healthsync_mqtt.model.reasons import Reason

_PROBLEM: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "reason", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "reason": {"type": "string", "description": "A stable word; where it is about an event, one of Reason."},
        "hint": {"type": "string", "description": "What to do."},
        "request_id": {"type": "string"},
    },
}
_REJECTED: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["index", "code"],
    "properties": {
        "index": {"type": "integer", "description": "Its place in the body."},
        "id": {"type": "string"},
        "code": {"type": "string", "examples": [each.value for each in Reason]},
        "field": {"type": "string"},
        "message": {"type": "string"},
        "retry": {"type": "boolean", "description": "The same may be accepted later."},
        "held": {"type": "boolean", "description": "The service takes it by itself when its clock allows."},
    },
}
_RECEIPT: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["epoch", "seq", "stored", "duplicate", "rejected"],
    "properties": {
        "epoch": {"type": "string", "description": "Which log it is."},
        "seq": {"type": "integer", "description": "How far the user's own events are."},
        "stored": {"type": "integer"},
        "duplicate": {"type": "integer", "description": "Were stored before."},
        "rejected": {"type": "array", "items": {"$ref": "#/components/schemas/RejectedEvent"}},
        "unlisted": {"type": "integer", "description": "So many more were rejected."},
    },
}
_EVENT: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["seq", "id", "user_id", "type", "version", "op", "received_at"],
    "properties": {
        "seq": {"type": "integer", "description": "Its place among the user's events."},
        "id": {"type": "string"},
        "user_id": {"type": "string"},
        "device_id": {"type": ["string", "null"]},
        "type": {"type": "string"},
        "start_time": {"type": ["string", "null"], "format": "date-time"},
        "end_time": {"type": ["string", "null"], "format": "date-time"},
        "value": {"type": ["object", "null"]},
        "version": {"type": "integer"},
        "op": {"type": "string", "enum": ["upsert", "delete"]},
        "received_at": {"type": "string", "format": "date-time"},
    },
}
_CARER: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["carer", "types", "granted_at", "until"],
    "properties": {
        "carer": {"type": "string"},
        "types": {"type": "array", "items": {"type": "string"}},
        "granted_at": {"type": "string", "format": "date-time"},
        "until": {"type": "string", "format": "date-time"},
    },
}
MODELS: Final[tuple[type[msgspec.Struct], ...]] = (
    UserDescription,
    DeviceDescription,
    AppDescription,
    LastSighting,
    SubscriberDescription,
    WebhookDescription,
    AdminDescription,
    ConsentLine,
    ConsentDecisionLine,
    TokenAnswer,
    RejectedDescription,
    AuditLine,
    AuditFinding,
    SourceLine,
    LinkDescription,
    CloudLine,
    PasskeyLine,
    SignInWays,
    AdapterLine,
    *REQUESTS,
)
"""What is told and asked as values: their schemas are made of them."""


def ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _page(entries: str, name: str, place: str = "string") -> dict[str, Any]:
    """A page of a list: its entries, and where the next one begins."""
    return {
        "type": "object",
        "required": [entries, "next"],
        "properties": {
            entries: {"type": "array", "items": ref(name)},
            "next": {"type": [place, "null"], "description": "The cursor of the next page; null at the end."},
        },
    }


def _with(name: str, **more: dict[str, Any]) -> dict[str, Any]:
    """A model with further members."""
    return {"allOf": [ref(name), {"type": "object", "required": list(more), "properties": more}]}


def _seen(name: str, **more: dict[str, Any]) -> dict[str, Any]:
    """A model of a client, with when it was last here, and further members."""
    refused = {"type": "integer", "description": "Logins that were refused in the last day."}
    return {
        "allOf": [
            ref(name),
            ref("LastSighting"),
            {
                "type": "object",
                "required": ["online", "refused_lately", *more],
                "properties": {
                    "online": {"type": ["boolean", "null"], "description": "null: no service runs that knows."},
                    "refused_lately": refused,
                    **more,
                },
            },
        ]
    }


_TEXT: Final = {"type": "string"}
_TIME: Final = {"type": "string", "format": "date-time"}
_EVENTS: Final = {"type": "array", "items": {"$ref": "#/components/schemas/Event"}}
SCHEMAS: Final[dict[str, Any]] = {
    "Problem": _PROBLEM,
    "RejectedEvent": _REJECTED,
    "Receipt": _RECEIPT,
    "Event": _EVENT,
    "EventPage": {
        "type": "object",
        "required": ["events", "next"],
        "properties": {"events": _EVENTS, "next": {"type": ["string", "null"], "description": "The next cursor."}},
    },
    "EventStory": {
        "type": "object",
        "required": ["event", "history"],
        "properties": {"event": {"$ref": "#/components/schemas/Event"}, "history": _EVENTS},
    },
    "ChangePage": {
        "type": "object",
        "required": ["events", "since", "more"],
        "properties": {"events": _EVENTS, "since": {"type": "string"}, "more": {"type": "boolean"}},
    },
    "Series": {
        "type": "object",
        "required": [
            "type",
            "field",
            "unit",
            "resolution",
            "width_s",
            "adds_up",
            "complete",
            "at",
            "value",
            "low",
            "high",
        ],
        "properties": {
            "type": {"type": "string"},
            "field": {"type": "string"},
            "unit": {"type": "string"},
            "since": {"type": "string", "format": "date-time"},
            "until": {"type": "string", "format": "date-time"},
            "resolution": {"type": "string", "enum": ["exact", "bucket", "day"]},
            "width_s": {"type": "integer", "description": "Seconds of a bucket; 0 where each point is one number."},
            "adds_up": {"type": "boolean", "description": "value is a sum."},
            "complete": {"type": "boolean", "description": "False: there is more, and the newest of it is here."},
            "at": {"type": "array", "items": {"type": "integer"}, "description": "Milliseconds since the epoch."},
            "value": {"type": "array", "items": {"type": "number"}, "description": "The number, or mean or sum."},
            "low": {"type": "array", "items": {"type": "number"}},
            "high": {"type": "array", "items": {"type": "number"}},
        },
    },
    "TypeList": {
        "type": "object",
        "required": ["types"],
        "properties": {
            "types": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["type", "last_start_time", "last_received_at"],
                    "properties": {
                        "type": {"type": "string"},
                        "last_start_time": {"type": "string", "format": "date-time"},
                        "last_received_at": {"type": "string", "format": "date-time"},
                    },
                },
            }
        },
    },
    "Days": {
        "type": "object",
        "required": ["days"],
        "properties": {
            "days": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["user_id", "day", "utc_offset", "types"],
                    "properties": {
                        "user_id": {"type": "string"},
                        "day": {"type": "string", "format": "date"},
                        "utc_offset": {"type": ["integer", "null"], "description": "Seconds."},
                        "types": {"type": "object", "description": "Figures by type.", "additionalProperties": True},
                    },
                },
            }
        },
    },
    "Insight": {
        "type": "object",
        "required": ["id", "type", "user_id", "kind", "day", "subject", "what", "sentence", "figures", "rests_on"],
        "properties": {
            "id": {"type": "string", "description": "The same finding of the same day has the same."},
            "type": {"type": "string"},
            "user_id": {"type": "string"},
            "kind": {"type": "string"},
            "day": {"type": "string", "format": "date"},
            "subject": {"type": "string", "description": "What it is about, such as a type."},
            "what": {"type": "string", "description": "A word of its kind, such as `above`."},
            "sentence": {"type": "string", "description": "In plain words; no diagnosis."},
            "figures": {"type": "object", "additionalProperties": {"type": ["number", "string"]}},
            "rests_on": {
                "type": "object",
                "required": ["types", "from", "to", "days", "readings"],
                "properties": {
                    "types": {"type": "array", "items": {"type": "string"}},
                    "from": {"type": "string", "format": "date"},
                    "to": {"type": "string", "format": "date"},
                    "days": {"type": "integer", "description": "On which there was something."},
                    "readings": {"type": "integer"},
                },
            },
        },
    },
    "InsightPage": _page("insights", "Insight"),
    "Session": {
        "type": "object",
        "required": ["role", "name", "expires_at", "csrf_token"],
        "properties": {
            "role": {"type": "string", "enum": ["user", "admin"]},
            "name": {"type": "string"},
            "expires_at": {"type": "string", "format": "date-time", "description": "Of the access cookie."},
            "csrf_token": {"type": "string", "description": "Requests that change something repeat it: X-CSRF-Token."},
            "cares_for": {
                "type": "array",
                "items": {"type": "string"},
                "description": "Of GET /v1/session: the other users who let this one see anything now.",
            },
            "grants": {
                "type": "array",
                "items": {"$ref": "#/components/schemas/Grant"},
                "description": "Of GET /v1/session: what each of `cares_for` lets see.",
            },
        },
    },
    "Grant": {
        "type": "object",
        "required": ["user_id", "types", "until"],
        "properties": {
            "user_id": {"type": "string"},
            "types": {"type": "array", "items": {"type": "string"}},
            "until": {"type": "string", "format": "date-time"},
        },
    },
    "Introspection": {
        "type": "object",
        "required": ["active"],
        "properties": {
            "active": {"type": "boolean"},
            "token_type": {"type": "string"},
            "client_id": {"type": "string"},
            "sub": {"type": "string"},
            "role": {"type": "string"},
            "device_id": {"type": ["string", "null"]},
            "exp": {"type": "integer"},
            "jti": {"type": ["string", "null"]},
        },
    },
    "Revoked": {"type": "object"},
    "CarerGrant": {
        "type": "object",
        "required": ["types", "until"],
        "properties": {
            "types": {"type": "array", "items": {"type": "string"}, "minItems": 1, "maxItems": 200},
            "until": {"type": "string", "format": "date-time"},
        },
        "additionalProperties": False,
    },
    "Carer": _CARER,
    "Carers": {
        "type": "object",
        "required": ["carers"],
        "properties": {"carers": {"type": "array", "items": {"$ref": "#/components/schemas/Carer"}}},
    },
    "Received": {"type": "object", "required": ["received"], "properties": {"received": {"type": "integer"}}},
    "Catalogue": {
        "type": "object",
        "required": ["types"],
        "properties": {"types": {"type": "array", "items": {"type": "object"}}},
    },
    "UserPage": _page("users", "UserDescription"),
    "Device": _seen(
        "DeviceDescription",
        certificate_ends_at={
            "type": ["string", "null"],
            "format": "date-time",
            "description": "When the last certificate of this device ends that is good now; null: it has none.",
        },
    ),
    "DevicePage": _page("devices", "Device"),
    "App": _seen("AppDescription"),
    "AppPage": _page("apps", "App"),
    "AppLogin": _with("AppDescription", password=_TEXT, topics={"type": "array", "items": _TEXT}),
    "Subscriber": _seen("SubscriberDescription"),
    "SubscriberPage": _page("subscribers", "Subscriber"),
    "WebhookPage": _page("webhooks", "WebhookDescription"),
    "WebhookSecret": _with("WebhookDescription", secret=_TEXT),
    "WebhookTest": {
        "type": "object",
        "required": ["name", "url", "status", "taken"],
        "properties": {"name": _TEXT, "url": _TEXT, "status": {"type": "integer"}, "taken": {"type": "boolean"}},
    },
    "AdminPage": _page("admins", "AdminDescription"),
    "Consents": {
        "type": "object",
        "required": ["consents"],
        "properties": {"consents": {"type": "array", "items": ref("ConsentLine")}},
    },
    "DecisionPage": _page("decisions", "ConsentDecisionLine", "integer"),
    "EnrolmentCode": {
        "type": "object",
        "required": ["user_id", "device_id", "code", "expires_at", "qr_svg"],
        "properties": {
            "user_id": _TEXT,
            "device_id": _TEXT,
            "code": _TEXT,
            "expires_at": _TIME,
            "qr_svg": {"type": "string", "description": "The code as an SVG image."},
        },
    },
    "Invite": {
        "type": "object",
        "required": ["path", "expires_at"],
        "properties": {"path": {"type": "string", "description": "Behind this server's address."}, "expires_at": _TIME},
    },
    "RejectedPage": _page("rejected", "RejectedDescription", "integer"),
    "Rejected": _with("RejectedDescription", raw=_TEXT, raw_encoding={"type": "string", "enum": ["utf-8", "hex"]}),
    "Replayed": {
        "type": "object",
        "required": ["number", "outcome", "reason"],
        "properties": {
            "number": {"type": "integer"},
            "outcome": {"type": ["string", "null"]},
            "reason": {"type": ["string", "null"]},
        },
    },
    "Purged": {
        "type": "object",
        "required": ["before", "user_id"],
        "properties": {"before": _TEXT, "user_id": {"type": ["string", "null"]}},
    },
    "AuditPage": _page("audit", "AuditLine", "integer"),
    "Sink": {
        "type": "object",
        "required": ["sink", "kind", "target", "paused"],
        "properties": {"sink": _TEXT, "kind": _TEXT, "target": _TEXT, "paused": {"type": "boolean"}},
        "additionalProperties": True,
    },
    "SinkPage": _page("sinks", "Sink"),
    "Sources": {
        "type": "object",
        "required": ["sources"],
        "properties": {"sources": {"type": "array", "items": ref("SourceLine")}},
    },
    "Status": {"type": "object", "required": ["running", "version", "totals"], "additionalProperties": True},
    "Erasure": {
        "type": "object",
        "required": ["erasure", "erased", "pending"],
        "properties": {
            "erasure": _TEXT,
            "erased": {"type": "boolean", "description": "Nothing of the person is left here."},
            "pending": {"type": "array", "items": _TEXT},
        },
    },
    "Import": {
        "type": "object",
        "required": ["id", "user_id", "device_id", "bytes", "state", "begun_at", "ended_at", "outcome"],
        "properties": {
            "id": _TEXT,
            "user_id": _TEXT,
            "device_id": _TEXT,
            "bytes": {"type": "integer"},
            "state": {"type": "string", "enum": ["waiting", "reading", "done", "failed"]},
            "begun_at": _TIME,
            "ended_at": {"type": ["string", "null"], "format": "date-time"},
            "outcome": {"type": ["object", "null"], "additionalProperties": True},
        },
    },
    "Imports": {
        "type": "object",
        "required": ["imports"],
        "properties": {"imports": {"type": "array", "items": ref("Import")}},
    },
    "Adapters": {
        "type": "object",
        "required": ["adapters"],
        "properties": {"adapters": {"type": "array", "items": ref("AdapterLine")}},
    },
    "Links": {
        "type": "object",
        "required": ["links", "clouds"],
        "properties": {
            "links": {"type": "array", "items": ref("LinkDescription")},
            "clouds": {"type": "array", "items": ref("CloudLine")},
        },
    },
    "LinkInvitation": {
        "type": "object",
        "required": ["provider", "url", "expires_at"],
        "properties": {"provider": _TEXT, "url": _TEXT, "expires_at": _TIME},
    },
    "LinkEnd": {
        "type": "object",
        "required": ["provider", "told"],
        "properties": {"provider": _TEXT, "told": {"type": "boolean"}},
    },
    "Passkeys": {
        "type": "object",
        "required": ["passkeys"],
        "properties": {"passkeys": {"type": "array", "items": ref("PasskeyLine")}},
    },
    "Elsewhere": {
        "type": "object",
        "required": ["url"],
        "properties": {"url": {"type": ["string", "null"], "description": "Of another site."}},
    },
    "PasskeyOptions": {
        "type": "object",
        "required": ["challenge"],
        "properties": {"challenge": {"type": "string", "description": "Base64url."}},
        "additionalProperties": True,
    },
    "Anything": {},
} | msgspec.json.schema_components(MODELS, ref_template="#/components/schemas/{name}")[1]
