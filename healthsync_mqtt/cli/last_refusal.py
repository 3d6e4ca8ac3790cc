"""The newest refusal of what an app or device sent: of a value that is kept, or of a message that went nowhere."""

from typing import Any, Final

from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.model.times import iso

_PAGE: Final = 1_000


def last_refusal(place: DataDirectory, user: str, device: str, nowhere: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The newest refusal of what the app sent, as far as it is kept; without what it sent.

    ``nowhere`` are messages on topics that are not the app's, newest first: they have no number.
    """
    kept = _last_kept(place, user, device)
    if not nowhere or (kept is not None and kept["at"] > nowhere[0]["at"]):
        return kept
    at, reason, topic = (nowhere[0][name] for name in ("at", "reason", "topic"))
    return {"number": None, "at": at, "reason": reason, "field": None, "topic": topic}


def _last_kept(place: DataDirectory, user: str, device: str) -> dict[str, Any] | None:
    """Of those with a number."""
    log = place.log()
    if log is None:
        return None
    newest = None
    with log:
        after = 0
        while rows := log.rejected(after, _PAGE, user=user):
            after = rows[-1].no
            for row in rows:
                if row.device == device and (newest is None or row.last_us >= newest.last_us):
                    newest = row
    if newest is None:
        return None
    about = {"number": newest.no, "at": iso(newest.last_us), "reason": newest.reason}
    return about | {"field": newest.field, "topic": newest.topic}
