"""What is known of clients besides their registration: connected now, the last event, refused lately."""

from collections.abc import Mapping
from typing import Any, Final, Self

from healthsync_mqtt.broker.external.identities import bridge_client_id
from healthsync_mqtt.cli import output
from healthsync_mqtt.cli.advice import MESSAGES, addressed, advice
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.spelling import spelled
from healthsync_mqtt.config.settings import load_settings
from healthsync_mqtt.control.channel import call
from healthsync_mqtt.control.service_file import ServiceFile
from healthsync_mqtt.descriptions.people import moment
from healthsync_mqtt.descriptions.service import live_clients, presence
from healthsync_mqtt.errors import HealthSyncError, UnavailableError
from healthsync_mqtt.identity.login.credentials import CredentialStore
from healthsync_mqtt.identity.login.refused_logins import RefusedLogin
from healthsync_mqtt.identity.registry import Registry
from healthsync_mqtt.model.times import iso

MOST_STRANGERS: Final = 10
"""So many connections without a name are shown to a person; --json has them all."""
_UNSAID: Final = "an address that the broker did not say"
LATELY_US: Final = 24 * 3_600_000_000
"""How far back a refused login is worth a remark in a list."""


def whether_online(online: bool | None) -> bool | str:
    """Whether it is connected, as a table shows it; without a service nobody knows."""
    return "?" if online is None else online


def described_refusal(refused: RefusedLogin, who: Mapping[str, Any]) -> dict[str, Any]:
    """A refusal of a login that claimed to be ``who``, for people and programs; whose login it was is not known."""
    meant = advice(refused.reason)
    return {
        "claimed_client_id": refused.client_id,
        "last_at": iso(refused.last_us),
        "first_at": iso(refused.first_us),
        "count": refused.count,
        "address": refused.address or None,
        "reason": refused.reason,
        "meaning": meant.words,
        "what_to_do": spelled(addressed(meant.fix, who)),
    }


def strangers(place: DataDirectory) -> list[dict[str, Any]]:
    """Who came to the running service lately and never said who they are, newest first; [] when no service answers.

    The service writes down before it answers which logins it refused, so that the registry knows them from here on.
    """
    try:
        answer = call(place.path, "turned_away", within_s=5.0)
    except HealthSyncError:
        return []
    found = []
    for each in answer["turned_away"]:
        meant = advice(each["reason"])
        found.append(
            {
                "last_at": iso(each["last_us"]),
                "first_at": iso(each["first_us"]),
                "count": each["count"],
                "address": each["address"],
                "reason": each["reason"],
                "meaning": meant.words,
                "what_to_do": spelled(meant.fix),
            }
        )
    return found


def elsewhere(place: DataDirectory, client_id: str) -> str | None:
    """Where else to look when the clients of an installation log in at a broker of others; None at our own door."""
    settings = load_settings(place.path)
    try:
        ours = bool(ServiceFile.read(place.path).mqtt)
    except UnavailableError:
        ours = CredentialStore(settings.paths.credentials).find(bridge_client_id(settings.bridge.id)) is None
    if ours:
        return None
    return (
        f"It logs in at a broker of others: there its client id and its user name are both {client_id}. What the "
        "access hooks refuse is listed here; a Mosquitto decides by itself, and says it in its own log"
    )


class Liveness:
    """Reads for one command what the service, the log and the registry know of clients."""

    def __init__(self, place: DataDirectory, registry: Registry, now_us: int) -> None:
        self._live = live_clients(place.path)  # the service writes down who was here before it answers
        self._seen = registry.sightings.all()
        self._refused: dict[str, int] = {}
        for each in registry.refused_logins.since(now_us - LATELY_US):
            self._refused[each.client_id] = self._refused.get(each.client_id, 0) + each.count

    def of(self, client_id: str) -> dict[str, Any]:
        """Whether it is connected (None: no service runs), its last login, event and version; refused in a day.

        ``address``, ``protocol`` and ``connected_at`` are of its connection, or else of its last one.
        """
        return presence(client_id, self._live, self._seen.get(client_id), self._refused.get(client_id, 0))

    def messages_refused(self, who: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The newest messages of a client that went nowhere since the service runs, newest first, with what to do."""
        found = [] if self._live is None else self._live.messages_refused.get(who["client_id"], [])
        return [
            {
                "at": iso(int(each["at"] * 1_000_000)),
                "topic": each["topic"],
                "reason": each["reason"],
                "meaning": MESSAGES[each["reason"]].words,
                "what_to_do": spelled(addressed(MESSAGES[each["reason"]].fix, who)),
            }
            for each in reversed(found)
        ]


def tell_messages(refused: list[dict[str, Any]]) -> None:
    """Print them."""
    for each in refused:
        output.facts(
            [
                ("message refused", f"{output.time(each['at'])} on {each['topic']}"),
                ("reason", each["meaning"]),
                ("what to do", each["what_to_do"]),
            ]
        )


class LastEvents:
    """When the newest events in the log were received, of users and of devices that no service has noted yet.

    Use as a context manager. Of a device it is looked for among its user's last thousand, and read once a user.
    """

    def __init__(self, place: DataDirectory) -> None:
        self._log = place.log()
        self._known: dict[str, dict[str | None, int]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        if self._log is not None:
            self._log.close()

    def of_user(self, user_id: str) -> str | None:
        """The newest event of a user, whatever brought it."""
        if self._log is None:
            return None
        newest = self._log.read(0, 1, user=user_id, history=True, newest=True)
        return iso(newest[0].received_us) if newest else None

    def of_device(self, user_id: str, device_id: str) -> str | None:
        """The newest event that a device brought."""
        if self._log is None:
            return None
        if user_id not in self._known:
            times = self._known.setdefault(user_id, {})
            for each in self._log.read(0, 1_000, user=user_id, history=True, newest=True):
                times[each.device] = max(each.received_us, times.get(each.device, 0))
        return moment(self._known[user_id].get(device_id))


def explain(
    shown: Mapping[str, Any],
    state: str,
    refused: list[RefusedLogin],
    nameless: list[dict[str, Any]],
    *,
    elsewhere: str | None,
    as_json: bool,
) -> None:
    """Print what is known of a client that cannot connect, and who came to the door without a name."""
    listed = [described_refusal(each, shown) for each in refused]
    state = spelled(state)
    if as_json:
        output.emit({**shown, "state": state, "refused": listed, "strangers": nameless, "elsewhere": elsewhere})
        return
    output.facts([("client id", shown["client_id"]), ("now", state), ("connected", whether_online(shown["online"]))])
    for each in listed:
        _told("refused", each)
    for each in nameless[:MOST_STRANGERS]:
        _told("nameless", each)
    tell_messages(shown.get("messages_refused", []))
    if listed:
        output.say("Refused: logins that claimed this client id; whose they were is not known.")
    if nameless:
        output.say("Nameless: connections that ended before they said who they are; one may be this client's.")
    if elsewhere is not None:
        output.say(f"{elsewhere}.")
    elif shown["online"] is not True and not listed and not nameless:
        last = shown["last_seen_at"]
        since = "Does it reach the service?" if last is None else f"It was last here at {output.time(last)}."
        output.say(f"No refused login of this client id is known. {since} See: healthsync status")


def _told(kind: str, each: Mapping[str, Any]) -> None:
    output.facts(
        [
            (kind, f"{output.time(each['last_at'])} from {each['address'] or _UNSAID}, {each['count']} in all"),
            ("reason", each["meaning"]),
            ("what to do", each["what_to_do"]),
        ]
    )
