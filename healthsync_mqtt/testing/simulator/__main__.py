"""``python -m healthsync_mqtt.testing.simulator``."""

import sys

from healthsync_mqtt.testing.simulator.seeds import main

if __name__ == "__main__":
    sys.exit(main())
