"""While the journal has too much of a user, what that user's connections have brought waits with them."""

from typing import Any

import pytest

from healthsync_mqtt.broker.embedded.backpressure import Hold
from healthsync_mqtt.broker.embedded.connection import Connection
from healthsync_mqtt.broker.embedded.ports import Entry
from healthsync_mqtt.identity.login.proof import Login
from healthsync_mqtt.model.principal import Principal, Role
from tests.unit.bridge.edges.test_source_contract import AtTheDoor, Porch
from tests.unit.broker.embedded.states import WATCH

APP = Principal(role=Role.subscriber, client_id="app", users=None, types=None)


@pytest.mark.parametrize(("who", "put_off"), [(WATCH, True), (APP, False)], ids=["device", "subscriber"])
async def test_who_brings_acknowledgements_alone_is_not_put_off_for_what_others_send(
    monkeypatch: pytest.MonkeyPatch, who: Principal, put_off: bool
) -> None:
    """They waited until the backlog of everybody was down to a half, and the subscriber got nothing more meanwhile."""
    full, enter = False, Porch.enter

    def entered(porch: Porch, *said: Any, **more: Any) -> Entry:
        login = Login(principal=who, expires_at=1e12, jti=None)
        return enter(porch, *said, **more)._replace(login=login, behind=lambda _: full)

    monkeypatch.setattr(Porch, "enter", entered)
    site = AtTheDoor()
    await site.settle()
    connection = site.source
    assert isinstance(connection, Connection)
    assert not connection.put_off()
    full = True
    assert (connection.put_off(), Hold.JOURNAL in connection.reading.held) == (put_off, put_off)
    await site.close()
