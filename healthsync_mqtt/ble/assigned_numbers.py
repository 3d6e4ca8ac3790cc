"""Numbers that the Bluetooth SIG has assigned, and the long form in which they travel (Core, Vol 3, Part B, 2.5.1)."""

from typing import Final

_BASE: Final = "0000{:04x}-0000-1000-8000-00805f9b34fb"


def uuid(number: int) -> str:
    """The UUID of an assigned number, in small letters."""
    return _BASE.format(number)


DEVICE_INFORMATION: Final = 0x180A
CURRENT_TIME_SERVICE: Final = 0x1805

MODEL_NUMBER: Final = 0x2A24
MANUFACTURER_NAME: Final = 0x2A29
CURRENT_TIME: Final = 0x2A2B
RECORD_ACCESS_CONTROL_POINT: Final = 0x2A52
