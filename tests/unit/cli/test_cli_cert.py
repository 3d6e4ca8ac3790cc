"""Certificates by command: files, modes, serial numbers, and keys that never leave their device."""

from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from healthsync_mqtt.identity.certificates.issuing import holder_of


@pytest.fixture(autouse=True)
def known(lines) -> None:
    lines("user", "add", "alice", "--consent", "all")
    lines("device", "add", "alice", "watch")
    lines("subscriber", "add", "app", "--users", "alice")


def named(path: str) -> str:
    certificate = x509.load_pem_x509_certificate(Path(path).read_bytes())
    return holder_of(certificate.public_bytes(serialization.Encoding.DER)).client_id


def test_a_ca_is_made_once(run, lines) -> None:
    (made,) = lines("cert", "init-ca")
    assert Path(made["ca_file"]).exists()
    again = run("cert", "init-ca")
    assert again.exit_code == 1
    assert "already" in again.stderr


def test_a_certificate_with_its_key(run, lines, tmp_path: Path) -> None:
    (made,) = lines("cert", "issue", "device", "alice", "watch", "--out", str(tmp_path))
    assert Path(made["key"]).stat().st_mode & 0o777 == 0o600
    assert named(made["certificate"]) == made["client_id"] == "alice-watch"
    refused = run("cert", "issue", "device", "alice", "watch", "--out", str(tmp_path))
    assert refused.exit_code == 1
    assert "exists already" in refused.stderr
    (renewed,) = lines("cert", "renew", "device", "alice", "watch", "--out", str(tmp_path))
    assert renewed["serial"] != made["serial"]
    assert [each["state"] for each in lines("cert", "list")] == ["valid", "valid"]


def test_with_a_request_the_key_stays_where_it_is(lines, tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    csr = tmp_path / "watch.csr"
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    csr.write_bytes(request.public_bytes(serialization.Encoding.PEM))
    (made,) = lines("cert", "issue", "device", "alice", "watch", "--csr", str(csr), "--out", str(tmp_path))
    assert made["key"] is None
    assert list(tmp_path.glob("*.key")) == []
    certificate = x509.load_pem_x509_certificate(Path(made["certificate"]).read_bytes())
    assert certificate.public_key() == key.public_key()


def test_subscribers_and_servers(lines, tmp_path: Path) -> None:
    (app,) = lines("cert", "issue", "subscriber", "app", "--out", str(tmp_path))
    assert named(app["certificate"]) == "app"
    (server,) = lines(
        "cert", "issue", "server", "--host", "mqtt.example.org", "--host", "192.0.2.7", "--out", str(tmp_path)
    )
    (shown,) = lines("cert", "inspect", server["certificate"])
    assert shown["names"] == ["mqtt.example.org", "192.0.2.7"]
    assert (shown["purposes"], shown["state"]) == (["server"], "valid")


def test_the_services_own_is_renewed_in_place(lines, data: Path) -> None:
    lines("cert", "init-ca")
    (first,) = lines("cert", "renew", "server")
    (second,) = lines("cert", "renew", "server")
    assert first["serial"] != second["serial"]
    (shown,) = lines("cert", "inspect", str(data / "certs" / "server.crt"))
    assert shown["serial"] == second["serial"]


def test_revoked_is_revoked_in_list_file_and_inspection(run, lines, data: Path, tmp_path: Path) -> None:
    (made,) = lines("cert", "issue", "device", "alice", "watch", "--out", str(tmp_path))
    assert run("cert", "revoke", made["serial"]).exit_code == 2
    (gone,) = lines("cert", "revoke", made["serial"].upper(), "--reason", "lost", "--yes")
    assert (gone["state"], gone["reason"]) == ("revoked", "lost")
    (shown,) = lines("cert", "inspect", made["certificate"])
    assert shown["state"] == "revoked"
    crl = x509.load_pem_x509_crl((data / "certs" / "ca.crl").read_bytes())
    assert crl.get_revoked_certificate_by_serial_number(int(made["serial"], 16)) is not None
    assert run("cert", "revoke", "abc", "--yes").exit_code == 1
    (foreign,) = lines("cert", "revoke", "abc", "--foreign", "--yes")
    assert foreign["kind"] == "foreign"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("issue", "device", "alice"), 2),
        (("issue", "device", "alice", "nothing"), 1),
        (("issue", "subscriber"), 2),
        (("issue", "server"), 2),
        (("issue", "toaster"), 2),
        (("issue", "device", "alice", "watch", "--lifetime", "91d"), 1),
        (("issue", "device", "alice", "watch", "--out", "/nowhere/at/all"), 1),
        (("issue", "device", "alice", "watch", "--csr", "/nowhere.csr"), 1),
        (("renew", "device", "alice", "watch"), 1),
        (("revoke", "no-number", "--yes"), 1),
        (("inspect", "/nowhere.crt"), 1),
    ],
)
def test_what_cannot_be_done_says_so_with_a_fix(run, words, code, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("cert", *words)
    assert result.exit_code == code, result.output
    assert result.stderr.splitlines()[-1].startswith("fix: ")
    assert list(tmp_path.glob("*.key")) == []
