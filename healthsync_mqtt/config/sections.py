# long: every setting, a section each, with its description
"""The settings by section: one place for every default and limit. Ranges are what the code can bear."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import NoDecode

from healthsync_mqtt.config.networks import is_loopback, networks
from healthsync_mqtt.config.server_address import server_address
from healthsync_mqtt.model.catalogue import CATALOGUE


class Section(BaseModel):
    """A section: unknown keys are refused, values do not change, errors do not repeat the input."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True, hide_input_in_errors=True)


_EVERY = ("0.0.0.0", "::")  # noqa: S104 - TLS and a token guard them


def addresses(host: str) -> tuple[str, ...]:
    """The addresses that a listener's setting names: several with commas between, ``*`` for all of both families."""
    names = [name.strip() for name in host.split(",") if name.strip()]
    return tuple(dict.fromkeys(each for name in names for each in (_EVERY if name == "*" else (name,))))


def _loopback(host: str) -> str:
    if is_loopback(host):
        return host
    raise ValueError("a listener without TLS must be on a loopback address (127.0.0.1, ::1, localhost)")


def _public(url: str) -> str:
    there = urlsplit(url)
    if url and (there.scheme not in {"https", "http"} or not there.hostname or there.query or there.fragment):
        raise ValueError("it must be a URL, such as https://health.example.org")
    return url.rstrip("/")


def _receiver(url: str) -> str:
    there = urlsplit(url)
    if url and (
        there.scheme not in {"https", "http"} or not there.hostname or there.username or there.query or there.fragment
    ):
        raise ValueError("it must be the URL of an OTLP/HTTP receiver, such as http://127.0.0.1:4318/v1/traces")
    return url


def _listening(host: str) -> str:
    if not addresses(host):
        raise ValueError("a listener needs an address")
    return host


def _listening_loopback(host: str) -> str:
    for each in addresses(host) or ("",):
        _loopback(each)
    return host


def _split(value: Any) -> Any:
    """A comma-separated text as a list, so that an environment variable can carry several."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Port = Annotated[int, Field(ge=0, le=65_535)]
Texts = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Count = Annotated[int, Field(ge=1, le=10_000_000)]
Bytes = Annotated[int, Field(ge=1_024, le=1_099_511_627_776)]
Rate = Annotated[float, Field(gt=0, le=1e9, allow_inf_nan=False)]
Seconds = Annotated[float, Field(gt=0, le=366 * 86_400, allow_inf_nan=False)]


ClientCertificates = Literal["off", "optional", "required", "required_with_token"]


class BrokerSettings(Section):
    """Listeners of the embedded broker. Port 0 takes a free one."""

    host: Annotated[str, AfterValidator(_listening_loopback)] = "127.0.0.1"
    """Address of the plain MQTT listener, or several with commas between; loopback only."""
    mqtt_port: Port = 1883
    """Port of the plain MQTT listener."""
    mqtts_host: Annotated[str, AfterValidator(_listening)] = "0.0.0.0"  # noqa: S104 - TLS and a token guard it
    """Address of the MQTT over TLS listener, or several; ``*``: every address of IPv4 and IPv6."""
    mqtts_port: Port = 8883
    """Port of the MQTT over TLS listener."""
    mqtts_clients: ClientCertificates = "off"
    """Client certificates there: off, optional, required (instead of a token), required_with_token."""
    wss_host: Annotated[str, AfterValidator(_listening)] = "0.0.0.0"  # noqa: S104 - the same
    """Address of the MQTT over WebSocket (TLS) listener, in the same words."""
    wss_port: Port = 8084
    """Port of the MQTT over WebSocket (TLS) listener."""
    wss_clients: ClientCertificates = "off"
    """Client certificates there, in the same words."""
    proxies: Annotated[Texts, AfterValidator(networks)] = ()
    """Addresses or networks of load balancers: they name the client by the PROXY protocol on the TLS listeners."""
    allowed_origins: Texts = ()
    """Web origins that may open a WebSocket; clients that send no Origin are no browsers and need none."""
    certificate_hosts: Texts = ()
    """Names and addresses that the server certificate carries besides localhost and this machine's name."""
    tls_minimum: Literal["1.2", "1.3"] = "1.2"
    """The oldest TLS version that is spoken."""
    moved_to: Annotated[str, Field(pattern=r"^[!-~]{0,255}$")] = ""
    """Where this installation is served now (``new.example:8883``): who logs in here is sent there, and not let in."""


