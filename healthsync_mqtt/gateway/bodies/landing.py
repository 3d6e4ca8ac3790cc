"""The few pages that need no app: a link to use, one that was used or is no good, an app that is not built here."""

import base64
import hashlib
from typing import Final

from starlette.responses import HTMLResponse

_STYLE: Final = (
    ":root{color-scheme:light dark}"
    "body{font:17px/1.6 system-ui,sans-serif;max-width:34rem;margin:18vh auto;padding:0 1.5rem;"
    "color:#1d1b18;background:#faf8f4}h1{font:400 2rem/1.2 Georgia,serif;margin:0 0 .6em}"
    "code{font-size:.9em;background:#efebe3;padding:.15em .4em;border-radius:4px}a{color:inherit}"
    "button{font:inherit;padding:.5em 1.4em;border:1px solid;border-radius:6px;background:none;color:inherit}"
    "@media(prefers-color-scheme:dark){body{color:#ece8e1;background:#171614}code{background:#2a2825}}"
)
_DIGEST: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
PLAIN_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
"""The Content-Security-Policy of these pages: they have no script, and but one of them a form."""


def plain_page(page: str, status: int = 200) -> HTMLResponse:
    """One of these pages as an answer."""
    policy = PLAIN_POLICY.replace("form-action 'none'", "form-action 'self'") if page is LINK_UNUSED else PLAIN_POLICY
    return HTMLResponse(page, status, {"Content-Security-Policy": policy})


def _page(title: str, body: str, head: str = "") -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title} · HealthSync</title>'
        f'<meta name="viewport" content="width=device-width">{head}<style>{_STYLE}</style></head>'
        f"<body><main><h1>{title}</h1>{body}</main></body></html>"
    )


LINK_UNUSED: Final = _page(
    "Sign in to HealthSync",
    "<p>This link signs you in, once, in this browser.</p>"
    '<form method="post"><button type="submit">Sign in</button></form>',
)
"""What a link shows. Messengers and scanners of mail look at every link before a person does: looking uses nothing up,
and it is the same whatever the link is worth."""
# The browser goes on from this page: cookies of this site alone are not sent where another site's link leads.
SIGNED_IN: Final = _page(
    "You are signed in",
    '<p><a href="/">Go on</a></p>',
    '<meta http-equiv="refresh" content="0;url=/">',
)
"""After a link was good."""
LINK_REFUSED: Final = _page(
    "This link is no good any more",
    "<p>A link opens a session once, and for a limited time. If it was opened here before, you are still signed in: "
    '<a href="/">go to the app</a>. Otherwise ask for a new one; who runs this service types</p>'
    "<p><code>healthsync user invite USER</code></p>",
)
"""After one that was used, is over, or never was."""
ORGANISATION_REFUSED: Final = _page(
    "You are not signed in",
    "<p>Your organisation's login has let nobody in here: it was left or took too long, or nobody is registered here "
    'by your name there. <a href="/">Try again</a>, or ask who runs this service.</p>',
)
"""After an organisation's login that opened no session, whatever the cause."""
NOT_BUILT: Final = _page(
    "The web app is not built here",
    "<p>Everything else of this service runs. The app is built by <code>scripts/up</code>, with Node 20.19 or newer, "
    "or with the Node of PyPI where it can be downloaded; a wheel of a release "
    'has it built. The <a href="/docs">description of the API</a> needs no build.</p>',
)
"""In place of the app."""
