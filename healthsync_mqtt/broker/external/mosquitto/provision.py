"""Brings a Mosquitto's dynamic security in line with the registry. Idempotent; a second run says nothing."""

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from healthsync_mqtt.broker.external.grants import grants_of
from healthsync_mqtt.broker.external.identities import ADMIN
from healthsync_mqtt.broker.external.mosquitto.dynsec import (
    CONTROL,
    MARK,
    RESPONSE,
    Command,
    Present,
    WantedClient,
    changes,
)
from healthsync_mqtt.errors import DeniedError, UnavailableError
from healthsync_mqtt.identity.login.credentials import CredentialStore
from healthsync_mqtt.model.principal import Principal, Role
from healthsync_mqtt.mqtt.links.port import Address, ClientLogin
from healthsync_mqtt.mqtt.links.probe import Talk, talk
from healthsync_mqtt.topics.access import AccessRules

_A_MESSAGE = 50
_A_PAGE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisioned:
    """What a run did: commands said, by their names, and the credentials that are new."""

    commands: Mapping[str, int]
    new_credentials: tuple[str, ...]


async def provision_mosquitto(
    address: Address,
    admin_password: str,
    rules: AccessRules,
    principals: Iterable[Principal],
    store: CredentialStore,
    *,
    epochs: Mapping[str, int],
) -> Provisioned:
    """Create, change and disable clients so that exactly ``principals`` may connect, each to its own topics.

    ``epochs`` are those of the registry's principals, by client id: a password of an older one is replaced.
    Raises DeniedError when the broker refuses the admin, UnavailableError when it cannot be reached or refuses a
    command.
    """
    wanted = []
    for principal in principals:
        password, fresh = store.ensure(principal.client_id, epochs.get(principal.client_id, 0))
        grants = grants_of(rules, principal)
        group = principal.role is Role.bridge
        wanted.append(
            WantedClient(client_id=principal.client_id, password=password, fresh=fresh, grants=grants, group=group)
        )
    async with talk(address) as connection:
        # A name of its own for each run: several may run at once, as with --watch on two machines.
        name = f"{ADMIN}-{secrets.token_hex(4)}"
        await connection.login(ClientLogin(client_id=name, username=ADMIN, password=admin_password))
        if connection.code:
            raise DeniedError(
                "the broker refuses the provisioning login",
                hint="render its configuration anew, or put the password into credentials/healthsync-admin",
            )
        if (await connection.subscribe(RESPONSE))[0] >= 128:
            raise DeniedError(
                "the broker has no dynamic security",
                hint="load its plugin, as this writes it: healthsync broker render mosquitto --out DIR",
            )
        control = _Control(connection)
        commands = list(changes(await control.present(), wanted))
        for start in range(0, len(commands), _A_MESSAGE):
            await control.say(commands[start : start + _A_MESSAGE])
        # What the broker may not have learnt is told again at the next run.
        for client in wanted:
            store.told(client.client_id, client.password)
        await connection.goodbye()
    counts: dict[str, int] = {}
    for command in commands:
        counts[command["command"]] = counts.get(command["command"], 0) + 1
    return Provisioned(commands=counts, new_credentials=tuple(each.client_id for each in wanted if each.fresh))


class _Control:
    """The command channel."""

    def __init__(self, connection: Talk) -> None:
        self._connection = connection
        self._run = secrets.token_hex(4)
        self._number = 0

    async def say(self, commands: Sequence[Command]) -> list[dict[str, Any]]:
        """The answers' data, one for each command. Raises UnavailableError with the first refusal."""
        self._number += 1
        mark = f"{self._run}-{self._number}"
        said = [command | {"correlationData": mark} for command in commands]
        await self._connection.publish(CONTROL, json.dumps({"commands": said}).encode())
        answers: list[dict[str, Any]] = []
        while len(answers) < len(commands):
            before = len(self._connection.messages)
            await self._connection.hear(until=f'"correlationData":"{mark}"'.encode(), seconds=10)
            for message in self._connection.messages:  # also what others were answered
                said_back = json.loads(message.payload).get("responses", [])
                answers += [each for each in said_back if each.get("correlationData") == mark]
            self._connection.messages.clear()
            if not before and not answers:
                raise UnavailableError("the broker does not answer to commands", hint="is dynamic security loaded?")
        for command, answer in zip(commands, answers, strict=False):
            if "error" in answer:
                raise UnavailableError(f"the broker refuses {command['command']}: {answer['error']}")
        return [answer.get("data", {}) for answer in answers]

    async def present(self) -> Present:
        """What is ours at the broker."""
        clients = {
            each["username"]: each
            for each in await self._pages("listClients", "clients")
            if each.get("textname") == MARK
        }
        roles = {
            each["rolename"]: frozenset((acl["acltype"], acl["topic"], acl["allow"]) for acl in each.get("acls", []))
            for each in await self._pages("listRoles", "roles")
            if each.get("textname") == MARK
        }
        return Present(clients, roles)

    async def _pages(self, command: str, key: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            page = {"command": command, "verbose": True, "count": _A_PAGE, "offset": len(found)}
            data = (await self.say([page]))[0]
            found += data[key]
            if not data[key] or len(found) >= data["totalCount"]:
                return found
