"""What a running service says about itself: the answer to ``healthsync status``."""

import os
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from healthsync_mqtt import __version__

if TYPE_CHECKING:
    from bridge.service import Service


def report(service: "Service", since_us: int) -> dict[str, Any]:
    """Health, figures, who is slowed down or over a daily limit, and when certificates end (epoch seconds)."""
    return {
        "running": True,
        "pid": os.getpid(),
        "version": __version__,
        "healthy": service.pipeline.healthy,
        "broker": {"mode": "embedded", "connected": True},
        "journal": {"working": service.pipeline.healthy, "commit_running_s": service.pipeline.commit_running_s},
        "uptime_s": round(time.time() - since_us / 1e6, 3),
        "epoch": service.journal.epoch,
        "head": service.journal.head(),
        "counters": service.counters.snapshot(),
        "connections": service.door.sessions.connected,
        "subscriber_lag": service.publisher.lag(),
        "sinks": service.shipping.status(),
        "limited": [asdict(each) for each in service.door.rates.limited()],
        "over_daily_limit": service.volume.over(),
        "certificates": asdict(service.tls.expiry),
    }
