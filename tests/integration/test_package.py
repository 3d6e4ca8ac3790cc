"""What people install: a wheel and an sdist, built here, tried in environments of their own outside the checkout."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
UNCOMPILED = {"PIP_NO_COMPILE": "1"}
"""What is imported is compiled then: to compile all of a hundred packages is most of what installing them costs."""


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    clean = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "HEALTHSYNC_DATA"}}
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=clean | UNCOMPILED | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that git has, without what lies around a developer's checkout."""
    target = tmp_path_factory.mktemp("source")
    names = run("git", "ls-files", "-z", cwd=ROOT).split("\0")
    for name in filter(None, names):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, target / name)
    return target


@pytest.fixture(scope="module")
def built(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel and an sdist, by the locked build tool."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "hatchling", "build", "-d", out, cwd=source)
    return out


def environment(at: Path, package: Path, python: str = sys.executable) -> Path:
    """A virtual environment that sees the installed dependencies and has the package from ``package``."""
    run(python, "-m", "venv", "--without-pip", at, cwd=at.parent)
    site = next((at / "lib").glob("python*/site-packages"))
    # Only the dependencies: our own editable installation is reached through a .pth file, which is not read from here.
    here = next(Path(path) for path in sys.path if path.endswith("site-packages"))
    (site / "dependencies.pth").write_text(f"{here}\n")
    run(
        sys.executable,
        "-m",
        "pip",
        f"--python={at / 'bin' / 'python'}",
        "install",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        package,
        cwd=at,
    )
    return at / "bin"


EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
BRINGS = {
    "ble": "bleak",
    "fit": "healthsync_mqtt.formats.fit",
    "influx": "influxdb_client",
    "hooks": "starlette, uvicorn",
    "kafka": "confluent_kafka",
    "mcp": "mcp.server.mcpserver",
    "parquet": "pyarrow",
    "postgres": "psycopg",
}


@pytest.mark.real_server
def test_all_extras_come_from_an_index_into_an_empty_environment(built: Path, tmp_path: Path) -> None:
    """As a reader of the pages does: nothing of this checkout is seen. What is locked is what is fetched.

    The sdist, whose build tool comes from the index too; then the wheel in its place, with what it brought.
    """
    locked = re.sub(r" *\\\n *--hash=\S+", "", (ROOT / "requirements.lock").read_text())
    (tmp_path / "locked.txt").write_text(locked)
    run(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    python = tmp_path / "venv/bin/python"
    pip = (python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    sdist, wheel = next(built.glob("*.tar.gz")), next(built.glob("*.whl"))
    had = subprocess.run(
        [*map(str, pip), "--constraint", str(tmp_path / "locked.txt"), f"{sdist}[all]"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=500, env=os.environ | UNCOMPILED,
    )  # fmt: skip
    if had.returncode and re.search(r"ConnectionError|NewConnectionError|Temporary failure|Max retries", had.stderr):
        pytest.skip(f"no package index was reached: {had.stderr[-300:]}")
    assert had.returncode == 0, had.stderr
    all_is_there(python, tmp_path)
    run(python, "-m", "pip", "uninstall", "--quiet", "--yes", "healthsync-mqtt", cwd=tmp_path)
    run(*pip, "--no-index", f"{wheel}[all]", cwd=tmp_path)
    all_is_there(python, tmp_path)


def all_is_there(python: Path, tmp_path: Path) -> None:
    """The extras are found, and a recording of the one that needs most is understood."""
    run(python, "-c", f"import {', '.join(BRINGS.values())}, healthsync_mqtt, bridge", cwd=tmp_path)
    activity = tmp_path / "activity.fit"
    activity.unlink(missing_ok=True)
    healthsync = python.with_name("healthsync")
    run(healthsync, "sample", activity, cwd=tmp_path)
    data = tmp_path / "data"
    shutil.rmtree(data, ignore_errors=True)
    run(healthsync, "user", "add", "alice", "--consent", "all", "--data", data, cwd=tmp_path)
    run(healthsync, "device", "add", "alice", "watch", "--data", data, cwd=tmp_path)
    replay = (healthsync, "replay", activity, "--user", "alice", "--device", "watch", "--print", "--data", data)
    assert "heart_rate" in run(*replay, cwd=tmp_path)


def test_every_extra_brings_something_that_is_looked_for() -> None:
    assert set(BRINGS) == set(EXTRAS) - {"all"}


def test_each_extra_alone_is_had_with_what_is_locked(built: Path, tmp_path: Path) -> None:
    package = next(built.glob("*.whl"))
    python = environment(tmp_path / "venv", package) / "python"
    for extra in (*EXTRAS, "no-such-extra"):
        # It is installed: what an extra asks for beside it has to be found, and the same files are not copied again.
        pip = [sys.executable, "-m", "pip", f"--python={python}", "install", "--dry-run", "--no-build-isolation"]
        pip += ["--no-index", f"{package}[{extra}]"]
        done = subprocess.run(pip, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stderr
        known = "does not provide the extra" not in done.stdout + done.stderr
        assert known == (extra in EXTRAS), extra


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_an_installed_package_has_all_it_needs(built: Path, tmp_path: Path, kind: str) -> None:
    package = next(built.glob("*.whl" if kind == "wheel" else "*.tar.gz"))
    programs = environment(tmp_path / "venv", package)
    where = run(programs / "python", "-c", "import healthsync_mqtt; print(healthsync_mqtt.__file__)", cwd=tmp_path)
    assert str(tmp_path) in where
    data = tmp_path / "data"
    run(programs / "healthsync", "user", "add", "alice", "--consent", "all", "--data", data, "--json", cwd=tmp_path)
    assert '"device_id"' in run(
        programs / "healthsync", "device", "add", "alice", "watch", "--data", data, "--json", cwd=tmp_path
    )
    topics = run(programs / "healthsync", "topic", "list", "--json", "--data", data, cwd=tmp_path)
    assert "users/{user}/devices/{device}/events" in topics
    assert "usage" in run(programs / "python", "-m", "bridge", "--help", cwd=tmp_path).lower()


def test_every_data_file_is_in_the_wheel_and_in_the_sdist(source: Path, built: Path) -> None:
    wanted = {
        path.relative_to(source).as_posix()
        for package in ("healthsync_mqtt", "bridge")
        for path in (source / package).rglob("*")
        if path.is_file()
    }
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
    assert wanted <= names
    assert "healthsync_mqtt/topics/topics.yaml" in names
    with tarfile.open(next(built.glob("*.tar.gz"))) as sdist:
        inside = {name.partition("/")[2] for name in sdist.getnames()}
    assert wanted <= inside
    assert {"topics.yaml", "pyproject.toml", "README.md", "LICENSE"} <= inside


def test_the_extra_all_has_every_other_extra() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (everything,) = extras.pop("all")
    name, _, inside = everything.partition("[")
    assert name == "healthsync-mqtt"
    assert set(inside.rstrip("]").split(",")) == set(extras)
