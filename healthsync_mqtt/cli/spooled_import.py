"""`healthsync import FILE …` of a file that is sealed under the key on standard input: how the gateway calls it."""

import sys
from pathlib import Path

from healthsync_mqtt.cli.main import main as typed
from healthsync_mqtt.keys.spool import KEY_BYTES, hand_over


def main() -> None:
    """As what is typed."""
    hand_over(Path(sys.argv[2]), sys.stdin.buffer.read(KEY_BYTES))
    typed()
