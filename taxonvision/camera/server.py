"""Serves a site's files from memory, on this machine alone or to the network with TLS."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import socket
import ssl
import sys
import threading
from collections.abc import Collection
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any
from urllib.parse import unquote, urlsplit

from taxonvision.camera.site import INDEX, Site
from taxonvision.errors import UserError

PORT = 8000
_PORTS_TRIED = 20
_SECONDS_TO_SPEAK = 30
_MAX_CONNECTIONS = 256  # at once, each with a thread; a browser opens six
_TLS_HANDSHAKE = b"\x16"  # the first byte of who speaks TLS
LOCAL = ("localhost", "127.0.0.1")
"""The names that this machine has for itself."""
_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "mjs": "text/javascript; charset=utf-8",
    "json": "application/json",
    "webmanifest": "application/manifest+json",
    "wasm": "application/wasm",
    "svg": "image/svg+xml",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "csv": "text/csv; charset=utf-8",
    "txt": "text/plain; charset=utf-8",
    "md": "text/plain; charset=utf-8",
}
_OTHER_TYPE = "application/octet-stream"
POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; "
    "img-src 'self' blob: data:; media-src 'self' blob:; connect-src 'self'; worker-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; form-action 'none'"
)
"""The Content-Security-Policy that the page states too."""
_HEADERS = {
    "Content-Security-Policy": f"{POLICY}; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Cache-Control": "no-cache",
}


class SiteServer(ThreadingHTTPServer):
    """A server of one site; `serve_forever` until Ctrl-C or `shutdown`.

    Only the names in `site.files` lead anywhere; no request reaches the file system.
    """

    daemon_threads = True

    def __init__(
        self,
        site: Site,
        address: tuple[str, int],
        hosts: Collection[str] = LOCAL,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Listen, and answer nobody yet.

        Args:
            site: what is served.
            address: where to listen; port 0 is any free one.
            hosts: the names this server goes by. Requests for another come from a page elsewhere
                whose name was made to lead here (DNS rebinding), and are turned away.
            tls: the certificate to serve with; None: without TLS.
        """
        super().__init__(address, _Handler)
        self.files = site.files
        self.tags = {
            name: f'"{hashlib.sha256(content).hexdigest()}"' for name, content in site.files.items()
        }
        self.hosts = frozenset(host.lower() for host in hosts)
        self.tls = tls
        self._free = threading.Semaphore(_MAX_CONNECTIONS)

    def server_bind(self) -> None:
        """Bind without asking the network for this machine's full name, which can take long."""
        TCPServer.server_bind(self)
        self.server_port = int(self.server_address[1])

    def process_request(self, request: Any, client_address: Any) -> None:
        """Hang up where there are too many: the slow must not use up the machine."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer a connection, and make room for the next."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Answer a connection in its own thread, where a slow handshake keeps nobody waiting."""
        if self.tls is None:
            super().finish_request(request, client_address)
            return
        request.settimeout(_SECONDS_TO_SPEAK)
        if request.recv(1, socket.MSG_PEEK) != _TLS_HANDSHAKE:
            super().finish_request(request, client_address)
            return
        with self.tls.wrap_socket(request, server_side=True) as secured:
            super().finish_request(secured, client_address)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Browsers hang up, and do not like the certificate at first: that is no news."""
        if not isinstance(sys.exception(), OSError):  # ssl.SSLError and TimeoutError are such
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD; what http.server has no method for is 501."""

    protocol_version = "HTTP/1.1"
    timeout = _SECONDS_TO_SPEAK
    # Nagle's algorithm holds each body back until the head is acknowledged, 40 ms later (RFC 1122).
    disable_nagle_algorithm = True
    error_message_format = "%(code)d %(message)s\n"
    error_content_type = "text/plain; charset=utf-8"
    server: SiteServer

    def do_GET(self) -> None:
        """The bytes of a file."""
        content = self._begin()
        if content is not None:
            self.wfile.write(content)

    def do_HEAD(self) -> None:
        """What GET says before the bytes."""
        self._begin()

    def _begin(self) -> bytes | None:
        """Send all but the bytes; gives them where there are any to send."""
        if self._host() not in self.server.hosts:
            self.send_error(HTTPStatus.MISDIRECTED_REQUEST)
            return None
        if self.server.tls is not None and not isinstance(self.connection, ssl.SSLSocket):
            self._send_to_tls()
            return None
        name = unquote(self.path.partition("?")[0]).removeprefix("/") or INDEX
        content = self.server.files.get(name)
        if content is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return None
        tag = self.server.tags[name]
        known = self.headers.get("If-None-Match") == tag
        self.send_response(HTTPStatus.NOT_MODIFIED if known else HTTPStatus.OK)
        self.send_header("ETag", tag)
        if not known:
            suffix = name.rpartition("/")[2].rpartition(".")[2]
            self.send_header("Content-Type", _TYPES.get(suffix, _OTHER_TYPE))
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        return None if known else content

    def _send_to_tls(self) -> None:
        """Answer whoever typed the address without its https://, as some browsers read it."""
        self.send_response(HTTPStatus.TEMPORARY_REDIRECT)
        self.send_header("Location", f"https://{self.headers['Host']}/")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _host(self) -> str:
        """The name that the client knows this server by, "" where it tells none."""
        try:
            return urlsplit(f"//{self.headers.get('Host', '')}").hostname or ""
        except ValueError:
            return ""

    def end_headers(self) -> None:
        """Every answer says what the page may do, also those that are errors."""
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def version_string(self) -> str:
        """The name of the program; versions are nobody's business."""
        return "taxonvision"

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing: a page is a hundred requests."""


def listen(
    site: Site,
    port: int | None,
    *,
    hosts: Collection[str] = LOCAL,
    tls: ssl.SSLContext | None = None,
) -> SiteServer:
    """A server for this machine alone, or with TLS for whoever can reach it.

    Args:
        site: what is served.
        port: this one, or UserError; None: 8000, or the next that is free.
        hosts: the names and addresses the server goes by.
        tls: the certificate; None: without TLS, on the loopback address.
    """
    where = "127.0.0.1" if tls is None else ""
    ports = range(PORT, PORT + _PORTS_TRIED) if port is None else (port,)
    for number in ports:
        try:
            return SiteServer(site, (where, number), hosts, tls)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            reason = error.strerror
    raise UserError(
        f"port {ports[0]} cannot be served on ({reason}); choose another --port"
        if port is not None
        else f"the ports {ports[0]} to {ports[-1]} are all taken; choose another with --port"
    )


def addresses_here() -> list[str]:
    """The IPv4 addresses under which others on the network reach this machine, the likeliest first.

    The first is that of the way to the outside; a datagram socket finds it without sending
    anything (192.0.2.1 is an address for documentation, RFC 5737).
    """
    found: list[str] = []
    with (
        contextlib.suppress(OSError),  # no way out
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe,
    ):
        probe.connect(("192.0.2.1", 9))
        found.append(probe.getsockname()[0])
    with contextlib.suppress(OSError):  # a name that leads nowhere
        found += socket.gethostbyname_ex(socket.gethostname())[2]
    return [address for address in dict.fromkeys(found) if not address.startswith("127.")]
