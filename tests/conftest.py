"""Fixtures of all tests, and the rule that a real-server test may not be skipped in continuous integration."""

import gc
import logging
import os
import shutil
import signal
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from healthsync_mqtt.telemetry.log import ROOT
from tests.support import child, zygote
from tests.support.accounts import NO_PYTHON, ONLY_ROOT
from tests.support.booted import NOBODY_BOOTS
from tests.support.fetched import LONG_BUILD, NO_CRATES
from tests.support.service import Service

# The contracts that ship with the program say what they compared, as the tests here do.
pytest.register_assert_rewrite("healthsync_mqtt.testing")
zygote.install()

# A shell that starts the tests in the background has them ignore Ctrl-C, and so would the programs that they end by it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes says how busy the machine is, and nothing about the project.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

ALONE = pytest.StashKey[bool]()
"""Set where a test is skipped because people clone the project without the recordings: nobody's failure."""
EXCUSED = (NO_CRATES, NO_PYTHON, ONLY_ROOT, NOBODY_BOOTS, LONG_BUILD)
"""What a machine of continuous integration may lack: others' registry, root and its Python, the right to namespaces."""
SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


@pytest.fixture(autouse=True)
def _log() -> Iterator[None]:
    """Where the log goes and what is in it is a test's own, and the next one's is as it was."""
    loggers = logging.getLogger(), logging.getLogger(ROOT)
    before = [(list(each.handlers), each.level) for each in loggers]
    yield
    for logger, (handlers, level) in zip(loggers, before, strict=True):
        logger.handlers[:] = handlers
        logger.setLevel(level)
    logging.disable(logging.NOTSET)


def in_ci() -> bool:
    """True where CI is set to anything but nothing, 0 or false."""
    return os.environ.get("CI", "").lower() not in {"", "0", "false"}


def pytest_collection_finish() -> None:
    """What was imported and collected stays: going over all of it again took a sixth of the time of the unit tests."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("shared_data") and not SHARED_DATA.is_dir():
        item.stash[ALONE] = True
        pytest.skip("the recordings are not part of the repository: this clone is alone")
    if item.get_closest_marker("real_server"):
        # Debian keeps the broker where the PATH of an ordinary user does not look.
        os.environ["PATH"] = f"{os.environ['PATH']}:/usr/sbin:/usr/local/sbin"
        missing = [name for name in ("mosquitto", "mosquitto_pub", "mosquitto_sub") if not shutil.which(name)]
        if missing:
            pytest.skip(f"{', '.join(missing)} not installed: scripts/test installs it where it can")


def pytest_make_parametrize_id(val: object) -> str | None:
    """Long texts may hold random keys, and processes that share the work must name a test alike."""
    return "" if isinstance(val, str | bytes) and len(val) > 12 else None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[Any]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    excused = item.stash.get(ALONE, False) or any(words in str(report.longrepr) for words in EXCUSED)
    if report.skipped and in_ci() and not excused and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"skipped in CI, where everything that is tried must be there: {report.longrepr}"
    return report


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    """What a test starts has ended when it ends, with its pipes closed; fixtures of modules end what they start."""
    since = child.count()
    yield
    left = child.left(since)
    for process in left:
        child.end(process)
    assert not left, f"left behind: {[process.args for process in left]}"


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The recordings of real devices, for tests marked ``shared_data``."""
    return SHARED_DATA


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A running service on an empty data directory, shared by the tests of one module."""
    with Service(tmp_path_factory.mktemp("service") / "data") as started:
        yield started
