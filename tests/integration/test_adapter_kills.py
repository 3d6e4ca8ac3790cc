"""The short run of ``scripts/soak-adapters``: a worker that is killed loses nothing and doubles nothing."""

from pathlib import Path

from tests.support.soak_adapters import soak


def test_killed_amid_imports_renewals_and_webhooks_nothing_is_lost_or_double(tmp_path: Path) -> None:
    done = soak(tmp_path, kills=4, seed=17)
    assert done["kills"] == 4
    assert done["notices"] > 0
