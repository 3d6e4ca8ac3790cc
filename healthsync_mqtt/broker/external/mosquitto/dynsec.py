"""Mosquitto's dynamic security: its commands, and what has to be said to get from the state it is in to the one wanted.

Every command that names a client throws that client out, so nothing is said that is already so. Pure; ``provision.py``
does the talking. Facts: the plugin's README and source, Mosquitto 2.0.
"""

import base64
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from healthsync_mqtt.broker.external.grants import Grants
from healthsync_mqtt.broker.external.identities import ADMIN

CONTROL: Final = "$CONTROL/dynamic-security/v1"
RESPONSE: Final = "$CONTROL/dynamic-security/v1/response"
MARK: Final = "healthsync"
"""The ``textname`` of what is ours; other clients and roles on the same broker are left alone."""

_ADMIN_ROLE = "healthsync-admin"
_ITERATIONS = 101  # what the plugin itself uses for passwords it is told; ours have 256 random bits
Command = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedClient:
    """A client as it should be. ``fresh``: its password is new and has to be set even where the client exists.

    ``group``: it may also share its filters with others, as bridges do.
    """

    client_id: str
    password: str = field(repr=False)
    fresh: bool
    grants: Grants
    group: bool = False


@dataclass(frozen=True, slots=True)
class Present:
    """What the broker has of ours: clients by name (the plugin's own words), and roles by name with their rules.

    A rule is its kind, its topic, and whether it allows.
    """

    clients: Mapping[str, Mapping[str, Any]]
    roles: Mapping[str, frozenset[tuple[str, str, bool]]]


def role_name(client_id: str) -> str:
    """The role that carries a client's rights."""
    return f"healthsync:{client_id}"


def acls_of(grants: Grants, *, group: bool = False) -> list[Command]:
    """A role's rules. What is not allowed here is denied by the defaults."""
    rules = [("publishClientSend", grant.filter) for grant in grants.publish]
    rules += [("subscribePattern", name) for name in grants.subscribe]
    if group:
        # Mosquitto compares a shared filter whole, with its group's name in front.
        rules += [("subscribePattern", f"$share/+/{name}") for name in grants.subscribe]
    # Which messages such a filter brings, Mosquitto asks at each: only what is received below.
    rules += [("subscribePattern", name) for name in grants.screened]
    rules += [("publishClientReceive", name) for name in grants.receive]
    allowed = [{"acltype": kind, "topic": topic, "priority": 0, "allow": True} for kind, topic in rules]
    # Of a higher priority, so that the filters above do not bring these. Mosquitto asks at each message.
    denied = [
        {"acltype": kind, "topic": name, "priority": 1, "allow": False}
        for name in grants.withheld
        for kind in ("subscribePattern", "publishClientReceive")
    ]
    return [*denied, *allowed]


def changes(present: Present, wanted: Iterable[WantedClient]) -> Iterator[Command]:
    """The commands that make the broker's state the wanted one; none when it is."""
    kept = set()
    for client in wanted:
        kept.add(client.client_id)
        role = role_name(client.client_id)
        acls = acls_of(client.grants, group=client.group)
        known = present.roles.get(role)
        if known is None:
            yield {"command": "createRole", "rolename": role, "textname": MARK, "acls": acls}
        elif known != {(acl["acltype"], acl["topic"], acl["allow"]) for acl in acls}:
            yield {"command": "modifyRole", "rolename": role, "textname": MARK, "acls": acls}
        yield from _client_changes(present.clients.get(client.client_id), client, role)
    for name, there in present.clients.items():
        # Disabled and not deleted: the name stays taken, and what it had stays to be looked at.
        if name not in kept and not there.get("disabled"):
            yield {"command": "disableClient", "username": name}


def _client_changes(there: Mapping[str, Any] | None, client: WantedClient, role: str) -> Iterator[Command]:
    name = client.client_id
    if there is None:
        yield {
            "command": "createClient",
            "username": name,
            "password": client.password,
            "clientid": name,
            "textname": MARK,
            "roles": [{"rolename": role, "priority": 0}],
        }
        return
    if client.fresh:
        yield {"command": "setClientPassword", "username": name, "password": client.password}
    if there.get("clientid") != name:
        yield {"command": "setClientId", "username": name, "clientid": name}
    if [each.get("rolename") for each in there.get("roles", [])] != [role]:
        yield {"command": "modifyClient", "username": name, "roles": [{"rolename": role, "priority": 0}]}
    if there.get("disabled"):
        yield {"command": "enableClient", "username": name}


def initial_state(password: str, *, salt: bytes | None = None) -> bytes:
    """``dynamic-security.json`` for a broker's first start: nothing allowed, and one client that may change that."""
    salt = os.urandom(12) if salt is None else salt
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS, 64)
    filters = ("publishClientSend", "publishClientReceive", "subscribePattern")
    state = {
        "defaultACLAccess": {
            "publishClientSend": False,
            "publishClientReceive": False,
            "subscribe": False,
            "unsubscribe": True,
        },
        "clients": [
            {
                "username": ADMIN,
                "textName": "HealthSync provisioning",
                "roles": [{"rolename": _ADMIN_ROLE}],
                "password": base64.b64encode(digest).decode(),
                "salt": base64.b64encode(salt).decode(),
                "iterations": _ITERATIONS,
            }
        ],
        "roles": [
            {
                "rolename": _ADMIN_ROLE,
                "acls": [
                    {"acltype": kind, "topic": "$CONTROL/dynamic-security/#", "priority": 0, "allow": True}
                    for kind in filters
                ],
            }
        ],
    }
    return json.dumps(state, indent=2).encode() + b"\n"
