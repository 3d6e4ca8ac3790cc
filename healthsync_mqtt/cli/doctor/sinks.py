"""What ``healthsync doctor`` says about sinks: is each read, has it its token, is it reached? Nothing is sent."""

from collections.abc import Iterator
from pathlib import Path

from healthsync_mqtt.cli.doctor.finding import Finding, Grade
from healthsync_mqtt.errors import HealthSyncError
from healthsync_mqtt.sinks.belonging import worth_a_word
from healthsync_mqtt.sinks.config import Sinks
from healthsync_mqtt.sinks.kinds import reach


def sinks(data: Path) -> Iterator[Finding]:
    """One finding a sink, and one where none is run from here; none stops the others."""
    known = Sinks(data)
    yield from _directory(data)
    for name in known.names():
        try:
            config = known.get(name)
            found = reach(config)
        except HealthSyncError as error:
            yield Finding(check=f"sink {name}", grade=Grade.BAD, message=str(error), fix=error.hint)
            continue
        if not found.works:
            yield Finding(check=f"sink {name}", grade=Grade.BAD, message=found.message, fix=found.hint)
        elif config.paused:
            fix = f"healthsync sink resume {name}"
            yield Finding(check=f"sink {name}", grade=Grade.NOTE, message="suspended by an operator", fix=fix)
        else:
            yield Finding(check=f"sink {name}", grade=Grade.GOOD, message=f"{config.target} answers")


def _directory(data: Path) -> Iterator[Finding]:
    """Whether the sinks of a log that bridges share are run from here, where that matters."""
    try:
        fault = worth_a_word(data)
    except HealthSyncError:  # who looks at the server says what is wrong with it
        return
    if fault is not None:
        yield Finding(check="sinks", grade=Grade.BAD, message=str(fault), fix=fault.hint)
