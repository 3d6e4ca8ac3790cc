"""healthsync version"""

from healthsync_mqtt import __version__
from healthsync_mqtt.cli import output
from healthsync_mqtt.cli.options import DATA, AnyData, Json


def version(data: AnyData = DATA, json: Json = False) -> None:  # noqa: ARG001  # --data is taken everywhere
    """Print the version.

    Example: healthsync version
    """
    if json:
        output.emit({"version": __version__})
    else:
        output.facts([("healthsync", __version__)])
