"""The web app as the gateway serves it: what was built, as it was built, and nothing else that lies there."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest

from healthsync_mqtt.gateway import house
from healthsync_mqtt.gateway.site import Site
from tests.support.gateway import GatewayHere, filled, gateway_here

PAGE = b"<!doctype html><title>HealthSync</title>"
SCRIPT = b"console.log(1)" * 100


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("built") / "site"


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, place: Path) -> Iterator[GatewayHere]:
    data = tmp_path_factory.mktemp("site") / "data"
    filled(data, ["alice"], [])
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(house, "Site", lambda: Site(place))
        with gateway_here(data) as here:
            yield here


def build(place: Path) -> None:
    (place / "assets").mkdir(parents=True)
    (place / "assets" / "index-abc.js").write_bytes(SCRIPT)
    (place / "assets" / "index-abc.js.gz").write_bytes(gzip.compress(SCRIPT))
    (place / "assets" / "index-abc.js.br").write_bytes(b"as brotli")
    (place / "secret.txt").write_bytes(b"no file of the app's routes")
    (place / "assets" / "link.js").symlink_to(Path(__file__))
    (place / "index.html").write_bytes(PAGE)


def test_before_it_is_built_the_page_says_what_is_missing_and_afterwards_it_is_served(
    scene: GatewayHere, place: Path
) -> None:
    missing = scene.web.get("/")
    assert missing.status == 200
    assert b"scripts/up" in missing.body
    assert "default-src 'none'" in missing.headers["content-security-policy"]
    assert scene.web.get("/sw.js").status == 404
    build(place)
    page = scene.web.get("/")
    assert (page.status, page.body) == (200, PAGE)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers["cache-control"] == "no-cache"
    policy = dict(part.split(" ", 1) for part in page.headers["content-security-policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert page.headers["x-content-type-options"] == "nosniff"
    for tag in (page.headers["etag"], f"W/{page.headers['etag']}"):  # as a proxy says it that has packed the page
        again = scene.web.call("GET", "/", **{"if-none-match": tag})
        assert (again.status, again.body) == (304, b"")


def test_an_asset_is_kept_for_ever_and_comes_compressed_as_it_is_asked_for(scene: GatewayHere, place: Path) -> None:
    if not place.exists():
        build(place)
    path = "/assets/index-abc.js"
    for accepted, encoding, body in (
        ("", None, SCRIPT),
        ("gzip", "gzip", gzip.compress(SCRIPT)),
        ("gzip, deflate, br", "br", b"as brotli"),
        ("br;q=0, gzip", "gzip", None),
    ):
        found = scene.web.call("GET", path, **({"accept-encoding": accepted} if accepted else {}))
        assert found.status == 200
        assert found.headers.get("content-encoding") == encoding
        assert "immutable" in found.headers["cache-control"]
        assert found.headers["content-type"].startswith("text/javascript")
        assert found.headers["vary"].lower() == "accept-encoding"
        if body is not None and encoding != "gzip":
            assert found.body == body


@pytest.mark.parametrize(
    "path",
    [
        "/assets/nothing.js",
        "/assets/link.js",
        "/assets/index-abc.js.br",
        "/assets/..%2Findex.html",
        "/assets/%2e%2e/secret.txt",
        "/secret.txt",
        "/index.html",
        "/assets/",
    ],
)
def test_nothing_else_is_there(scene: GatewayHere, place: Path, path: str) -> None:
    if not place.exists():
        build(place)
    found = scene.web.get(path)
    assert (found.status, found.json()["reason"]) == (404, "not_found")


def test_a_link_opened_in_a_browser_leads_to_the_app_and_one_that_is_used_says_so(scene: GatewayHere) -> None:
    link = scene.link("alice")
    html = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
    shown = scene.web.get(link, **html)
    assert shown.status == 200
    assert b'<form method="post">' in shown.body
    assert "form-action 'self'" in shown.headers["content-security-policy"]
    assert shown.cookies == ()
    opened = scene.web.post(link, b"", **html)
    assert opened.status == 200
    assert opened.headers["content-type"].startswith("text/html")
    assert b'http-equiv="refresh" content="0;url=/"' in opened.body
    assert {each.split("=")[0] for each in opened.cookies} == {
        "__Host-healthsync",
        "__Secure-healthsync-refresh",
        "__Host-healthsync-csrf",
    }
    assert opened.headers["cache-control"] == "no-store"
    used = scene.web.post(link, b"", **html)
    assert used.status == 401
    assert b"healthsync user invite" in used.body
    assert used.cookies == ()
    assert scene.web.get(link, **html).body == shown.body, "what it is worth is not told to who looks"
    assert scene.web.post(link, b"").json()["reason"] == "token_invalid"