class LimitSettings(Section):
    """Limits of the front door."""

    max_packet: Annotated[int, Field(ge=1024, le=268_435_455)] = 1_048_576
    """Bytes of an MQTT packet."""
    connect_bytes: Annotated[int, Field(ge=256, le=65_536)] = 8_192
    """Bytes of the CONNECT packet."""
    connect_timeout_s: Seconds = 10.0
    """Seconds from the connection to a whole CONNECT."""
    max_keep_alive_s: Annotated[int, Field(ge=1, le=65_535)] = 3_600
    """The longest keep-alive; a client that asks for more, or for none, is held to this one."""
    max_connections: Count = 20_000
    """Open connections; fewer where the system allows this process fewer files."""
    connections_per_address: Count = 1_000
    """Open connections from one network address (of IPv6: from one /64 network)."""
    max_unauthenticated: Count = 1_000
    """Open connections that have not logged in yet; beyond it the oldest of the address with most is closed."""
    unauthenticated_per_address: Count = 100
    """The same from one network address; beyond it its oldest is closed."""
    failed_login_base_s: Seconds = 0.5
    """Seconds that the answer to a failed login is held back; doubled with each failure of that address and name."""
    failed_login_max_s: Seconds = 4.0
    """The most seconds that it is held back."""
    takeovers_per_minute: Count = 10
    """How often in a minute one client id may replace its own connection; more often, its token is in two places."""
    max_filters: Count = 100
    """Subscriptions of one session."""
    filters_per_subscribe: Count = 32
    """Topic filters in one SUBSCRIBE."""
    subscriber_filters: Count = 1_000
    """Both of these for a subscriber, where it is more: Home Assistant asks for a topic a sensor, 500 at a time."""
    receive_window: Annotated[int, Field(ge=1, le=65_535)] = 2_000
    """Events messages of one connection that wait for their commit; beyond it the connection is read no further."""
    backlog_bytes: Annotated[int, Field(ge=1_048_576, le=4_294_967_296)] = 67_108_864
    """Bytes of events messages of all connections that wait for their commit; beyond it only who has little is read."""
    app_message: Annotated[int, Field(ge=1024, le=268_435_455)] = 41_943_040
    """Bytes of a message of an app in a payload format, packed and unpacked, where its login says nothing else."""
    app_messages_bytes: Annotated[int, Field(ge=1_048_576, le=4_294_967_296)] = 134_217_728
    """Bytes of all such messages over ``max_packet`` that come in or wait for their commit; beyond it apps wait."""
    device_messages_per_s: Rate = 20_000.0
    """Messages a second of one device; above it the device is read more slowly, and nothing is dropped."""
    device_burst: Count = 100_000
    """Messages that a device may send at once after a pause."""
    user_messages_per_s: Rate = 200_000.0
    """Messages a second of all devices of one user together."""
    user_burst: Count = 400_000
    """Messages that they may send at once after a pause."""
    device_events_per_day: Annotated[int, Field(ge=0, le=10_000_000_000)] = 10_000_000
    """Events a day of one device that are nothing to report; more are stored all the same. 0: any number."""
    send_window: Annotated[int, Field(ge=1, le=65_535)] = 100
    """Messages sent to one client and not acknowledged by it."""
    session_queue: Count = 1_000
    """Messages kept for a client that is away."""
    session_bytes: Bytes = 16_777_216
    """Bytes of the messages kept for one client, sent and not acknowledged or not sent yet; one packet at least."""
    sessions_bytes: Bytes = 268_435_456
    """Bytes of the messages kept for all clients; beyond it the client with most loses half of its own."""
    retained_bytes: Bytes = 134_217_728
    """Bytes of all retained messages; beyond it the user with most loses half of theirs."""
    session_expiry_s: Seconds = 7 * 86_400.0
    """Seconds that the session of a client that is away is kept."""
    max_sessions: Count = 50_000
    """Sessions kept, connected or not."""
    refused_publishes: Count = 100
    """Messages in a row that a client may not publish; one that sends nothing else is cut off."""
    max_unreleased: Annotated[int, Field(ge=1, le=65_535)] = 1_000
    """QoS 2 messages of one client whose release has not arrived."""


