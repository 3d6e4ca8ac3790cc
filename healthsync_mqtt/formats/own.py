"""JSON as docs/reference says: nothing stands between it and the exact reader."""

from healthsync_mqtt.model.delivery import OWN_FORM


class Own:
    """The format of the devices and adapters of this project (``port.Format``)."""

    name = OWN_FORM

    def read(self, content: bytes, user: str) -> bytes:  # noqa: ARG002  # the port's
        """The same bytes; whether they are events is for the exact reader to say."""
        return content
