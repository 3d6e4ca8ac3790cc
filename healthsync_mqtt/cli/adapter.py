# long: every verb of one noun, each a few lines
"""healthsync adapter …"""

import contextlib
import sys
import time
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Final
from urllib.parse import parse_qs, urlsplit

import msgspec
import typer

from bridge.decode.delivery import decode
from healthsync_mqtt.adapters.authorization import LASTS_S, Callback, Invitation, finish, invite
from healthsync_mqtt.adapters.catalogue import Known, known
from healthsync_mqtt.adapters.cloud_subscriptions import BY_HAND
from healthsync_mqtt.adapters.link_descriptions import described_link
from healthsync_mqtt.adapters.link_end import ended
from healthsync_mqtt.adapters.link_state import CloudLinkState
from healthsync_mqtt.adapters.links import LinkBook
from healthsync_mqtt.adapters.port import Adapter, Mapping
from healthsync_mqtt.adapters.ready_adapters import ReadyAdapter
from healthsync_mqtt.adapters.ready_adapters import ready as ready_of
from healthsync_mqtt.adapters.web import DirectWeb
from healthsync_mqtt.cli import completion, output
from healthsync_mqtt.cli.formats import content_of, event_shown
from healthsync_mqtt.cli.group import new_group
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.options import DATA, Data, FreshData, Json, Yes, now_us, zone_name
from healthsync_mqtt.cloud_links.former_links import end_links
from healthsync_mqtt.cloud_links.inbox import NoticeInbox
from healthsync_mqtt.cloud_links.opening import FILE as LINKS
from healthsync_mqtt.config.names import did_you_mean
from healthsync_mqtt.config.settings import Settings, load_settings
from healthsync_mqtt.control.service_file import ServiceFile
from healthsync_mqtt.descriptions.people import told
from healthsync_mqtt.errors import ConfigError, ConflictError, InputError, NotFoundError, UnavailableError, UsageError
from healthsync_mqtt.formats.port import AppMessage, Gone, Made, folded
from healthsync_mqtt.model.declaration import Declared
from healthsync_mqtt.model.limits import Limits
from healthsync_mqtt.model.origin import Origin
from healthsync_mqtt.model.reasons import RefusedError
from healthsync_mqtt.model.times import iso
from healthsync_mqtt.topics.grammar import is_id

app = new_group("Adapters: what clouds hold of a user.")

_ROOMY: Final = Limits(max_payload=256 * 1024 * 1024, max_events=1_000_000, max_made=1_000_000)
_FAR_US: Final = 10 * 366 * 86_400_000_000
_FOLDER: Final = "adapters"
_SYNC_S: Final = 3_600.0
_LOOK_S: Final = 0.2

User = Annotated[str, typer.Argument(help="The user's id.", autocompletion=completion.users)]
Provider = Annotated[str, typer.Argument(help="The adapter.", autocompletion=completion.adapters)]


@app.command("list")
def list_adapters(data: FreshData = DATA, json: Json = False) -> None:
    """List the adapters: how each is let in, how its data comes, which types it brings, and whether it still can.

    Example: healthsync adapter list
    """
    found = _known(data)
    output.listing(
        map(_described, found.adapters.values()),
        {"name": "ADAPTER", "title": "TITLE", "auth": "AUTH", "delivery": "DELIVERY", "state": "STATE"}
        | {"reason": "REASON"},
        as_json=json,
    )


