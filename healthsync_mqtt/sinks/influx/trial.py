"""Whether a server would work as a sink, before it becomes one: one point is written, read and deleted again.

The point is of the measurement ``healthsync_check``, which no type has; where a server deletes no points it stays.
"""

import time
from datetime import UTC, datetime

from healthsync_mqtt.errors import HealthSyncError
from healthsync_mqtt.sinks.config import InfluxConfig
from healthsync_mqtt.sinks.influx.answers import FAULTS, Means, judge, judge_deletion
from healthsync_mqtt.sinks.influx.http import Influx
from healthsync_mqtt.sinks.influx.line import Line
from healthsync_mqtt.sinks.influx.readback import Readback
from healthsync_mqtt.sinks.port import TrialFinding


def reach_server(config: InfluxConfig) -> TrialFinding:
    """Whether it answers, whatever it says, and the token can be read."""
    try:
        server = Influx(config, config.token.read())
    except HealthSyncError as error:
        return TrialFinding("token", works=False, message=str(error), hint=error.hint)
    try:
        return _reached(config, server)
    finally:
        server.close()


def try_server(config: InfluxConfig) -> list[TrialFinding]:
    """What works, in the order of need; what needs something that does not work is not tried."""
    try:
        server = Influx(config, config.token.read())
    except HealthSyncError as error:
        return [TrialFinding("token", works=False, message=str(error), hint=error.hint)]
    try:
        reached = _reached(config, server)
        return [reached, *_tried(config, server)] if reached.works else [reached]
    finally:
        server.close()


def _reached(config: InfluxConfig, server: Influx) -> TrialFinding:
    answer = server.probe()
    if answer.status:
        return TrialFinding("reach", works=True)
    fault = answer.fault or "unreachable"
    words, hint = FAULTS[fault]
    return TrialFinding("reach", works=False, message=f"{config.url}: {fault}: {words}", hint=hint)


def _tried(config: InfluxConfig, server: Influx) -> list[TrialFinding]:
    now = datetime.now(UTC)
    line = Line("healthsync_check,user=check", "ok=1.0", time.time_ns() // 1_000_000 * 1_000_000)
    verdict = judge(server.write([line.text]), [line.text], now)
    if verdict.means is not Means.ADVANCE:
        said = f"{verdict.reason}: {verdict.message}".rstrip(": ")
        return [TrialFinding("write", works=False, message=said, hint=verdict.hint)]
    findings = [TrialFinding("write", works=True), _reads(config, server, line)]
    if config.deletes == "delete":
        verdict = judge_deletion(server.delete(line), now)
        said = f"{verdict.reason}: {verdict.message}".rstrip(": ")
        works = verdict.means is Means.ADVANCE
        findings.append(TrialFinding("delete", works=works, message="" if works else said, hint=verdict.hint))
    return findings


def _reads(config: InfluxConfig, server: Influx, line: Line) -> TrialFinding:
    """Reading is for reconcile only. What was written a moment ago need not be visible yet."""
    try:
        Readback(server, config.dialect, config.bucket).read(
            "healthsync_check", "check", line.time_ns, line.time_ns + 1_000_000
        )
    except HealthSyncError as error:
        return TrialFinding("read", works=False, needed=False, message=str(error), hint="only reconcile needs it")
    return TrialFinding("read", works=True, needed=False)
