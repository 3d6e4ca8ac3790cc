"""The web app as it was built: its files are in memory by the paths they are asked for, and nothing else is read.

It is built into ``site/`` beside this module, by ``scripts/up`` and for a wheel, and is not in the repository.
"""

import hashlib
import mimetypes
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

from fastapi import APIRouter, Depends, Request
from starlette.responses import HTMLResponse, Response

from healthsync_mqtt.gateway.bodies.entity_tag import has
from healthsync_mqtt.gateway.bodies.landing import NOT_BUILT, PLAIN_POLICY
from healthsync_mqtt.gateway.bodies.problem import HttpError
from healthsync_mqtt.gateway.login.rules import Anybody

BUILT: Final = Path(__file__).parent / "site"
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; worker-src 'self'; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
"""The Content-Security-Policy of the app: nothing from elsewhere, and nothing written into its pages."""
_ROOT_FILES: Final = ("manifest.webmanifest", "sw.js", "icon.svg", "icon-192.png", "icon-512.png", "icon-maskable.png")
"""What has to lie beside the page, by its name; all else of the app is below ``assets/`` and named by its content."""
_ENCODINGS: Final = (("br", ".br"), ("gzip", ".gz"))
_FOR_EVER: Final = "public, max-age=31536000, immutable"
_ASK_AGAIN: Final = "no-cache"
_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}


@dataclass(frozen=True, slots=True)
class SiteFile:
    """One file: its bytes by the encodings that there are, "" for as it is."""

    media_type: str
    tag: str
    bodies: Mapping[str, bytes]

    def encoding(self, accepted: str) -> str:
        """The best encoding that an Accept-Encoding header takes."""
        taken = {part.partition(";")[0].strip().lower() for part in accepted.split(",") if "q=0" not in part}
        return next((name for name, _ in _ENCODINGS if name in taken and name in self.bodies), "")


class Site:
    """The files of the app. Where it has not been built, it is looked for again when the page is asked for."""

    def __init__(self, place: Path = BUILT) -> None:
        self._place = place
        self._files: dict[str, SiteFile] = {}

    def page(self) -> SiteFile | None:
        """The page of the app; None: it has not been built."""
        if not self._files and (self._place / "index.html").is_file():
            self._files = _read(self._place)
        return self._files.get("index.html")

    def file(self, name: str) -> SiteFile | None:
        """A file by its path below the app; None: there is none of that name."""
        return self._files.get(name) if self.page() else None


def _read(place: Path) -> dict[str, SiteFile]:
    """All files that were there together; those that are compressed beforehand belong to the one they are made of."""
    found: dict[str, bytes] = {}
    for path in sorted(place.rglob("*")):
        if path.is_file() and not path.is_symlink():
            found[path.relative_to(place).as_posix()] = path.read_bytes()
    endings = tuple(ending for _, ending in _ENCODINGS)
    return {name: _file(name, found) for name in found if not name.endswith(endings)}


def _file(name: str, found: Mapping[str, bytes]) -> SiteFile:
    bodies = {"": found[name]}
    for encoding, ending in _ENCODINGS:
        if (packed := found.get(name + ending)) is not None:
            bodies[encoding] = packed
    ending = Path(name).suffix
    media_type = _TYPES.get(ending) or mimetypes.types_map.get(ending, "application/octet-stream")
    return SiteFile(media_type, hashlib.blake2b(bodies[""], digest_size=12).hexdigest(), bodies)


def routes(site: Site, anybody: Anybody) -> APIRouter:
    """The routes of the app: its page at ``/``, and its files."""
    router = APIRouter(include_in_schema=False)

    @router.get("/")
    async def page(request: Request, _: Annotated[None, Depends(anybody)]) -> Response:
        found = site.page()
        if found is None:
            headers = {"Content-Security-Policy": PLAIN_POLICY, "Cache-Control": "no-store"}
            return HTMLResponse(NOT_BUILT, headers=headers)
        return _answer(request, found, _ASK_AGAIN)

    @router.get("/assets/{name}")
    async def asset(request: Request, name: str, _: Annotated[None, Depends(anybody)]) -> Response:
        return _answer(request, _there(site.file(f"assets/{name}")), _FOR_EVER)

    for name in _ROOT_FILES:
        router.add_api_route(f"/{name}", _beside(site, name, anybody), include_in_schema=False)
    return router


def _beside(site: Site, name: str, anybody: Anybody) -> Callable[..., Awaitable[Response]]:
    async def beside(request: Request, _: Annotated[None, Depends(anybody)]) -> Response:
        return _answer(request, _there(site.file(name)), _ASK_AGAIN)

    return beside


def _there(found: SiteFile | None) -> SiteFile:
    if found is None:
        raise HttpError(404, "not_found", "there is nothing here")
    return found


def _answer(request: Request, found: SiteFile, kept: str) -> Response:
    encoding = found.encoding(request.headers.get("accept-encoding", ""))
    tag = f'"{found.tag}{encoding and f"-{encoding}"}"'
    headers = {
        "Content-Security-Policy": POLICY,
        "Cache-Control": kept,
        "ETag": tag,
        "Vary": "Accept-Encoding",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    }
    if has(request, tag):
        return Response(None, 304, headers)
    if encoding:
        headers["Content-Encoding"] = encoding
    return Response(found.bodies[encoding], 200, headers, found.media_type)