@app.command("map")
def map_answer(  # noqa: PLR0917  # an option each
    provider: Provider,
    kind: Annotated[
        str,
        typer.Argument(
            help="What the answer is: `sleep`, `measure`, … of this provider.", autocompletion=completion.answer_kinds
        ),
    ],
    file: Annotated[Path, typer.Argument(help="The answer as JSON, or a recording of the exchange; - for stdin.")],
    before: Annotated[
        list[str] | None, typer.Option(help="KIND=FILE that came before, and may be remembered; may be repeated.")
    ] = None,
    user: Annotated[
        str, typer.Option(help="Whose events they would be; ids depend on it.", autocompletion=completion.users)
    ] = "alice",
    zone: Annotated[str | None, typer.Option(help="The zone of the account: Europe/Berlin.")] = None,
    account: Annotated[str | None, typer.Option(help="The user's id at the provider, where answers are mixed.")] = None,
    data: FreshData = DATA,
    json: Json = False,
) -> None:
    """Show the events that a provider's answer would become, one a line. Nothing is stored.

    What becomes none is said on stderr, with its place and why.

    Example: healthsync adapter map withings measure answer.json
    """
    adapter = _adapter(provider, data)
    mapping = _mapping(adapter)
    declared = Declared(zone_name(zone), slot=account)
    state = b""
    for each in before or ():
        earlier, equals, path = each.partition("=")
        if not equals:
            raise UsageError(f"{each!r} is not KIND=FILE")
        state = folded(mapping, _message(adapter, earlier, Path(path), user, declared), state).state
    message = _message(adapter, kind, file, user, declared)
    try:
        outcomes = folded(mapping, message, state).outcomes
    except RefusedError as refusal:
        where = f" at {refusal.field}" if refusal.field else ""
        raise InputError(f"nothing can be told of the answer{where}: {refusal}", hint=_kinds_hint(mapping)) from None
    shown = []
    for outcome in outcomes:
        if isinstance(outcome, Made):
            shown += _offered(outcome, message, provider, as_json=json)
        elif not isinstance(outcome, Gone):
            _left_out(outcome.place, outcome.reason.value, outcome.text, as_json=json)
    output.listing(
        shown,
        {"type": "TYPE", "op": "OP", "start_time": "START", "end_time": "END", "value": "VALUE"},
        as_json=json,
        empty="no event: nothing in it is of health, or all of it was left out",
    )


def _offered(made: Made, message: AppMessage, provider: str, *, as_json: bool) -> list[dict[str, Any]]:
    """The event as it would be taken; said on stderr where it would be refused."""
    origin = Origin(message.user, None, provider, f"users/{message.user}/adapters/{provider}/events")
    found = decode(msgspec.json.encode(made.event), origin, message.at_us, _ROOMY)
    for each in found.rejections:
        place = ".".join(part for part in (made.place, each.field) if part)
        _left_out(place, each.reason.value, each.message, as_json=as_json)
    return [event_shown(each, origin, message.at_us) for each in found.events]


def _left_out(place: str, reason: str, text: str, *, as_json: bool) -> None:
    if as_json:
        sys.stderr.write(msgspec.json.encode({"place": place, "reason": reason, "message": text}).decode() + "\n")
    else:
        output.say(f"left out {place or 'the answer'}: {reason}: {text}")


def _message(adapter: Adapter, kind: str, file: Path, user: str, declared: Declared) -> AppMessage:
    """The answer in a file; of a recorded exchange, its body, with the question's path as what it was about."""
    payload, subject = content_of(file), ""
    mapping = _mapping(adapter)
    if not mapping.knows(kind):
        raise UsageError(f"{adapter.name} has no kind {kind!r}", hint=_kinds_hint(mapping))
    try:
        document = msgspec.json.decode(payload)
    except msgspec.DecodeError:
        document = None
    if isinstance(document, dict):
        exchange = document.get("response") or document.get("webhook")
        if isinstance(exchange, dict) and "body" in exchange and ("status" in exchange or "method" in exchange):
            body = exchange["body"]
            payload = body.encode() if isinstance(body, str) else msgspec.json.encode(body)
            subject = _subject(document.get("request"))
    # Nothing is from the future here: the clocks of recordings are their own.
    at_us = time.time_ns() // 1000 + _FAR_US
    return AppMessage(payload, user, topic=f"{kind}/{subject.lstrip('/')}", at_us=at_us, declared=declared)