class EventSettings(Section):
    """Limits of a payload on an events topic, named as ``model.limits.Limits`` names them (seconds here)."""

    max_payload: Annotated[int, Field(ge=1024, le=16_777_216)] = 1_048_576
    """Bytes of a payload after decompression."""
    max_ratio: Annotated[int, Field(ge=2, le=1_000)] = 100
    """How many times its size a gzip payload may unfold to."""
    max_events: Annotated[int, Field(ge=1, le=10_000)] = 500
    """Events in one batch."""
    max_depth: Annotated[int, Field(ge=4, le=64)] = 16
    """Nesting of the JSON."""
    max_string: Annotated[int, Field(ge=64, le=65_536)] = 1_024
    """Characters of one text."""
    max_batch_id: Annotated[int, Field(ge=1, le=1_024)] = 64
    """Characters of a batch id."""
    max_unknown: Annotated[int, Field(ge=0, le=256)] = 16
    """Fields of ``device`` and of ``source`` that this version does not know and keeps."""
    max_samples: Annotated[int, Field(ge=1, le=1_000_000)] = 20_000
    """Samples in one series."""
    max_future_s: Annotated[int, Field(ge=0, le=86_400)] = 600
    """Seconds that an event may lie ahead of our clock."""


class LogSettings(Section):
    """The log on stderr."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe level that is written."""
    format: Literal["auto", "json", "console"] = "auto"
    """JSON lines, or lines for a person; auto: the latter on a terminal."""


class TokenSettings(Section):
    """Tokens."""

    lifetime_s: Annotated[int, Field(ge=1, le=86_400)] = 86_400
    """Seconds that a new token lives."""
    access_s: Annotated[int, Field(ge=60, le=86_400)] = 3_600
    """Seconds that a token lives which a device got for a one-time code or a refresh token."""


class BridgeSettings(Section):
    """The bridge."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] = "main"
    """Its name in ``bridge/{bridge}/status``."""


class MetricsSettings(Section):
    """The HTTP port of ``/metrics``, ``/healthz`` and ``/readyz``; it has no passwords and is off by default."""

    host: Annotated[str, AfterValidator(_loopback)] = "127.0.0.1"
    """Address of the HTTP listener for metrics and health; loopback only."""
    port: Port | None = None
    """Its port; nothing: there is no such listener, 0: a free one."""


def _issuer(url: str) -> str:
    there = urlsplit(url)
    secure = there.scheme == "https" or (there.scheme == "http" and is_loopback(there.hostname or ""))
    if url and (not secure or not there.hostname or there.query or there.fragment or there.username is not None):
        raise ValueError("it must be an https URL, such as https://login.example.org/realms/staff")
    return url


class OidcSettings(Section):
    """The login of an organisation (OpenID Connect) that lets its people in as users; nothing: there is none."""

    issuer: Annotated[str, AfterValidator(_issuer)] = ""
    """The provider, as it calls itself: https://login.example.org/realms/staff."""
    title: Annotated[str, Field(max_length=64)] = ""
    """What people read on the button; nothing: the name of its host."""
    client_id: Annotated[str, Field(max_length=256)] = ""
    """What the provider calls this service."""
    client_secret_file: Path | None = None
    """A private file with the secret of that name; nothing: the provider knows it as a public client."""
    scopes: Texts = ("openid", "profile")
    """What is asked for, with commas between; the claim has to be in one of them."""
    claim: Annotated[str, Field(min_length=1, max_length=128)] = "preferred_username"
    """The claim of the id token that names the user."""
    domain: Annotated[str, Field(max_length=253)] = ""
    """The domain behind the @ of such names: of alice@DOMAIN the user alice, and of any other nobody. Nothing: the name
    is the user's id."""
    users: dict[str, str] = {}
    """By a value of the claim: the user whom it stands for, whatever else it would say."""


