"""A worker of one provider for each test that asks for it, closed at its end."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.unit.adapters.test_fetch import Rig


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Callable[..., Rig]]:
    made: list[Rig] = []

    def make(provider: str, history_days: int = 4) -> Rig:
        made.append(Rig(tmp_path, provider, history_days))
        return made[-1]

    yield make
    for each in made:
        each.close()