def _subject(request: Any) -> str:
    """What a question was about: the path that was asked, and which signal its form names."""
    if not isinstance(request, dict) or not isinstance(request.get("url"), str):
        return ""
    form = request.get("body")
    signal = parse_qs(form).get("signalid", []) if isinstance(form, str) else []
    return "/".join((urlsplit(request["url"]).path, *signal[:1]))


def _kinds_hint(mapping: Mapping) -> str:
    return f"its kinds: {', '.join(mapping.kind_names)}"


def _known(data: Path) -> Known:
    found = known(data / _FOLDER)
    for each in found.broken:
        output.say(f"{each.where} is no adapter: {each.why}")
    return found


def _adapter(name: str, data: Path) -> Adapter:
    """An adapter by its name. UsageError for one that there is not."""
    adapters = _known(data).adapters
    found = adapters.get(name)
    if found is None:
        raise UsageError(
            f"there is no adapter {name!r}", hint=f"{did_you_mean(name, adapters)}see: healthsync adapter list"
        )
    return found


def _named(place: Path, user: str, provider: str) -> Adapter:
    """The adapter of a link: the user is one that is there, too. UsageError, NotFoundError."""
    adapter = _adapter(provider, place)
    with DataDirectory(place).registry() as registry:
        registry.user(user)
    return adapter


def _mapping(adapter: Adapter) -> Mapping:
    if adapter.mapping is None:
        capability = adapter.capability
        raise UnavailableError(capability.reason or f"{capability.title} has no answers to map", hint=capability.hint)
    return adapter.mapping


def _described(adapter: Adapter) -> dict[str, Any]:
    capability = adapter.capability
    shown: dict[str, Any] = {
        "name": capability.name,
        "title": capability.title,
        "auth": capability.auth.value,
        "delivery": sorted(each.value for each in capability.delivery),
        "types": list(adapter.types),
        "state": capability.state.value,
    }
    if capability.reason:
        shown["reason"] = capability.reason
    if capability.hint:
        shown["hint"] = capability.hint
    return shown


