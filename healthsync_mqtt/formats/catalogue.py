"""Every format by its name, as deliveries are marked. A new one is a module here and a member of ``FORMATS``."""

from collections.abc import Mapping
from typing import Final

from healthsync_mqtt.formats.fhir import Fhir
from healthsync_mqtt.formats.fit import Fit
from healthsync_mqtt.formats.health_auto_export import HealthAutoExport
from healthsync_mqtt.formats.health_connect import HealthConnect
from healthsync_mqtt.formats.life_dashboard import LifeDashboard
from healthsync_mqtt.formats.nightscout import Nightscout
from healthsync_mqtt.formats.open_mhealth import OpenMhealth
from healthsync_mqtt.formats.openscale import Openscale
from healthsync_mqtt.formats.own import Own
from healthsync_mqtt.formats.port import Format
from healthsync_mqtt.formats.sleep_as_android import SleepAsAndroid
from healthsync_mqtt.formats.theengs import Theengs
from healthsync_mqtt.formats.xiaomi_scale import XiaomiScale

OWN: Final[Format] = Own()
_ALL: Final[tuple[Format, ...]] = (
    OWN,
    Fit(),
    HealthAutoExport(),
    HealthConnect(),
    LifeDashboard(),
    Openscale(),
    XiaomiScale(),
    Theengs(),
    Nightscout(),
    SleepAsAndroid(),
    OpenMhealth(),
    Fhir(),
)
FORMATS: Final[Mapping[str, Format]] = {form.name: form for form in _ALL}
