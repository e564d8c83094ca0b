"""A site in a real browser: kept for use without a network, brought up to date, installable."""

from __future__ import annotations

import functools
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from browser import open_browser
from draw_icons import DRAWN, ICONS, draw
from PIL import Image
from small_page import serving, small_bundle_files, small_web

from taxonvision.camera.server import SiteServer
from taxonvision.camera.site import assemble, write_site

pytestmark = pytest.mark.slow

TEXT = "document.body?.textContent"
# A host for the browser, though none that the page takes for the developer's own machine.
HOST = "camera.localhost"


class Quiet(SimpleHTTPRequestHandler):
    """Any host of plain files."""

    def log_message(self, *arguments):
        pass


def a_site(folder, label):
    if not (folder / "web").exists():
        small_web(folder / "web")
    return assemble(small_bundle_files(folder / label, label=label), folder / "web")


def host_of_files(folder):
    return ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))


def caches(browser):
    return browser.run("return caches.keys()")


def test_it_works_without_its_server_in_another_process_and_then_shows_the_next_bundle(tmp_path):
    first = SiteServer(a_site(tmp_path, "comma"), ("127.0.0.1", 0))
    with serving(first), open_browser(tmp_path / "profile") as browser:
        port = first.server_port
        address = f"http://localhost:{port}/"
        browser.driver.get(address)
        browser.wait_for("window.told?.includes('ready')")
        assert browser.run(f"return {TEXT}") == "comma"
        assert browser.run("return told") == ["ready"]
        fetched = [each for each in browser.fetched() if not each.startswith("chrome")]
        assert fetched
        assert [each for each in fetched if not each.startswith(address)] == []
        assert browser.complaints() == []
        ask = browser.driver.execute_cdp_cmd
        assert ask("Page.getInstallabilityErrors", {})["installabilityErrors"] == []
        manifest = ask("Page.getAppManifest", {})
        assert (manifest["errors"], manifest["url"]) == ([], f"{address}app.webmanifest")
        (before,) = caches(browser)
    with open_browser(tmp_path / "profile") as browser:
        for page in ("", "?check", "index.html"):
            browser.driver.get(address + page)
            browser.wait_for("window.told?.includes('ready')")
            assert browser.wait_for(TEXT) == "comma"
        status = "return fetch('vendor/litert/wasm/run.wasm').then((r) => r.status)"
        assert browser.run(status) == 200
        headers = "return fetch('index.html').then((r) => r.headers.get('x-content-type-options'))"
        assert browser.run(headers) == "nosniff"
        with serving(SiteServer(a_site(tmp_path, "monarch"), ("127.0.0.1", port))):
            browser.driver.get(address)
            browser.wait_for(f"{TEXT} === 'monarch'")
            (after,) = browser.wait_for("caches.keys().then((k) => k.length === 1 && k)")
            assert after != before


def test_below_a_path_an_update_waits_for_the_person_and_sends_only_what_changed(tmp_path):
    hosted = tmp_path / "host"
    for place in ("a/one", "a/two"):
        write_site(a_site(tmp_path, "comma"), hosted / place, overwrite=True)
    with serving(host_of_files(hosted)) as host, open_browser(tmp_path / "profile") as browser:
        for place in ("one", "two"):
            browser.driver.get(f"http://{HOST}:{host.server_port}/a/{place}/")
            browser.wait_for("window.told?.includes('ready')")
        two, one = sorted(caches(browser), reverse=True)
        assert (" /a/one/ " in one) and (" /a/two/ " in two)
        write_site(a_site(tmp_path, "monarch"), hosted / "a/two", overwrite=True)
        (hosted / "a/two/vendor/litert/wasm/run.wasm").unlink()  # kept before, the same since
        browser.driver.refresh()
        browser.wait_for("window.told?.includes('update')")
        assert browser.run(f"return {TEXT}") == "comma"
        assert len(caches(browser)) == 3
        browser.run("apply()")
        browser.wait_for(f"{TEXT} === 'monarch'")
        left = browser.wait_for("caches.keys().then((k) => k.length === 2 && k)")
        assert one in left  # of the other site, whose host it shares
        assert two not in left


def test_a_version_is_kept_whole_or_not_at_all(tmp_path):
    hosted = tmp_path / "host"
    for damage in ("changed", "gone"):
        write_site(a_site(tmp_path, "comma"), hosted / damage, overwrite=True)
    (hosted / "changed" / "bundle" / "names" / "en.json").write_bytes(b"{ }")
    (hosted / "gone" / "bundle" / "names" / "en.json").unlink()
    with serving(host_of_files(hosted)) as host, open_browser(tmp_path / "profile") as browser:
        for damage in ("changed", "gone"):
            browser.driver.get(f"http://{HOST}:{host.server_port}/{damage}/")
            browser.wait_for("window.told?.length")
            assert browser.run("return told") == ["Error: not all files could be kept"]
            assert browser.run(f"return {TEXT}") == "comma"  # with a network it works all the same
            assert caches(browser) == []
        the_icons_are_drawn(browser)


def the_icons_are_drawn(browser):
    """The PNGs are what the drawings show."""
    for name, (source, size) in DRAWN.items():
        kept = Image.open(ICONS / name).convert("RGBA")
        assert kept.size == (size, size)
        drawn = np.asarray(draw(browser, source, size), np.int16)
        assert np.abs(drawn - np.asarray(kept, np.int16)).mean() < 1
