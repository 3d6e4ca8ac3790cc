"""Every format by its name, as deliveries are marked. A new one is a module here and a member of ``FORMATS``."""

from collections.abc import Mapping
from typing import Final

from healthsync_mqtt.formats.fit import Fit
from healthsync_mqtt.formats.own import Own
from healthsync_mqtt.formats.port import Format

OWN: Final[Format] = Own()
FORMATS: Final[Mapping[str, Format]] = {form.name: form for form in (OWN, Fit())}
