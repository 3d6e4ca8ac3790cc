"""What tests need from package registries, by each registry's own client, in a directory that is kept between runs.

Without the tool or the network the test is skipped with that reason; tests that use this are marked ``real_server``, so
that in CI the skip is a failure; only crates that cannot be had are nobody's failure. docs/decisions.md says what is
pinned how.
"""

import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import urllib.request
from collections.abc import Mapping
from pathlib import Path

import pytest

_LONG_S = 1_800
NO_CRATES = "crates.io was not reached"
LONG_BUILD = "takes minutes to build"
"""In the reason of a test that is skipped in CI too."""
BUILDS = "HEALTHSYNC_TEST_BUILDS"
"""Where this is set, such programs are built; once they are there they are used."""


def kept(*parts: str) -> Path:
    """A directory that outlives the test, for what is dear to fetch or build."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    made = base.joinpath("healthsync-tests", *parts)
    made.mkdir(parents=True, exist_ok=True)
    return made


def need(*programs: str) -> None:
    """Skip the test where a program is not installed."""
    missing = [name for name in programs if shutil.which(name) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed")


def fetch(command: list[str], cwd: Path, **environment: str) -> None:
    """Run a registry's client; skips the test with its last words when that fails."""
    done = subprocess.run(
        command,
        cwd=cwd,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=_LONG_S,
    )
    if done.returncode:
        pytest.skip(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()[-600:]}")


@functools.cache
def npm_package(name: str, version: str) -> Path:
    """A directory whose ``node_modules`` has the package."""
    need("node", "npm")
    place = kept("npm", f"{name}-{version}")
    if not (place / "node_modules" / name / "package.json").exists():
        fetch(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", f"{name}@{version}"], place)
    return place


def go_module(name: str, files: Mapping[str, str], module: str, version: str, *, also: tuple[str, ...] = ()) -> Path:
    """A Go program of these files that needs one module; the built program. ``also``: others, each with its version."""
    need("go")
    place = kept("go", name, str(os.getpid()))
    try:
        for file, text in files.items():
            (place / file).write_text(text)
        required = "".join(f"require {each}\n" for each in (f"{module} {version}", *also))
        (place / "go.mod").write_text(f"module example\n\ngo 1.22\n\n{required}")
        fetch(["go", "mod", "tidy"], place, GOFLAGS="-mod=mod")
        fetch(["go", "build", "-o", f"../{name}", "."], place)
    finally:
        shutil.rmtree(place)
    return kept("go", name) / name


@functools.cache
def python_packages(lock: Path) -> Path:
    """A directory with the packages of a lock file, each by its hash; for a process of its own, never for this one."""
    place = kept("pip", hashlib.sha256(lock.read_bytes()).hexdigest()[:16])
    done = place / "installed"
    if not done.exists():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
        fetch([*pip, "--only-binary=:all:", "--upgrade", "--target", str(place), "-r", str(lock)], place)
        done.touch()
    return place


@functools.cache
def python_source(folder: str, name: str, sha256: str, file: str) -> bytes:
    """A file of a package that only PyPI has and pip cannot install: it is of before what pip asks of a package."""
    place = kept("pypi") / name
    if not place.exists():
        try:
            with urllib.request.urlopen(f"{folder}/{name}", timeout=60) as answer:
                got = answer.read()
        except OSError as error:
            pytest.skip(f"{name}: {error}")
        assert hashlib.sha256(got).hexdigest() == sha256, name
        whole = place.with_name(f"{name}.{os.getpid()}")
        whole.write_bytes(got)
        whole.replace(place)
    with tarfile.open(place) as packed:
        inside = packed.extractfile(f"{name.removesuffix('.tar.gz')}/{file}")
        assert inside is not None
        return inside.read()


def cargo_crate(name: str, source: str, crate: str, version: str, *, features: bool = True) -> Path:
    """A Rust program that needs one crate; the built program. ``features``: the crate's default ones are built too."""
    need("cargo")
    place = kept("cargo", name)
    (place / "src").mkdir(exist_ok=True)
    (place / "src" / "main.rs").write_text(source)
    wanted = f'{{ version = "={version}", default-features = {str(features).lower()} }}'
    manifest = (
        f'[package]\nname = "{name}"\nversion = "0.1.0"\nedition = "2021"\n\n[dependencies]\n{crate} = {wanted}\n'
    )
    if not (place / "Cargo.toml").exists() or (place / "Cargo.toml").read_text() != manifest:
        (place / "Cargo.toml").write_text(manifest)
    had = subprocess.run(["cargo", "fetch", "--quiet"], cwd=place, capture_output=True, text=True, check=False)
    if had.returncode:
        pytest.skip(f"{NO_CRATES}: {had.stderr.strip()[-600:]}")
    fetch(["cargo", "build", "--quiet", "--offline"], place, CARGO_PROFILE_DEV_DEBUG="0")
    return place / "target" / "debug" / name
