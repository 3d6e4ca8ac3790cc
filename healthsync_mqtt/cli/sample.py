"""healthsync sample …"""

from pathlib import Path
from typing import Annotated

import typer

from healthsync_mqtt.cli import output
from healthsync_mqtt.cli.options import DATA, FreshData, Json
from healthsync_mqtt.errors import InputError
from healthsync_mqtt.formats.fit_sample import sample_activity


def sample(
    file: Annotated[Path, typer.Argument(help="Where to write it, such as activity.fit; no existing file.")],
    data: FreshData = DATA,  # noqa: ARG001  # --data is taken everywhere
    json: Json = False,
) -> None:
    """Write a small Garmin activity, ten minutes of walking, to try `healthsync replay` with. It is the same each time.

    Example: healthsync sample activity.fit
    """
    content = sample_activity()
    try:
        with file.open("xb") as written:
            written.write(content)
    except FileExistsError:
        if file.is_dir() or file.read_bytes() != content:
            raise InputError(
                f"{file} is there already", hint="name another file: healthsync sample sample.fit"
            ) from None
    except OSError as error:
        raise InputError(f"cannot write {file}: {error.strerror}", hint="name a file in a directory of yours") from None
    if json:
        output.emit({"file": str(file), "bytes": len(content)})
    else:
        output.say(f"wrote {file}; publish it: healthsync replay {file} --user USER --device DEVICE")
