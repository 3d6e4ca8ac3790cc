"""healthsync webhook …"""

import asyncio
import secrets
from pathlib import Path
from typing import Annotated, Any

import typer

from healthsync_mqtt.cli import completion, output
from healthsync_mqtt.cli.group import new_group
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.list_limit import created, newest
from healthsync_mqtt.cli.options import DATA, Data, Json, Limit, Yes, now_us
from healthsync_mqtt.cli.secret_file import SecretFile, handed_out
from healthsync_mqtt.config.paths import DataPaths
from healthsync_mqtt.config.settings import load_settings
from healthsync_mqtt.descriptions.people import described_webhook, told
from healthsync_mqtt.errors import UnavailableError
from healthsync_mqtt.identity.login.credentials import CredentialStore
from healthsync_mqtt.identity.login.gateway import GATEWAY
from healthsync_mqtt.identity.login.webhook_secret import webhook_secret
from healthsync_mqtt.identity.people.webhooks import Webhook

app = new_group("Where events of subscribers are posted to.")

Name = Annotated[str, typer.Argument(help="The webhook's name.", autocompletion=completion.webhooks)]


@app.command("add")
def add(
    name: Annotated[str, typer.Argument(help="A name for it: 1 to 64 of A-Z a-z 0-9 - _.")],
    subscriber: Annotated[str, typer.Argument(help="Whose events.", autocompletion=completion.subscribers)],
    url: Annotated[str, typer.Argument(help="Where they are posted to: https, at a public address.")],
    *,
    secret_file: SecretFile = None,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Post every event that a subscriber may read to a URL, from now on, and print the secret that signs it.

    Signatures are those of Standard Webhooks 1.0. It needs a gateway: healthsync up --http-port.

    Example: healthsync webhook add board reader https://example.org/hook
    """
    from healthsync_mqtt.gateway.connections.public_https import target

    place = DataDirectory(data)
    target(url, load_settings(data).gateway.webhook_hosts)
    epoch, seq = "", 0
    if (log := place.log()) is not None:
        with log:
            epoch, seq = log.epoch, log.head()
    with place.changing() as change:
        made = change.registry.webhooks.add(name, subscriber, url, now_us(), epoch=epoch, seq=seq)
        change.note("webhook.added", webhook=name, subscriber=subscriber)
    _hand_out(data, made, secret_file, as_json=json)


@app.command("list")
def list_webhooks(limit: Limit = None, data: Data = DATA, json: Json = False) -> None:
    """List webhooks, and how their last delivery went.

    Example: healthsync webhook list --json
    """
    with DataDirectory(data).registry() as registry:
        found = [_described(each) for each in registry.webhooks.all()]
    output.listing(
        newest(found, limit, created),
        {"name": "NAME", "subscriber": "SUBSCRIBER", "url": "URL", "state": "STATE", "said": "LAST TRY"}
        | {"failures": "FAILURES", "delivered_at": "LAST TAKEN", "due_at": "NEXT TRY"},
        as_json=json,
        empty="no webhooks yet; add one: healthsync webhook add NAME SUBSCRIBER https://…",
    )


@app.command("show")
def show(name: Name, data: Data = DATA, json: Json = False) -> None:
    """Show a webhook: where it posts to, and how its last delivery went.

    Example: healthsync webhook show board
    """
    with DataDirectory(data).registry() as registry:
        _print(registry.webhooks.of(name), as_json=json)


@app.command("test")
def try_now(name: Name, data: Data = DATA, json: Json = False) -> None:
    """Post a signed test message now, and say what was answered. It holds no event.

    Example: healthsync webhook test board
    """
    from healthsync_mqtt.gateway.connections.public_https import post, target
    from healthsync_mqtt.gateway.jobs.deliveries import signed_headers, test_message

    place = DataDirectory(data)
    with place.registry() as registry:
        found = registry.webhooks.of(name)
    now = now_us()
    body = test_message(name, now)
    headers = signed_headers(found, _own(data), f"msg_{secrets.token_hex(16)}", now, body)
    place.audit("webhook.tested", webhook=name)
    where = target(found.url, load_settings(data).gateway.webhook_hosts)
    try:
        answer = asyncio.run(post(where, headers, body))
    except OSError as error:  # a timeout, too
        raise UnavailableError(
            f"{found.url} does not answer: {error.strerror or type(error).__name__}", hint="is the server up?"
        ) from None
    told = {"name": name, "url": found.url, "status": answer.status, "taken": 200 <= answer.status < 300}
    if json:
        output.emit(told)
    else:
        output.facts(told.items())


@app.command("enable")
def enable(name: Name, data: Data = DATA, json: Json = False) -> None:
    """Deliver again, at once and from where it was: after it was disabled, or instead of waiting for its next try.

    Example: healthsync webhook enable board
    """
    with DataDirectory(data).changing() as change:
        made = change.registry.webhooks.enable(name)
        change.note("webhook.enabled", webhook=name)
    _print(made, as_json=json)


@app.command("rotate")
def rotate(name: Name, secret_file: SecretFile = None, data: Data = DATA, json: Json = False) -> None:
    """Make another secret. Both sign for a day.

    Example: healthsync webhook rotate board
    """
    with DataDirectory(data).changing() as change:
        before = change.registry.webhooks.of(name)
        made = change.registry.webhooks.change(name, generation=before.generation + 1, rotated_us=now_us())
        change.note("webhook.rotated", webhook=name)
    _hand_out(data, made, secret_file, as_json=json)


@app.command("remove")
def remove(name: Name, yes: Yes = False, data: Data = DATA, json: Json = False) -> None:
    """Post nothing there any more.

    Example: healthsync webhook remove board
    """
    place = DataDirectory(data)
    with place.registry() as registry:
        registry.webhooks.of(name)
    output.agree(f"Remove the webhook {name}? What it has not taken is not posted", yes=yes or json)
    with place.changing() as change:
        found = change.registry.webhooks.remove(name)
        change.note("webhook.removed", webhook=name)
    if json:
        output.emit({"name": found.name, "removed": True})
    else:
        output.say(f"removed {found.name}")


def _own(data: Path) -> str:
    return CredentialStore(DataPaths(root=data).credentials).ensure(GATEWAY.client_id)[0]


def _hand_out(data: Path, made: Webhook, secret_file: Path | None, *, as_json: bool) -> None:
    secret = webhook_secret(_own(data), made.name, made.generation)
    shown = handed_out(_described(made) | {"secret": secret}, "secret", secret_file)
    if as_json:
        output.emit(shown)
    else:
        output.facts((key, value) for key, value in shown.items() if value is not None)


def _print(found: Webhook, *, as_json: bool) -> None:
    if as_json:
        output.emit(_described(found))
    else:
        output.facts((key, value) for key, value in _described(found).items() if value is not None)


def _described(webhook: Webhook) -> dict[str, Any]:
    return told(described_webhook(webhook))
