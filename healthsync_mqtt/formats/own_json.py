"""JSON as docs/reference says. The bridge reads it exactly as it came; only who asks for it here gets it as values."""

from collections.abc import Iterator

import msgspec

from healthsync_mqtt.formats.port import AppMessage, Fold, FormatEntry, Made
from healthsync_mqtt.model.delivery import OWN_FORM
from healthsync_mqtt.model.reasons import Reason, RefusedError


class Own:
    """The format of the devices and adapters of this project (``port.Format``)."""

    name = OWN_FORM
    summary = "our own JSON: an event, an array of events, or a batch"
    roots = ()
    remembers: frozenset[str] = frozenset()

    def takes(self) -> Iterator[FormatEntry]:
        """For people (``port.Format``)."""
        yield FormatEntry("every type", "as it is called here", "[events](events.md)")

    def fold(self, state: bytes, message: AppMessage) -> Fold:
        """Its events as they are; whether they may be stored is for the exact reader to say."""
        try:
            sent = msgspec.json.decode(message.payload)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise RefusedError(Reason.MALFORMED, None, f"not JSON: {error}") from None
        if isinstance(sent, dict) and "events" in sent:
            sent = sent["events"]
        events = sent if isinstance(sent, list) else [sent]
        for index, event in enumerate(events):
            if not isinstance(event, dict):
                raise RefusedError(Reason.MALFORMED, f"[{index}]", "an event is a JSON object")
            yield Made(event, index)
        return state
