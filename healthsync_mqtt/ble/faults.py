"""What can go wrong between here and a device, by who can do something about it."""

from healthsync_mqtt.errors import DeniedError, UnavailableError


class RadioUnavailableError(UnavailableError):
    """The Bluetooth of this machine cannot be used."""

    reason = "radio_unavailable"


class PeripheralAwayError(UnavailableError):
    """The device was not heard, or went away. Most sleep until somebody uses them."""

    reason = "peripheral_away"


class PeripheralSilentError(UnavailableError):
    """The device is connected, and says nothing, or does not answer."""

    reason = "peripheral_silent"


class NothingToReadError(UnavailableError):
    """The device has none of the profiles that are read."""

    reason = "nothing_to_read"


class PairingNeededError(DeniedError):
    """The device tells nobody that it is not paired with."""

    reason = "pairing_needed"

    def __init__(self, address: str, why: str) -> None:
        super().__init__(
            f"{address} wants to be paired with: {why}",
            hint="put it into its pairing mode and add --pair; one that shows a code is paired once with: "
            f"bluetoothctl (agent on, pair {address})",
        )