@app.command("link")
def link(  # noqa: PLR0917  # an option each
    user: User,
    provider: Provider,
    redirected: Annotated[
        str | None,
        typer.Option(help="The address that the browser was sent to, where it could not reach this machine."),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65_535, help="The port that the answer comes to; 0: a free one.")] = 0,
    public: Annotated[
        bool, typer.Option("--public", help="The answer comes to the gateway, for users who are somewhere else.")
    ] = False,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Link a user to a provider: prints where the user agrees, and waits for the answer on a port of this machine.

    Example: healthsync adapter link alice withings
    """
    settings = load_settings(data)
    ready = ready_of(settings, _named(settings.data, user, provider))
    place = DataDirectory(settings.data)
    if redirected is not None:
        with LinkBook.open(settings.data) as book:
            _linked(place, book, settings, redirected, as_json=json)
        return
    if public:
        with LinkBook.open(settings.data) as book:
            invitation = invite(book, ready, user, _callback(settings, provider), now_us())
        _invited(ready, invitation, as_json=json)
        if not json:
            output.say(f"the link is made when {user} has agreed, within {LASTS_S // 60} minutes")
        return
    with contextlib.closing(Callback(port=port)) as callback, LinkBook.open(settings.data) as book:
        invitation = invite(book, ready, user, callback.url, now_us())
        _invited(ready, invitation, as_json=json)
        output.flush()
        answer = callback.wait(invitation.state, LASTS_S)
        _linked(place, book, settings, answer, as_json=json)


def _callback(settings: Settings, provider: str) -> str:
    """Where the gateway takes the answer. ConfigError."""
    if not settings.gateway.public_url:
        raise ConfigError(
            "gateway.public_url is not set: users cannot come back here",
            hint="it is where others reach the gateway; it goes into healthsync.toml",
        )
    return f"{settings.gateway.public_url}/v1/link/{provider}/callback"


def _invited(ready: ReadyAdapter, invitation: Invitation, *, as_json: bool) -> None:
    if as_json:
        output.emit({"url": invitation.url, "state": invitation.state})
        return
    output.say(f"{ready.adapter.capability.title} asks for: {', '.join(ready.adapter.capability.scopes)}")
    output.say("open this, and agree:")
    sys.stdout.write(invitation.url + "\n")
    output.qr_code(invitation.url)


@app.command("webhook")
def webhook(provider: Provider, data: Data = DATA, json: Json = False) -> None:
    """Show where a provider sends what is new, whether it does, and what of it waits.

    Example: healthsync adapter webhook whoop
    """
    settings = load_settings(data)
    ready = ready_of(settings, _adapter(provider, settings.data))
    if ready.notices is None:
        raise UnavailableError(f"{ready.adapter.capability.title} sends nothing: it is asked for what is new")
    with NoticeInbox.open(settings.data) as inbox:
        known = inbox.secrets(provider)
        url = ready.hook_url(known)
        standing = next(each for each in inbox.standings() if each.provider == provider)
        waiting = inbox.waiting().get(provider, 0)
    if not url:
        _callback(settings, provider)
    by_hand = ready.by_hand
    shown = {
        "url": url,
        "by_hand": by_hand,
        "checked_at": iso(standing.checked_us) if standing.checked_us else None,
        "hint": standing.hint or (BY_HAND if by_hand else ""),
        "waiting": waiting,
    }
    if json:
        output.emit(shown)
    else:
        output.facts(shown.items())


def _linked(place: DataDirectory, book: LinkBook, settings: Settings, redirected: str, *, as_json: bool) -> None:
    def of(name: str) -> ReadyAdapter:
        return ready_of(settings, _adapter(name, settings.data))

    made = finish(book, DirectWeb(), of, redirected, now_us())
    with place.changing() as change:
        try:
            change.registry.user(made.user)
        except NotFoundError:  # removed while the browser was away
            end_links(place.path, made.user)
            raise
        change.note("adapter.linked", user=made.user, provider=made.provider, scopes=made.scopes)
    output.told(
        {
            "linked": True,
            "user_id": made.user,
            "provider": made.provider,
            "scopes": made.scopes.replace(",", " ").split(),
        },
        f"{made.user} is linked to {made.provider}; what it holds comes while the service runs",
        as_json=as_json,
    )


@app.command("unlink")
def unlink(user: User, provider: Provider, *, yes: Yes = False, data: Data = DATA, json: Json = False) -> None:
    """Unlink a user: our access ends at the provider, too, where it can be told. What was stored stays.

    Example: healthsync adapter unlink alice withings --yes
    """
    settings = load_settings(data)
    _named(settings.data, user, provider)
    with _book(settings.data) as book:
        found = book.of(user, provider)
        output.agree(f"Unlink {user} from {provider}? What is stored stays", yes=yes or json)
        ready = ready_of(settings, _adapter(provider, settings.data))
        knows = ended(book, found, ready, DirectWeb(), now_us())
    with DataDirectory(settings.data).changing() as change:
        change.note("adapter.unlinked", user=user, provider=provider, told=knows)
    said = (
        "and the provider was told" if knows else "but the provider could not be told: take our access away there, too"
    )
    output.told({"unlinked": True, "revoked": knows}, f"unlinked {user} from {provider}, {said}", as_json=json)


@app.command("status")
def status(
    user: Annotated[str | None, typer.Option(help="Only this user's.", autocompletion=completion.users)] = None,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """List links: the state of each, when it was fetched, and what is to be done.

    Example: healthsync adapter status
    """
    place = load_settings(data).data
    DataDirectory(place).expect_user(user)
    links = []
    if (place / LINKS).exists():
        with LinkBook.open(place) as book:
            links = [told(described_link(each)) for each in book.links(user)]
    output.listing(
        links,
        {"user_id": "USER", "provider": "PROVIDER", "state": "STATE", "synced_at": "FETCHED", "hint": "HINT"},
        as_json=json,
        empty="no links yet; make one: healthsync adapter link USER PROVIDER",
    )


@app.command("sync")
def sync(
    user: User,
    provider: Provider,
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Until it is done, and say what came of it.")] = False,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Fetch a link now, with all of its history.

    Example: healthsync adapter sync alice withings --wait
    """
    place = load_settings(data).data
    _named(place, user, provider)
    ServiceFile.read(place)
    with _book(place) as book:
        found = book.of(user, provider)
        if found.state is CloudLinkState.needs_reauth:
            raise ConflictError(
                f"{provider} does not let us in as {user}: {found.hint}", hint="healthsync adapter link USER PROVIDER"
            )
        number = book.ask(found.id, now_us())
        if not wait:
            output.told({"asked": True}, f"{provider} is asked for what it holds of {user}", as_json=json)
            return
        answer = _answered(book, number)
    if answer.get("state") != CloudLinkState.ok.value:
        raise UnavailableError(
            f"{provider}: {answer.get('state')}: {answer.get('hint', '')}", hint="healthsync adapter status"
        )
    shown = {key: value for key, value in answer.items() if key != "state"}
    if json:
        output.emit(shown)
    else:
        output.facts(shown.items())