class TracingSettings(Section):
    """Spans of OpenTelemetry, of HTTP requests and of the way of events; off by default."""

    endpoint: Annotated[str, AfterValidator(_receiver)] = ""
    """The collector's URL for OTLP/HTTP, such as http://127.0.0.1:4318/v1/traces; nothing: no spans are made."""
    sample_ratio: Annotated[float, Field(ge=0, le=1)] = 0.01
    """The share of requests and messages without a ``traceparent`` that begin a trace; with one, its sender decides."""


class GatewaySettings(Section):
    """The HTTP gateway of ``healthsync up``: a process of its own, off by default."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{0,45}$")] = ""
    """Its name among several gateways beside an external broker: its account there is healthsync-gateway-ID, which
    ``healthsync broker provision mosquitto --gateways ID`` makes. Nothing: healthsync-gateway, or one that is free."""
    host: Annotated[str, AfterValidator(_listening)] = "0.0.0.0"  # noqa: S104 - TLS and a token guard it
    """Address of the HTTPS listener, or several with commas between; without TLS loopback only."""
    port: Port | None = None
    """Its port; nothing: there is no gateway, 0: a free one."""
    tls: bool = True
    """Speak TLS, with the certificate of the other listeners; without it only on a loopback address."""
    connections: Count = 2_000
    """Open connections."""
    connections_per_address: Count = 200
    """Open connections from one network address (of IPv6: from one /64 network)."""
    proxies: Annotated[Texts, AfterValidator(networks)] = ()
    """Addresses or networks of HTTP proxies: they name the client in a header, whose last address that is not theirs is
    believed, and limits by address are not theirs. Of others the header is not read."""
    proxies_say: Literal["X-Forwarded-For", "Forwarded"] = "X-Forwarded-For"
    """The header in which they name it; the other one is not read. Forwarded is that of RFC 7239."""
    balancers: Annotated[Texts, AfterValidator(networks)] = ()
    """Addresses or networks of TCP load balancers: they name the client by the PROXY protocol, as those of
    broker.proxies do."""
    in_flight: Annotated[int, Field(ge=1, le=65_535)] = 1_000
    """Bodies of events that wait for their commit; one more is answered with 503."""
    in_flight_bytes: Bytes = 33_554_432
    """Their bytes together."""
    answer_s: Seconds = 30.0
    """Seconds that a commit is waited for; then the answer is 503, and the same may be sent again."""
    public_url: Annotated[str, AfterValidator(_public)] = ""
    """Where others reach it, such as https://health.example.org: clouds send there what is new, and users come back
    there from agreeing and from an organisation's login; passkeys are of its domain. Nothing: clouds are asked for what
    is new, users agree at this machine, and there are no passkeys."""
    upload_bytes: Annotated[int, Field(ge=1)] = 4_294_967_296
    """Bytes of a file that a person uploads to be imported."""
    webhook_hosts: Texts = ()
    """Hosts with commas between that webhooks may be posted to wherever they are, plain HTTP too; any other has to have
    a public address and https."""

    oidc: OidcSettings = OidcSettings()

    @model_validator(mode="after")
    def _plain_on_loopback(self) -> Self:
        if not self.tls:
            _listening_loopback(self.host)
        return self

    @model_validator(mode="after")
    def _organisation_can_come_back(self) -> Self:
        if self.oidc.issuer and not (self.public_url and self.oidc.client_id):
            raise ValueError("oidc.issuer needs public_url, where people come back to, and oidc.client_id")
        return self


class ProviderSettings(Section):
    """An adapter's app at its provider, and where the provider is."""

    client_id: str = ""
    """The id of the app that was registered at the provider."""
    client_secret: SecretStr = SecretStr("")
    """Its secret; or it is in a file."""
    client_secret_file: Path | None = None
    """A private file with its secret."""
    base_url: str = ""
    """Where its data is asked for; nothing: where the provider says."""
    auth_url: str = ""
    """Where users agree."""
    token_url: str = ""
    """Where tokens come from."""
    poll_s: Seconds = 900.0
    """Seconds between two times of asking for what is new of a user."""
    webhook_secret: SecretStr = SecretStr("")
    """What its webhooks are known by, where they were set up by hand; nothing: it is made, and kept here."""
    webhook_signed: bool = True
    """Take only webhooks that are signed, of a provider that is said to sign not all of them (Strava)."""
    keys_url: str = ""
    """Where the keys are with which it signs webhooks (Google Health)."""
    service_account_file: Path | None = None
    """A private file with the key of a service account that may change webhooks of the app (Google Health)."""


