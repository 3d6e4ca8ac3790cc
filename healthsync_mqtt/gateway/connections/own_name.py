"""The name under which one gateway is connected: no two of a data directory have the same one.

A broker gives a connection up when another one comes with its client id: two gateways of one name would end each
other's for ever, and what was on its way with them.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from healthsync_mqtt.broker.external.access import NO_CREDENTIAL
from healthsync_mqtt.config.file_turn import FileTurn
from healthsync_mqtt.config.settings import Settings
from healthsync_mqtt.errors import ConflictError
from healthsync_mqtt.identity.login.credentials import CredentialStore
from healthsync_mqtt.identity.login.gateway import GATEWAY, GATEWAY_IDS, GATEWAY_NAMES, gateway_principal


@contextmanager
def own_name(settings: Settings, *, external: bool) -> Iterator[str]:
    """The client id of this gateway, for as long as the ``with`` lasts.

    It is that of ``gateway.id``, or the first one that no other gateway of the data directory has: on an
    ``external`` broker of those that have a credential here. ConflictError when there is none.
    """
    store = CredentialStore(settings.paths.credentials)
    known = [gateway_principal(each).client_id for each in ("", *GATEWAY_IDS)]
    names = _told(settings, store) if external else known
    with _first(settings.data, names, external=external) as name:
        if not external:
            store.ensure(name)
        yield name


def _told(settings: Settings, store: CredentialStore) -> list[str]:
    if settings.gateway.id:
        names = [gateway_principal(settings.gateway.id).client_id]
    else:
        names = [GATEWAY.client_id, *(each for each in store.names() if each.startswith(GATEWAY_NAMES))]
    store.need(names[0], NO_CREDENTIAL)
    return names


@contextmanager
def _first(data: Path, names: Iterable[str], *, external: bool) -> Iterator[str]:
    for name in names:
        turn = FileTurn(data / f"{name}.lock")
        if not turn.take():
            continue
        try:
            yield name
        finally:
            turn.leave()
        return
    raise ConflictError(
        f"a gateway of {data} is connected already, and there is no name for another one",
        hint="give it one, and tell the broker: healthsync broker provision mosquitto --gateways 2"
        if external
        else "end one of those that run",
    )
