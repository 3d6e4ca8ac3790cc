"""Commands in the process of the tests, made as ``main`` makes them: only what a line needs, not all forty nouns."""

from collections.abc import Sequence

from typer.testing import CliRunner, Result

from healthsync_mqtt.cli.main import needed, program


def invoke(words: Sequence[str]) -> Result:
    """What a line printed, and what it ended with."""
    return CliRunner().invoke(program(needed(words)), words)
