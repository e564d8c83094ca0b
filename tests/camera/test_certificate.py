"""The certificate made on the spot, and the site served with it."""

from __future__ import annotations

import datetime
import http.client
import socket
import ssl
import stat
import tempfile
from pathlib import Path

import pytest
from small_page import serving, small_bundle_files, small_web

from taxonvision.camera.certificate import self_signed, tls_with
from taxonvision.camera.server import SiteServer
from taxonvision.camera.site import assemble


@pytest.fixture(scope="module")
def pem():
    return self_signed(["192.168.1.7", "desk.local", "localhost", "127.0.0.1"])


@pytest.fixture(scope="module")
def secured(pem, tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    site = assemble(small_bundle_files(folder / "bundle"), small_web(folder / "web"))
    with serving(
        SiteServer(site, ("127.0.0.1", 0), ["localhost", "127.0.0.1"], tls_with(pem))
    ) as server:
        yield server


def certificate_in(pem):
    return "-----BEGIN CERTIFICATE" + pem.decode().partition("-----BEGIN CERTIFICATE")[2]


def trusting(pem):
    return ssl.create_default_context(cadata=certificate_in(pem))


def test_it_names_the_host_and_is_valid_for_days(pem):
    from cryptography import x509

    certificate = x509.load_pem_x509_certificate(pem)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["desk.local", "localhost"]
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == [
        "192.168.1.7", "127.0.0.1",
    ]  # fmt: skip
    now = datetime.datetime.now(datetime.UTC)
    assert certificate.not_valid_before_utc < now
    left = certificate.not_valid_after_utc - now
    assert datetime.timedelta(days=1) < left < datetime.timedelta(days=7)


def test_no_key_is_used_twice(pem):
    assert self_signed(["localhost"]).splitlines()[1:3] != pem.splitlines()[1:3]


def test_the_key_lies_in_no_file_that_others_may_read(pem, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen = []

    class Watching(ssl.SSLContext):
        def load_cert_chain(self, certfile, *rest):
            seen.append(stat.S_IMODE(Path(certfile).stat().st_mode))
            super().load_cert_chain(certfile, *rest)

    monkeypatch.setattr(ssl, "SSLContext", Watching)
    tls_with(pem)
    with pytest.raises(ssl.SSLError):
        tls_with(b"no key")
    assert seen == [0o600, 0o600]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_who_trusts_it_is_served(secured, pem, host):
    connection = http.client.HTTPSConnection(
        host, secured.server_port, timeout=10, context=trusting(pem)
    )
    connection.request("GET", "/bundle/labels.txt")
    assert connection.getresponse().read() == b"comma"
    connection.close()


def test_who_does_not_trust_it_is_no_news(secured, pem, capfd):
    stranger = http.client.HTTPSConnection("localhost", secured.server_port, timeout=10)
    with pytest.raises(ssl.SSLCertVerificationError):
        stranger.request("GET", "/")
    for said in (b"", b"\x16\x03\x01", b"\0\0\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", secured.server_port)) as connection:
            connection.sendall(said)
    test_who_trusts_it_is_served(secured, pem, "localhost")
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(("name", "status"), [("localhost", 307), ("evil.example", 421)])
def test_an_address_without_https_leads_to_it_and_tells_nothing(secured, name, status):
    host = f"{name}:{secured.server_port}"
    plain = http.client.HTTPConnection("localhost", secured.server_port, timeout=10)
    plain.request("GET", "/bundle/labels.txt", headers={"Host": host})
    answer = plain.getresponse()
    assert (answer.status, b"comma" in answer.read()) == (status, False)
    assert answer.headers["Location"] == (f"https://{host}/" if status == 307 else None)
    plain.close()


def test_a_handshake_that_does_not_come_keeps_nobody_waiting(secured, pem):
    with socket.create_connection(("127.0.0.1", secured.server_port)):
        test_who_trusts_it_is_served(secured, pem, "localhost")
