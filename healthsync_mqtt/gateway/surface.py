"""All routes of the gateway, each with its rule: what is served, and what its document is made of."""

from typing import Protocol

from fastapi import APIRouter

from healthsync_mqtt.descriptions.sign_in import SignInWays
from healthsync_mqtt.gateway import site
from healthsync_mqtt.gateway.bodies.answers import Answers
from healthsync_mqtt.gateway.event_log.questions import LogQuestions
from healthsync_mqtt.gateway.event_log.shares import Shares
from healthsync_mqtt.gateway.jobs.deliveries import Deliveries
from healthsync_mqtt.gateway.jobs.uploads import Uploads
from healthsync_mqtt.gateway.login.beginnings import Beginnings
from healthsync_mqtt.gateway.login.callers import Callers
from healthsync_mqtt.gateway.login.rules import (
    Administrator,
    Anybody,
    Keeper,
    Owner,
    Reader,
    Rule,
    Sender,
    Visitor,
    WebhookKeeper,
)
from healthsync_mqtt.gateway.login.sessions import PersonSessions
from healthsync_mqtt.gateway.registry.deeds import Deeds
from healthsync_mqtt.gateway.registry.installation import Installation
from healthsync_mqtt.gateway.registry.new_tokens import TokenDesk
from healthsync_mqtt.gateway.routes.clouds import cloud_links, provider_hooks, return_page
from healthsync_mqtt.gateway.routes.events import app_hooks, days, history, insights, intake, rejections, series, stream
from healthsync_mqtt.gateway.routes.people import (
    admins,
    apps,
    carers,
    consents,
    departures,
    devices,
    sources,
    subscribers,
    users,
)
from healthsync_mqtt.gateway.routes.service import audit_log, imports, sinks, status, webhooks
from healthsync_mqtt.gateway.routes.sign_in import enrolment, organisations, passkeys, sessions, tokens, ways
from healthsync_mqtt.gateway.stores.derived_pool import DerivedPool
from healthsync_mqtt.gateway.stores.log_pool import LogPool
from healthsync_mqtt.insights.file import InsightFile
from healthsync_mqtt.summaries.file import SummaryFile
from healthsync_mqtt.topics.access import AccessRules


class GatewayParts(Protocol):
    """What routes are made of."""

    callers: Callers
    intake: intake.EventIntake
    reading: LogQuestions
    answers: Answers
    days: DerivedPool[SummaryFile]
    insights: DerivedPool[InsightFile]
    shares: Shares
    streams: stream.Streams
    enrolment_desk: enrolment.EnrolmentDesk
    sessions: PersonSessions
    site: site.Site
    deeds: Deeds
    desk: TokenDesk
    deliveries: Deliveries
    rules: AccessRules
    provider_hooks: provider_hooks.ProviderHooks
    link_returns: return_page.LinkReturns
    clouds: cloud_links.Clouds
    passkeys: passkeys.Passkeys
    organisation: organisations.Organisation
    ways: SignInWays
    beginnings: Beginnings
    log: LogPool
    installation: Installation
    archives: departures.Archives
    uploads: Uploads


def routers(parts: GatewayParts) -> list[APIRouter]:
    """All of them."""
    callers = parts.callers
    reader, anybody = Reader(callers), Anybody(callers)
    keeper, admin = Keeper(callers), Administrator(callers)
    return [
        intake.routes(parts.intake, Sender(callers)),
        history.routes(parts.reading, parts.answers, reader, anybody),
        days.routes(parts.days, parts.shares, parts.answers, reader),
        insights.routes(parts.reading, parts.insights, parts.answers, reader),
        stream.routes(parts.streams, reader),
        enrolment.routes(parts.enrolment_desk, anybody),
        sessions.routes(parts.sessions, callers, Visitor(callers), anybody),
        ways.routes(parts.ways, anybody),
        passkeys.routes(parts.passkeys, parts.beginnings, callers, Visitor(callers), anybody),
        organisations.routes(parts.organisation, parts.beginnings, callers, Visitor(callers), anybody),
        tokens.routes(callers, parts.sessions, Rule(callers), anybody),
        # Before those of apps: the addresses that are a provider's alone are written out.
        provider_hooks.routes(parts.provider_hooks, anybody),
        return_page.routes(parts.link_returns, anybody),
        app_hooks.routes(parts.intake, callers, anybody),
        carers.routes(parts.sessions, Owner(callers)),
        series.routes(parts.reading, parts.days, parts.answers, reader),
        site.routes(parts.site, anybody),
        devices.routes(parts.deeds, parts.desk, parts.installation, keeper),
        apps.routes(parts.deeds, parts.rules, parts.installation, keeper),
        consents.routes(parts.deeds, keeper),
        users.routes(parts.deeds, admin, keeper),
        subscribers.routes(parts.deeds, parts.desk, parts.installation, admin),
        webhooks.routes(parts.deeds, parts.deliveries, WebhookKeeper(callers)),
        admins.routes(parts.deeds, admin),
        sources.routes(parts.deeds, parts.installation, keeper),
        departures.routes(parts.deeds, parts.archives, keeper, admin),
        imports.routes(parts.deeds, parts.uploads, parts.installation, keeper),
        rejections.routes(parts.deeds, parts.log, parts.installation, admin),
        audit_log.routes(parts.deeds, parts.installation, admin),
        sinks.routes(parts.deeds, parts.installation, admin),
        cloud_links.routes(parts.deeds, parts.clouds, keeper, admin),
        status.routes(parts.installation, admin),
    ]
