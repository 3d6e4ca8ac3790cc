"""Whether Kafka would work as a sink, before it becomes one: topics are looked at, an empty transaction is tried."""

from healthsync_mqtt.errors import HealthSyncError
from healthsync_mqtt.sinks.config import KafkaConfig
from healthsync_mqtt.sinks.kafka.server import Kafka, KafkaTroubleError, TopicFacts
from healthsync_mqtt.sinks.port import TrialFinding

_EPOCH = "trial"
"""The place of a trial is not the sink's."""


def try_topics(config: KafkaConfig) -> list[TrialFinding]:
    """What works, in the order of need; what needs something that does not work is not tried."""
    try:
        kafka = Kafka(config, config.token.read(), epoch=_EPOCH)
    except HealthSyncError as error:
        return [TrialFinding("token", works=False, message=str(error), hint=error.hint)]
    findings: list[TrialFinding] = []
    try:
        facts = kafka.facts(config.topic)
        findings += [TrialFinding("reach", works=True), *_of_events(config.topic, facts)]
        findings += [
            _of_table(topic, kafka.facts(topic)) for topic in (config.latest_topic, config.days_topic) if topic
        ]
        if all(each.works or not each.needed for each in findings):
            kafka.open()
            findings.append(TrialFinding("transaction", works=True))
    except KafkaTroubleError as error:
        tried = "transaction" if findings else "reach"
        findings.append(TrialFinding(tried, works=False, message=f"{error.reason}: {error.message}", hint=error.hint))
    finally:
        kafka.close()
    return findings


def reach_topics(config: KafkaConfig) -> TrialFinding:
    """Whether the topic of events is there, and the password can be read; nothing is sent or changed."""
    try:
        kafka = Kafka(config, config.token.read(), epoch=_EPOCH)
    except HealthSyncError as error:
        return TrialFinding("token", works=False, message=str(error), hint=error.hint)
    try:
        kafka.facts(config.topic)
    except KafkaTroubleError as error:
        return TrialFinding("reach", works=False, message=f"{error.reason}: {error.message}", hint=error.hint)
    finally:
        kafka.close()
    return TrialFinding("reach", works=True)


def _of_events(topic: str, facts: TopicFacts) -> list[TrialFinding]:
    """A compacted topic would keep one event of each user; without a retention nobody who is erased ever leaves it."""
    if not facts.known:
        return [TrialFinding("settings", works=False, needed=False, message=f"{topic}: its settings may not be read")]
    findings = [
        TrialFinding(
            "cleanup.policy",
            works="compact" not in facts.cleanup,
            message=f"{topic} is compacted: it would keep one event of each user" if "compact" in facts.cleanup else "",
            hint="name a topic with cleanup.policy=delete; the compacted one is --latest-topic",
        ),
        TrialFinding(
            "retention.ms",
            works=facts.retention_ms >= 0,
            needed=False,
            message=f"{topic} keeps everything: who is erased here is not erased there"
            if facts.retention_ms < 0
            else "",
            hint="set retention.ms to as long as an erasure may take",
        ),
    ]
    if facts.replicas > 1 and facts.in_sync < 2:
        findings.append(
            TrialFinding(
                "min.insync.replicas", works=False, needed=False,
                message=f"{topic} acknowledges what one replica has", hint="set min.insync.replicas to 2",
            )
        )  # fmt: skip
    return findings


def _of_table(topic: str, facts: TopicFacts) -> TrialFinding:
    compacted = "compact" in facts.cleanup or not facts.known
    return TrialFinding(
        "compaction",
        works=compacted,
        message="" if compacted else f"{topic} is not compacted: it would keep all versions, and for a time only",
        hint="" if compacted else f"kafka-configs.sh --alter --topic {topic} --add-config cleanup.policy=compact",
    )
