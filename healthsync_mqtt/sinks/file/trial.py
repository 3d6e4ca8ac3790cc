"""Whether a folder can be written, before it becomes a sink."""

import os
from tempfile import TemporaryFile

from healthsync_mqtt.config.private_files import make_private_directory
from healthsync_mqtt.errors import HealthSyncError
from healthsync_mqtt.sinks.config import FileConfig
from healthsync_mqtt.sinks.port import TrialFinding


def try_folder(config: FileConfig) -> list[TrialFinding]:
    """Make the folder and write a byte in it that is gone again."""
    try:
        make_private_directory(config.path)
        with TemporaryFile(dir=config.path) as file:
            file.write(b"\n")
            file.flush()
            os.fsync(file.fileno())
    except HealthSyncError as error:
        return [TrialFinding("write", works=False, message=str(error), hint=error.hint)]
    except OSError as error:
        said = f"{config.path}: {os.strerror(error.errno or 0)}"
        return [TrialFinding("write", works=False, message=said, hint="choose a folder that the service may write")]
    return [TrialFinding("write", works=True)]


def see_folder(config: FileConfig) -> TrialFinding:
    """Whether the folder, or what it is to be made in, may be written."""
    existing = next(path for path in (config.path, *config.path.parents) if path.exists())
    if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK):
        return TrialFinding("write", works=True)
    return TrialFinding(
        "write", works=False, message=f"{existing} cannot be written", hint="give it to the service's account"
    )
