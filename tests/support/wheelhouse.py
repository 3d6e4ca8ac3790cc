"""The locked packages as wheels, made of what is installed here: pip installs them with hashes, from no index.

What a lock file names was fetched once, for the environment that runs the tests; this packs those files again. The
hashes are of these wheels, so the lock file is written anew with them: names and versions stay.
"""

import base64
import csv
import hashlib
import io
import re
import zipfile
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.markers import Marker

_PINNED = re.compile(r"^([A-Za-z0-9_.-]+)==([^ ;]+) *(;[^\\]*)?\\?$")


def locked_wheels(lock: str, folder: Path) -> str:
    """Pack what ``lock`` names and this platform has into ``folder``; the lock file with the hashes of that."""
    lines = []
    for name, version, marker in (found.groups() for found in map(_PINNED.match, lock.splitlines()) if found):
        if marker is not None and not Marker(marker.strip(" ;")).evaluate():
            continue
        packed = distribution(name)
        assert packed.version == version, f"{name} {packed.version} is installed, and {version} locked"
        wheel = _packed(packed, folder)
        lines.append(f"{name}=={version} --hash=sha256:{hashlib.sha256(wheel.read_bytes()).hexdigest()}")
    return "\n".join(lines) + "\n"


def _packed(packed: Distribution, folder: Path) -> Path:
    about = packed.read_text("WHEEL") or ""
    tags = re.findall(r"^Tag: (.+?)\s*$", about, re.MULTILINE)
    tag = "-".join(".".join(sorted(set(parts))) for parts in zip(*(each.split("-") for each in tags), strict=True))
    name = re.sub(r"[-_.]+", "_", packed.metadata["Name"]).lower()
    wheel = folder / f"{name}-{packed.version}-{tag}.whl"
    rows, record = [], ""
    with zipfile.ZipFile(wheel, "w") as out:
        for file in packed.files or ():
            place = file.as_posix()
            if place.startswith("..") or "__pycache__" in place or place.endswith((".dist-info/INSTALLER", ".pyc")):
                continue
            if place.endswith(".dist-info/RECORD"):
                record = place
                continue
            content = Path(str(file.locate())).read_bytes()
            out.writestr(zipfile.ZipInfo(place, (2026, 1, 1, 0, 0, 0)), content)
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            rows.append((place, f"sha256={digest}", len(content)))
        listed = io.StringIO()
        csv.writer(listed, lineterminator="\n").writerows([*rows, (record, "", "")])
        out.writestr(zipfile.ZipInfo(record, (2026, 1, 1, 0, 0, 0)), listed.getvalue())
    return wheel
