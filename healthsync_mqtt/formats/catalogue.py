"""Every format by its name, as deliveries are marked. A new one is a module here and a member of ``_ALL``."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final

from healthsync_mqtt.errors import InputError
from healthsync_mqtt.formats.fhir import Fhir
from healthsync_mqtt.formats.fit import Fit
from healthsync_mqtt.formats.fitbit import Fitbit
from healthsync_mqtt.formats.googlefit import GoogleFit
from healthsync_mqtt.formats.health_auto_export import HealthAutoExport
from healthsync_mqtt.formats.health_connect import HealthConnect
from healthsync_mqtt.formats.life_dashboard import LifeDashboard
from healthsync_mqtt.formats.mapping import load_mappings
from healthsync_mqtt.formats.nightscout import Nightscout
from healthsync_mqtt.formats.open_mhealth import OpenMhealth
from healthsync_mqtt.formats.openscale import Openscale
from healthsync_mqtt.formats.own_json import Own
from healthsync_mqtt.formats.port import Format
from healthsync_mqtt.formats.sleep_as_android import SleepAsAndroid
from healthsync_mqtt.formats.theengs import Theengs
from healthsync_mqtt.formats.withings import Withings
from healthsync_mqtt.formats.xiaomi_scale import XiaomiScale
from healthsync_mqtt.formats.zepp import Zepp

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
    Withings(),
    GoogleFit(),
    Fitbit(),
    Zepp(),
)
SHIPPED: Final[Mapping[str, Format]] = MappingProxyType({form.name: form for form in _ALL})
"""The formats of the program."""
_known: Final[dict[str, Format]] = dict(SHIPPED)

FORMATS: Final[Mapping[str, Format]] = MappingProxyType(_known)
"""All formats: those of the program, and those that the installation of this process declares."""


_roots: Final[dict[str, str]] = {root: form.name for form in _ALL for root in form.roots}
ROOTS: Final[Mapping[str, str]] = MappingProxyType(_roots)
"""Whose format a topic is of that an app insists on, by its first level."""


_TREE: Final = frozenset({"users", "bridge", "changes", "enroll", "gateway", "homeassistant"})
"""First levels of the topics that are the program's own."""


def declare(folder: Path) -> None:
    """The mappings in a folder are formats of this process; those of another folder are no more.

    Raises InputError for a file that is no mapping, or that is called as a format of the program; and for one that
    insists on a root which another has: whose a message there is would be a matter of chance.
    """
    declared = load_mappings(folder)
    roots = {root: form.name for form in _ALL for root in form.roots}
    for name, form in declared.items():
        file = folder / f"{name}.yaml"
        if name in SHIPPED:
            raise InputError(f"{file} is called as a format of the program", hint="give it another name")
        for root in form.roots:
            if root in _TREE:
                raise InputError(f"{file}: the root {root} is the program's own", hint="give it another root")
            if (other := roots.setdefault(root, name)) != name:
                raise InputError(f"{file}: the root {root} is the one of the format {other}", hint=_one_root(root))
    _known.clear()
    _known.update({**SHIPPED, **declared})
    _roots.clear()
    _roots.update(roots)


def _one_root(root: str) -> str:
    return f"take {root} out of its roots: a login with this format may publish on its own topic, {root}/… below that"
