"""The server: the files of the site, by their names, to whoever knows it by its own."""

from __future__ import annotations

import http.client
import re
import socket
from contextlib import ExitStack

import pytest
from small_page import WEB, serving, small_bundle_files, small_web

from taxonvision.camera import server as server_module
from taxonvision.camera.server import POLICY, SiteServer, addresses_here, listen
from taxonvision.camera.site import assemble
from taxonvision.errors import UserError


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    return assemble(small_bundle_files(folder / "bundle"), small_web(folder / "web"))


@pytest.fixture(scope="module")
def server(site):
    with serving(SiteServer(site, ("127.0.0.1", 0))) as running:
        yield running


@pytest.fixture
def ask(server):
    """Ask for a path; status, headers, bytes."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=10)

    def request(path, method="GET", **headers):
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        headers.setdefault("Host", f"localhost:{server.server_port}")
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()

    yield request
    connection.close()


def test_every_file_of_the_site_and_its_head(site, ask):
    for name, content in site.files.items():
        status, headers, body = ask(f"/{name}")
        assert (status, body, headers["Content-Length"]) == (200, content, str(len(content)))
        assert ask(f"/{name}", "HEAD")[::2] == (200, b"")


def test_the_folder_is_the_page(site, ask):
    assert ask("/")[2] == ask("/?check")[2] == site.files["index.html"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("index.html", "text/html; charset=utf-8"),
        ("js/main.js", "text/javascript; charset=utf-8"),
        ("app.webmanifest", "application/manifest+json"),
        ("vendor/litert/wasm/run.wasm", "application/wasm"),
        ("bundle/model.tflite", "application/octet-stream"),
        ("bundle/SHA256SUMS", "application/octet-stream"),
        ("icons/icon-512.png", "image/png"),
    ],
)
def test_types(ask, name, kind):
    assert ask(f"/{name}")[1]["Content-Type"] == kind


@pytest.mark.parametrize(
    "path",
    [
        "/js", "/js/", "/bundle/", "/..//setup.cfg", "/../setup.cfg", "/%2e%2e/setup.cfg",
        "/js/../index.html", "/..%2fsetup.cfg", "/etc/passwd", "/.git/config", "/index.html%00",
        "/INDEX.HTML", "/litert.json", "http://[", "x",
    ],
)  # fmt: skip
def test_nothing_else_is_there(ask, path):
    status, headers, body = ask(path)
    assert (status, body) in ((404, b"404 Not Found\n"), (400, b"400 Bad Request\n"))
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        (b"GET / HTTP/1.0", b"HTTP/1.1 421 "),  # without a host
        (b"GET http://localhost/index.html HTTP/1.1\r\nHost: localhost", b"HTTP/1.1 404 "),
        (b"GET /%252e%252e/setup.cfg HTTP/1.1\r\nHost: localhost", b"HTTP/1.1 404 "),
        (b"GET /\xff HTTP/1.1\r\nHost: localhost", b"HTTP/1.1 404 "),
        (b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: localhost", b"HTTP/1.1 414 "),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 70_000 + b"\r\nHost: localhost", b"HTTP/1.1 431 "),
        (b"GET / HTTP/1.1" + b"\r\nX: 1" * 200 + b"\r\nHost: localhost", b"HTTP/1.1 431 "),
        (b"GET / HTTP/9.9\r\nHost: localhost", b"505 "),
    ],
)
def test_odd_requests_get_an_answer_in_a_word(server, said, answer):
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as connection:
        connection.sendall(said + b"\r\nConnection: close\r\n\r\n")
        assert connection.recv(len(answer), socket.MSG_WAITALL) == answer


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT"])
def test_it_only_gives(ask, method):
    assert ask("/", method)[0] == 501


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "[::1", "", "10.0.0.1"])
def test_a_name_that_was_made_to_lead_here_is_turned_away(ask, host):
    assert ask("/", Host=host)[0] == 421


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1234", "127.0.0.1:8000"])
def test_its_own_names_at_whatever_port(ask, host):
    """A tunnel has a port of its own."""
    assert ask("/", Host=host)[0] == 200


def test_headers_of_every_answer(ask):
    for path in ("/", "/nothing"):
        headers = ask(path)[1]
        assert headers["Content-Security-Policy"] == f"{POLICY}; frame-ancestors 'none'"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["Cross-Origin-Embedder-Policy"] == "require-corp"
        assert headers["Permissions-Policy"].startswith("camera=(self)")
        assert headers["Cache-Control"] == "no-cache"
        assert headers["Server"] == "taxonvision"


def test_the_page_and_its_notes_state_the_same_policy():
    for name in ("index.html", "README.md"):
        (stated,) = re.findall(r"Content-Security-Policy[\": ].*?(default-src[^\"\n]*)", (
            WEB / name).read_text())  # fmt: skip
        assert stated.removesuffix("; frame-ancestors 'none'") == POLICY


def test_what_is_known_is_not_sent_again(ask):
    tag = ask("/bundle/model.tflite")[1]["ETag"]
    status, headers, body = ask("/bundle/model.tflite", If_None_Match=tag)
    assert (status, headers["ETag"], body) == (304, tag, b"")
    assert ask("/bundle/model.tflite", If_None_Match='"other"')[0] == 200


def test_who_says_nothing_keeps_nobody_waiting(server, ask):
    with socket.create_connection(("127.0.0.1", server.server_port)):
        assert ask("/")[0] == 200


def test_who_comes_when_there_are_too_many_is_hung_up_on(site, monkeypatch):
    monkeypatch.setattr(server_module, "_MAX_CONNECTIONS", 2)
    with ExitStack() as stack:
        server = stack.enter_context(serving(SiteServer(site, ("127.0.0.1", 0))))
        address = ("127.0.0.1", server.server_port)
        first, second, third = (
            stack.enter_context(socket.create_connection(address, timeout=10)) for _ in range(3)
        )
        assert third.recv(1) == b""
        first.sendall(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
        while first.recv(2**16):  # until the server has hung up
            pass
        second.sendall(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
        assert second.recv(12, socket.MSG_WAITALL) == b"HTTP/1.1 200"


def test_who_hangs_up_is_no_news(server, ask, capfd):
    for said in (b"", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", server.server_port)) as connection:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            connection.sendall(said)
    assert ask("/")[0] == 200
    assert capfd.readouterr().err == ""


def test_it_listens_to_this_machine_alone(site):
    with listen(site, None) as found:
        assert found.server_address[0] == "127.0.0.1"


def test_the_next_free_port_unless_one_is_given(site, monkeypatch):
    with listen(site, None) as first, listen(site, None) as second:
        assert second.server_port > first.server_port >= server_module.PORT
        with pytest.raises(UserError, match=r"port \d+ cannot be served on .*--port"):
            listen(site, first.server_port)
        monkeypatch.setattr(server_module, "PORT", first.server_port)
        monkeypatch.setattr(server_module, "_PORTS_TRIED", 1)
        with pytest.raises(UserError, match="all taken"):
            listen(site, None)


def test_addresses_lead_here():
    for address in addresses_here():
        assert not address.startswith("127.")
        with socket.socket() as listening:
            listening.bind((address, 0))
