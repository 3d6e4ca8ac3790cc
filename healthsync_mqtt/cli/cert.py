"""healthsync cert …"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from healthsync_mqtt.cli import completion, output
from healthsync_mqtt.cli.certificate_issue import issue_client, issue_server, renewed_server
from healthsync_mqtt.cli.group import new_group
from healthsync_mqtt.cli.installation import DataDirectory
from healthsync_mqtt.cli.list_limit import newest
from healthsync_mqtt.cli.options import DATA, Data, FreshData, Json, Limit, Yes, now_us, seconds
from healthsync_mqtt.identity.certificates.book import SERVER, IssuedCertificate
from healthsync_mqtt.identity.certificates.files import create_authority
from healthsync_mqtt.identity.certificates.server_tls import write_revocation_list
from healthsync_mqtt.model.principal import Role
from healthsync_mqtt.model.times import iso, micros

app = new_group("Certificates: the CA, servers, and clients that log in with one.")

Kind = Annotated[
    str, typer.Argument(help="device, subscriber or server.", autocompletion=completion.kinds, metavar="KIND")
]
Names = Annotated[
    list[str] | None,
    typer.Argument(
        help="USER DEVICE for a device, NAME for a subscriber.", autocompletion=completion.holders, metavar="[NAME]..."
    ),
]
Csr = Annotated[Path | None, typer.Option(help="A signing request: the private key never leaves the device.")]
Out = Annotated[Path, typer.Option(help="Directory for the files.")]
Lifetime = Annotated[str, typer.Option(help="How long a client's certificate is valid, at most 90d.")]


@app.command("init-ca")
def init_ca(data: FreshData = DATA, json: Json = False) -> None:
    """Make the CA. The service makes one itself at its first start.

    Example: healthsync cert init-ca
    """
    place = DataDirectory(data)
    place.registry().close()
    made = create_authority(place.certs, datetime.now(UTC)).certificate
    place.audit("ca.created")
    shown = {
        "ca_file": str(place.certs / "ca.crt"),
        "subject": made.subject.rfc4514_string(),
        "expires_at": iso(micros(made.not_valid_after_utc)),
    }
    if json:
        output.emit(shown)
    else:
        output.facts(shown.items())


@app.command("issue")
def issue(
    kind: Kind,
    names: Names = None,
    *,
    csr: Csr = None,
    out: Out = Path(),
    lifetime: Lifetime = "30d",
    host: Annotated[list[str] | None, typer.Option(help="A name of the server; may be given several times.")] = None,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Issue a certificate, and make its key unless a signing request comes with the device's own.

    Example: healthsync cert issue device alice watch-1 --csr watch-1.csr
    """
    place = DataDirectory(data)
    if kind == SERVER:
        made = issue_server(place, host or [], csr, out)
    else:
        made = issue_client(place, kind, names or [], csr, out, lifetime=timedelta(seconds=seconds(lifetime)))
    _note(place, "certificate.issued", kind, names, made)
    _show(made, as_json=json)


@app.command("renew")
def renew(
    kind: Kind,
    names: Names = None,
    *,
    csr: Csr = None,
    out: Out = Path(),
    lifetime: Lifetime = "30d",
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Issue the successor of a certificate; the old one stays valid to its end.

    The server's own is replaced where it lies, and a running service takes it up within seconds. It is renewed by
    itself, too, when a third of its life is left.

    Example: healthsync cert renew device alice watch-1 --csr watch-1.csr
    """
    place = DataDirectory(data)
    if kind == SERVER:
        made = renewed_server(place)
    else:
        life = timedelta(seconds=seconds(lifetime))
        made = issue_client(place, kind, names or [], csr, out, lifetime=life, again=True)
    _note(place, "certificate.renewed", kind, names, made)
    _show(made, as_json=json)


@app.command("list")
def list_certificates(
    every: Annotated[bool, typer.Option("--all", help="Also those that expired.")] = False,
    limit: Limit = None,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """List certificates, with their serial numbers.

    Example: healthsync cert list
    """
    now = now_us()
    with DataDirectory(data).registry() as registry:
        listed = [_described(each, now) for each in registry.certificates.issued()]
    output.listing(
        newest(
            [each for each in listed if every or each["state"] != "expired"],
            limit,
            lambda each: each["issued_at"] or "",
        ),
        {"serial": "SERIAL", "kind": "KIND", "client_id": "CLIENT ID", "state": "STATE", "expires_at": "EXPIRES"},
        as_json=json,
        empty="no certificates yet; issue one: healthsync cert issue device USER DEVICE",
    )


@app.command("revoke")
def revoke(
    serial: Annotated[
        str, typer.Argument(help="The certificate's serial number, in hexadecimal.", autocompletion=completion.serials)
    ],
    *,
    reason: Annotated[str, typer.Option(help="Why, for the list.")] = "unspecified",
    foreign: Annotated[bool, typer.Option("--foreign", help="It was issued by another CA.")] = False,
    yes: Yes = False,
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Refuse a certificate for good; a connection that logged in with it is closed within a second.

    Example: healthsync cert revoke 4f1e09 --yes
    """
    place = DataDirectory(data)
    now = datetime.now(UTC)
    with place.registry() as registry:
        book = registry.certificates
        if not foreign:
            book.find(serial)
        output.must_agree(
            "Revoke this certificate? That cannot be undone",
            f"healthsync cert revoke {serial} --yes",
            yes=yes,
            as_json=json,
        )
        gone = book.revoke(serial, micros(now), why=reason, foreign=foreign)
        if (place.certs / "ca.key").exists():
            write_revocation_list(place.certs, book, now)
    place.audit("certificate.revoked", serial=gone.serial, kind=gone.kind)
    if json:
        output.emit(_described(gone, micros(now)))
    else:
        output.say(f"revoked {gone.serial}")


@app.command("inspect")
def inspect(
    file: Annotated[Path, typer.Argument(help="A PEM file.")],
    data: Data = DATA,
    json: Json = False,
) -> None:
    """Say whose a certificate is, until when, and whether it is revoked.

    Example: healthsync cert inspect alice-watch-1.crt
    """
    from healthsync_mqtt.cli.certificate_issue import inspected

    shown = inspected(DataDirectory(data), file, datetime.now(UTC))
    if json:
        output.emit(shown)
    else:
        output.facts(
            (name.replace("_", " "), ", ".join(value) if isinstance(value, list) else value)
            for name, value in shown.items()
        )


def _note(place: DataDirectory, action: str, kind: str, names: list[str] | None, made: dict[str, Any]) -> None:
    user, device = names if kind == Role.device and names else (None, None)
    place.audit(action, user=user, device=device, kind=kind, serial=made["serial"])


def _show(made: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        output.emit(made)
    else:
        output.facts((name.replace("_", " "), value) for name, value in made.items() if value is not None)


def _described(certificate: IssuedCertificate, now: int) -> dict[str, Any]:
    expires, revoked = certificate.expires_us, certificate.revoked_us
    state = "revoked" if revoked is not None else "expired" if expires is not None and expires <= now else "valid"
    return {
        "serial": certificate.serial,
        "kind": certificate.kind,
        "client_id": certificate.client_id,
        "state": state,
        "issued_at": None if certificate.issued_us is None else iso(certificate.issued_us),
        "expires_at": None if expires is None else iso(expires),
        "revoked_at": None if revoked is None else iso(revoked),
        "reason": certificate.revoked_for,
    }