def _answered(book: LinkBook, number: int) -> dict[str, Any]:
    until = time.monotonic() + _SYNC_S
    while time.monotonic() < until:
        answer = book.answered(number)
        if answer is not None:
            return answer
        time.sleep(_LOOK_S)
    raise UnavailableError("nothing came of it in time", hint="healthsync adapter status")


@app.command("pause")
def pause(
    user: User,
    provider: Provider,
    *,
    resume: Annotated[bool, typer.Option("--resume", help="Fetch it again.")] = False,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Fetch a link no more until it is resumed.

    Example: healthsync adapter pause alice withings
    """
    place = load_settings(data).data
    _named(place, user, provider)
    with _book(place) as book:
        book.pause(book.of(user, provider).id, paused=not resume)
    done = "resumed" if resume else "paused"
    output.told({"paused": not resume}, f"{done} {provider} of {user}", as_json=json)


@app.command("backfill")
def backfill(user: User, provider: Provider, data: Data = DATA, json: Json = False) -> None:
    """Fetch the history of a link again; what is stored is a duplicate.

    Example: healthsync adapter backfill alice withings
    """
    place = load_settings(data).data
    _named(place, user, provider)
    with _book(place) as book:
        book.deepen(book.of(user, provider).id)
    output.told({"asked": True}, f"the history of {user} at {provider} is fetched again", as_json=json)


def _book(place: Path) -> LinkBook:
    """The links. NotFoundError where there is none."""
    if not (place / LINKS).exists():
        raise NotFoundError("nobody is linked to anything", hint="healthsync adapter status")
    return LinkBook.open(place)


@app.command("new")
def new(
    name: Annotated[str, typer.Argument(help="Its name, which is in topics.")],
    data: FreshData = DATA,
    json: Json = False,
) -> None:
    """Write a module of an adapter that works, and its contract tests, into the data directory's `adapters`.

    Example: healthsync adapter new mine
    """
    folder = data / _FOLDER
    if not is_id(name) or not name.isidentifier():
        raise UsageError(f"{name!r} is no name of an adapter", hint="letters, digits and _")
    if name in known(folder).adapters:
        raise ConflictError(f"there is an adapter {name} already", hint="healthsync adapter list")
    module, test = folder / f"{name}.py", folder / "tests" / f"test_{name}.py"
    (folder / "tests").mkdir(parents=True, exist_ok=True)
    for file, template in ((module, "module.txt"), (test, "test.txt")):
        if file.exists():
            raise ConflictError(f"{file} is there already", hint="choose another name")
        text = files("healthsync_mqtt.adapters").joinpath("skeleton", template).read_text(encoding="utf-8")
        file.write_text(text.replace("NAME", name), encoding="utf-8")
    output.told(
        {"module": str(module), "test": str(test)},
        f"wrote {module} and {test}; docs/adapter-spec.md says the rest",
        as_json=json,
    )
