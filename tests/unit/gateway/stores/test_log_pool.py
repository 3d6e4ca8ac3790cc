"""Readers of the gateway: what refuses a request gives none up, and one that is given up is closed."""

from pathlib import Path
from typing import Any

import pytest

from healthsync_mqtt.errors import StoreError
from healthsync_mqtt.gateway.bodies.problem import HttpError
from healthsync_mqtt.gateway.stores.log_pool import LogPool


class Reader:
    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True


async def asked(pool: LogPool, error: Exception) -> None:
    def question(_: Any) -> None:
        raise error

    with pytest.raises(type(error)):
        await pool.ask(question)


@pytest.mark.parametrize(
    ("error", "gives_up"), [(HttpError(400, "bad_from", "no such place"), False), (StoreError("damaged"), True)]
)
async def test_no_reader_is_left_open_behind_one_that_is_asked_next(error: Exception, gives_up: bool) -> None:
    opened: list[Reader] = []

    def reader(_: Path) -> Any:
        opened.append(Reader())
        return opened[-1]

    pool = LogPool(Path("data"), reader)
    for _ in range(50):
        await asked(pool, error)
    assert sum(not each.closed for each in opened) <= 4
    assert (len(opened) == 50) is gives_up
    pool.close()
    assert all(each.closed for each in opened)
