"""What one client costs does not grow with how many others there are: counted in calls, not in time."""

from collections.abc import Callable
from dataclasses import replace

from healthsync_mqtt.broker.embedded.sessions.index import GrantedQos
from healthsync_mqtt.broker.embedded.sessions.retained_messages import Retained
from healthsync_mqtt.broker.embedded.sessions.table import Sessions
from healthsync_mqtt.config.sections import LimitSettings
from healthsync_mqtt.model.principal import Principal, Role
from tests.support.steps import calls
from tests.unit.broker.embedded.sessions.test_sessions import APP, RULES, FakeLink


def device(n: int) -> Principal:
    return Principal(role=Role.device, client_id=f"u{n}-w", user=f"u{n}", device="w")


def crowd(size: int) -> tuple[Sessions, list[FakeLink]]:
    """So many devices with a session, filters of their own and a retained status; half of them away."""
    all_ = Sessions(LimitSettings(session_expiry_s=100, max_sessions=100_000), RULES)
    links = []
    for n in range(size):
        link = FakeLink(all_, device(n))
        for word in ("receipts", "commands"):
            all_.subscribe(link.session, f"users/u{n}/devices/w/{word}", GrantedQos.of(1))
        all_.retained.keep(Retained(f"users/u{n}/devices/w/status", b"on", 1, n))
        links.append(link)
    for link in links[::2]:
        link.leave(now=50.0)
    return all_, links


WORK: dict[str, Callable[[Sessions, list[FakeLink]], object]] = {
    "a client leaves": lambda all_, links: links[1].leave(now=60.0),
    "a client comes back": lambda all_, links: FakeLink(all_, device(2)),
    "nobody has expired": lambda all_, links: all_.expire(149.0),
    "a message for one": lambda all_, links: all_.index.match("users/u3/devices/w/commands"),
    "what is retained for one filter": lambda all_, links: all_.retained.match("users/u3/devices/+/status"),
    "a subscription": lambda all_, links: all_.subscribe(links[1].session, "users/u1/devices/w/x", GrantedQos.of(1)),
    "an identity is revoked": lambda all_, links: all_.revoke(device(5).client_id),
}


async def test_ten_thousand_devices_cost_one_of_them_nothing() -> None:
    few, many = crowd(20), crowd(10_000)
    for name, work in WORK.items():
        cost = calls(lambda work=work: work(*many))  # type: ignore[misc]
        assert cost == calls(lambda work=work: work(*few)), name  # type: ignore[misc]
        assert cost < 400, name


async def test_expiry_costs_those_who_go() -> None:
    all_ = Sessions(LimitSettings(session_expiry_s=10, max_sessions=100_000), RULES)
    for n in range(2_000):
        FakeLink(all_, replace(APP, client_id=f"c{n}")).leave(now=float(n >= 10) * 5)
    assert calls(lambda: all_.expire(10.5)) < 1_000
    assert len(all_.snapshot()) == 1_990