class ExternalSettings(Section):
    """The external broker that ``healthsync bridge run`` and ``python -m bridge`` work on."""

    host: str = "localhost"
    """Its name or address; a name that its certificate carries."""
    port: Annotated[int, Field(ge=1, le=65_535)] = 8883
    """Its MQTT port."""
    tls: bool = True
    """Speak TLS; without it only a loopback address is accepted."""
    ca_file: Path | None = None
    """The CA that signed its certificate; the system's CAs without one."""
    cert_file: Path | None = None
    """The bridge's own certificate, for brokers that ask for one."""
    key_file: Path | None = None
    """The private key of that certificate."""
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    """The version of MQTT; auto: 5, and 3.1.1 where the broker does not speak it."""
    receive_maximum: Annotated[int, Field(ge=1, le=65_535)] = 2_000
    """Messages the broker may send before it gets an acknowledgement (MQTT 5; else the broker's own setting)."""
    session_expiry_s: Annotated[int, Field(ge=60, le=4_294_967_295)] = 7 * 86_400
    """Seconds that the broker keeps messages for a bridge that is away (MQTT 5; else the broker's own setting)."""
    keep_alive_s: Annotated[int, Field(ge=5, le=1_200)] = 30
    """Seconds of silence after which the connection is tested."""
    registry_file: Path | None = None
    """The installation's registry.db, for a bridge with a data directory of its own; without it the one in there."""
    share: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{0,64}$")] = ""
    """Group of bridges that share all messages (``$share``), with `storage.shared`; not on brokers without shared
    subscriptions."""
    shard: Annotated[str, Field(pattern=r"^(\d{1,4}/\d{1,4})?$")] = ""
    """Which part of the users this bridge works for, such as 2/8; nothing: all. With `storage.shared` it divides what
    comes in alone: sinks, days and insights have everybody."""
    provisioned: bool = False
    """Devices log in there with the passwords that `broker provision` tells the broker, which verifies no tokens
    (Mosquitto): who enrols over HTTP is handed one."""
    devices: Literal["any", "registered"] = "any"
    """Whose events are taken: any device's that the broker lets in and the registry has not removed or suspended, or
    those of registered devices alone. Then topics that name no device take events of adapters only."""
    canonical: bool = True
    """Publish canonical events for subscribers."""
    guarded: bool = False
    """Publish canonical events of types that are asked for by name, too: they reach whoever the broker lets read them.
    Mosquitto as `broker provision` sets it up keeps them from subscribers that may read `*`; other brokers do not."""
    canary: bool = True
    """Try at the start and again and again to cross from one user to another, and stop when that works."""
    canary_interval_s: Seconds = 300.0
    """Seconds between two tries."""


def _known_types(days: dict[str, int]) -> dict[str, int]:
    for name in days:
        if name not in CATALOGUE:
            raise ValueError("it names a type that is not in the catalogue (docs/reference/events.md)")
    return days


