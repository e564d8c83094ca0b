"""Serve a bundle as a camera in the browser, or write it as a web site.

The page names what is before the camera as an app would do it, from the bundle alone; nothing that
the camera sees leaves the device. It is served on this machine until Ctrl-C. --https serves it to a
phone on the same network, with a certificate made on the spot, which the browser warns of. --out
writes the site as files for any host with HTTPS; once opened there, it works without a network.

The bundle is verified first; each finding is a line on stdout, and the exit code is then 2.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path

from absl import flags

from taxonvision.camera.certificate import self_signed, tls_with
from taxonvision.camera.server import LOCAL, SiteServer, addresses_here, listen
from taxonvision.camera.site import Site, assemble, write_site
from taxonvision.errors import UserError
from taxonvision.progress import say, working
from taxonvision.runtime.device_files import device_file
from taxonvision.runtime.verify import verify
from taxonvision.text import for_screen, of_path, several

USAGE = "taxonvision camera --bundle=BUNDLE [--out=SITE | --https] [--port=8000]"
REQUIRED = ("bundle",)

EXIT_FINDINGS = 2
_MAX_PORT = 65535


def define(values: flags.FlagValues) -> None:
    """Define the flags."""
    flags.DEFINE_string("bundle", None, "the bundle, a folder or a zip", flag_values=values)
    flags.DEFINE_string("out", None, "folder to write the site into", flag_values=values)
    flags.DEFINE_boolean(
        "https", False, "serve whoever is on the network, with TLS", flag_values=values
    )
    flags.DEFINE_integer(
        "port",
        None,
        "serve on this port; 8000 or the next free one where it is not given",
        lower_bound=1,
        upper_bound=_MAX_PORT,
        flag_values=values,
    )
    flags.DEFINE_boolean("overwrite", False, "replace what stands at --out", flag_values=values)


def run(values: flags.FlagValues, arguments: list[str]) -> int:
    """Verify the bundle, then write its site or serve it."""
    if values.out and (values.https or values.port is not None):
        raise UserError("--out writes the site and serves nothing; leave out --https and --port")
    hosts, tls = _secured() if values.https else (LOCAL, None)
    place = Path(values.bundle)
    with working(f"verifying {of_path(place)}"):
        findings = verify(place)
    if findings:
        for finding in findings:
            print(for_screen(" ".join(finding.splitlines())))
        say(f"{of_path(place)}: {several(len(findings), 'finding')}; no camera is made of it")
        return EXIT_FINDINGS
    site = assemble(place)
    if values.out:
        _write(site, Path(values.out), overwrite=values.overwrite)
        return 0
    with listen(site, values.port, hosts=hosts, tls=tls) as server:
        _serve(server, hosts)
    return 0


def _secured() -> tuple[list[str], ssl.SSLContext]:
    """The names and addresses that this machine goes by, the best first, and TLS for them all."""
    name = socket.gethostname().partition(".")[0].lower() or "localhost"
    hosts = list(dict.fromkeys([*addresses_here(), f"{name}.local", name, *LOCAL]))
    return hosts, tls_with(self_signed(hosts))


def _write(site: Site, out: Path, *, overwrite: bool) -> None:
    write_site(site, out, overwrite=overwrite)
    size = sum(map(len, site.files.values())) / 1e6
    say(f"{of_path(out)}: {several(len(site.files), 'file')}, {size:.1f} MB")
    say(
        "put the folder on any host that serves HTTPS, also below a path; phones open its address "
        f"and can install it. Which headers help: {device_file('web/README.md')}"
    )


def _serve(server: SiteServer, hosts: Sequence[str]) -> None:
    """Tell where, and serve until Ctrl-C."""
    if server.tls is None:
        print(f"http://{hosts[0]}:{server.server_port}/", flush=True)
    else:
        for host in [host for host in hosts if host not in LOCAL] or hosts:
            print(f"https://{host}:{server.server_port}/", flush=True)
        say(
            "the browser will warn, since nobody vouches for the certificate: go on in spite of it "
            "if this is your network. Offline use needs a certificate that the phone trusts"
        )
    say("the camera is served there; Ctrl-C ends it")
    with contextlib.suppress(KeyboardInterrupt):
        server.serve_forever()
