"""What is known of clients besides their registration: connected now, the last event, refused lately."""

from collections.abc import Mapping
from typing import Any, Final

from healthsync_mqtt.cli import output
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.service import call
from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.identity.login.refused import RefusedLogin
from healthsync_mqtt.identity.people.registry import Registry
from healthsync_mqtt.model.times import iso

ONLINE: Final[Mapping[object, str]] = {True: "yes", False: "no", None: "?"}
"""How a table shows it; without a service nobody knows."""
LATELY_US: Final = 24 * 3_600_000_000
"""How far back a refused login is worth a remark in a list."""

ADVICE: Final[tuple[tuple[str, str], ...]] = (
    ("the token has expired", "give it a new token: healthsync device token USER DEVICE; or let it refresh its own"),
    ("the token is not valid yet", "its clock or this machine's is wrong: compare both"),
    ("the token is revoked", "give it a new token: healthsync device token USER DEVICE"),
    ("the token is older than the last removal", "give it a new token: healthsync device token USER DEVICE"),
    ("the token is newer", "the registry is older than the token: was a backup restored?"),
    ("the token's holder is not registered", "add or resume it: healthsync device add, device resume, user resume"),
    ("the client id is not the", "its client id has to be the one that its token was printed with"),
    ("the username is not the", "its username has to be its client id"),
    ("kid names no key of ours", "its token is of another installation, or its key was retired: give it a new token"),
    ("the signature does not fit", "its token was cut or changed on its way: copy it again"),
    ("the token is not three parts", "its password is no token: use the token of healthsync device add"),
    ("there is no password", "send the token as the MQTT password"),
    ("the credential does not fit", "its password is another than the one that was provisioned"),
    ("there is no client certificate", "this listener wants a certificate: healthsync cert issue device USER DEVICE"),
    ("the client certificate is revoked", "issue another one: healthsync cert issue device USER DEVICE"),
    ("the client certificate has expired", "issue another one: healthsync cert issue device USER DEVICE"),
    ("the certificate's holder is not registered", "add or resume it: healthsync device add, device resume"),
    ("will_not_allowed", "a will may go to the device's own status topic only: healthsync device show USER DEVICE"),
    ("token_cloned", "two clients use one token and drive each other out: give each a device of its own"),
    ("bad_version", "it has to speak MQTT 3.1.1"),
    ("the code", "print a new code: healthsync device enroll USER DEVICE"),
)
"""What a refusal begins with, and what to do about it."""


def advice(reason: str) -> str:
    """What to do about a refusal."""
    return next((fix for start, fix in ADVICE if reason.startswith(start)), "look at the service's log at that time")


def live_clients(place: DataDirectory) -> Mapping[str, Mapping[str, Any]] | None:
    """The connections of the running service by client id; None when no service answers."""
    try:
        answer = call(place.path, "clients", within_s=5.0)
    except UnavailableError:
        return None
    return {each["client_id"]: each for each in answer["clients"]}


def described_refusal(refused: RefusedLogin) -> dict[str, Any]:
    """A refusal for people and programs. The client id is what was claimed; whose login it was is not known."""
    return {
        "claimed_client_id": refused.client_id,
        "last_at": iso(refused.last_us),
        "first_at": iso(refused.first_us),
        "count": refused.count,
        "address": refused.address,
        "reason": refused.reason,
        "what_to_do": advice(refused.reason),
    }


class Liveness:
    """Reads for one command what the service, the log and the registry know of clients."""

    def __init__(self, place: DataDirectory, registry: Registry, now_us: int) -> None:
        self._clients = live_clients(place)
        self._refused: dict[str, int] = {}
        for each in registry.refused_logins.since(now_us - LATELY_US):
            self._refused[each.client_id] = self._refused.get(each.client_id, 0) + each.count

    def of(self, client_id: str) -> dict[str, Any]:
        """Whether it is connected (None: no service runs), from where and since when; how often refused in a day."""
        found = None if self._clients is None else self._clients.get(client_id)
        return {
            "online": None if self._clients is None else found is not None,
            "address": None if found is None else found["address"],
            "connected_at": None if found is None else found["connected_at"],
            "refused_lately": self._refused.get(client_id, 0),
        }


def explain(shown: Mapping[str, Any], state: str, refused: list[RefusedLogin], *, as_json: bool) -> None:
    """Print what is known of a client that cannot connect."""
    listed = [described_refusal(each) for each in refused]
    if as_json:
        output.emit({**shown, "state": state, "refused": listed})
        return
    output.facts([("client id", shown["client_id"]), ("now", state), ("connected", ONLINE[shown["online"]])])
    for each in listed:
        output.facts(
            [
                ("refused", f"{each['last_at']} from {each['address']}, {each['count']} in all"),
                ("reason", each["reason"]),
                ("what to do", each["what_to_do"]),
            ]
        )
    if not listed:
        output.say("No refused login of this client id is known. Does it reach the service? See: healthsync status")


def last_event_at(place: DataDirectory, user_id: str, device_id: str | None = None) -> str | None:
    """When the newest event of a user, or of a device, was received; looked for among the user's last thousand."""
    log = place.log()
    if log is None:
        return None
    with log:
        records = log.read(0, 1 if device_id is None else 1_000, user=user_id, history=True, newest=True)
    times = [each.received_us for each in records if device_id is None or each.device == device_id]
    return iso(max(times)) if times else None