class RetentionSettings(Section):
    """How long the event log keeps events."""

    days: Annotated[dict[str, Annotated[int, Field(ge=1, le=36_500)]], AfterValidator(_known_types)] = {}
    """Days after its start that an event of a type is kept at least, by type; other types are kept for ever."""


class QuarantineSettings(Section):
    """How much of what is refused is kept, in unfolded bytes with 512 for each row; what is oldest goes first."""

    device_bytes: Bytes = 4 * 1024 * 1024
    """Bytes kept of one device."""
    user_bytes: Bytes = 16 * 1024 * 1024
    """Bytes kept of one user."""
    total_bytes: Bytes = 256 * 1024 * 1024
    """Bytes kept in all."""
    row_bytes: Bytes = 64 * 1024
    """Bytes kept of one refusal; of longer ones the beginning, with their size and digest."""
    days: Annotated[int, Field(ge=1, le=36_500)] = 90
    """Days after which a refusal that did not come again is removed."""


class BackupSettings(Section):
    """Backups that the service makes by itself. For each hour, day and week the newest set is kept."""

    directory: Path | None = None
    """Where to, on another disk; without one it makes none."""
    every_s: Annotated[float, Field(ge=60, le=366 * 86_400, allow_inf_nan=False)] = 3_600.0
    """Seconds between two sets."""
    keys_file: Path | None = None
    """Also write the keys into this file, each time; apart from the directory, or whoever has one has all."""
    hourly: Annotated[int, Field(ge=0, le=10_000)] = 24
    """Hours that keep their newest set."""
    daily: Annotated[int, Field(ge=0, le=10_000)] = 7
    """Days that keep their newest set."""
    weekly: Annotated[int, Field(ge=0, le=10_000)] = 5
    """Weeks (from Monday, UTC) that keep their newest set."""


class RegistrySettings(Section):
    """Where users, devices, consents, revocations and the audit log are kept."""

    url: Annotated[str, AfterValidator(server_address)] = ""
    """``postgresql://user@host/database``: they are there, for every machine of the installation, and not in
    `registry.db` and `audit.db`. Without a password; to another machine with ``?sslmode=verify-full``."""
    password_file: Path | None = None
    """The password for `url`, in a file that only the service can read."""
    home: bool = True
    """Of the machines that share `url` this is the one that erases persons and keeps files about them (Home Assistant,
    days, insights, what sinks know). Set it to false on every other: a second bridge with it does not start."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.password_file is not None and not self.url:
            raise ValueError("password_file is for url")
        if not self.home and not self.url:
            raise ValueError("home = false is for url: a registry in the data directory is at home there")
        return self


class StorageSettings(Section):
    """How the event log is stored."""

    encryption: Literal["none", "rows"] = "rows"
    """Whether a new log is sealed: ``rows`` seals values, event ids and refused bytes, each user's with their own key.
    A log that is there stays as it is; `healthsync storage encrypt` seals it. On PostgreSQL
    ``none`` is the default, and bridges that share a log have no other."""
    url: Annotated[str, AfterValidator(server_address)] = ""
    """``postgresql://user@host/database``: the log is there, and not in `events.db`. Without a password, which lies in
    `password_file` or in `~/.pgpass`; to another machine with ``?sslmode=verify-full``."""
    password_file: Path | None = None
    """The password for `url`, in a file that only the service can read."""
    shared: bool = False
    """Other bridges write this log, too. Each has a data directory and a `bridge.id` of its own.

    One of them, elected by the server, feeds subscribers; one that has the directory of the sinks runs those and
    purges."""

    @model_validator(mode="before")
    @classmethod
    def _none_on_a_server(cls, values: dict[str, Any]) -> dict[str, Any]:
        return {"encryption": "none"} | values if values.get("url") else values

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.password_file is not None and not self.url:
            raise ValueError("password_file is for url")
        if self.shared and not self.url:
            raise ValueError("shared is for url: a log in the data directory has one bridge")
        if self.shared and self.encryption != "none":
            raise ValueError('a log that bridges share is not sealed by this release: encryption = "none"')
        return self
