"""A site in a real browser: kept for use without a network, brought up to date, installable."""

from __future__ import annotations

import functools
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
from browser import open_browser
from colour_bundle import COLOURS, FIRST_SPECIES, SPECIES, colour_bundle
from damaged_bundles import as_folder, edited, read_files, sealed
from draw_icons import DRAWN, ICONS, draw
from PIL import Image
from small_page import serving, small_bundle_files, small_web

from taxonvision.camera.server import SiteServer
from taxonvision.camera.site import assemble, write_site

pytestmark = pytest.mark.slow

TEXT = "document.body?.textContent"
OFFLINE = "document.getElementById('offline').textContent"
VARIANTS = """
return performance.getEntriesByType('resource').map(({name}) => name.split('/').at(-1))
  .filter((name) => name.endsWith('.wasm'));
"""
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


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    return colour_bundle(tmp_path_factory.mktemp("bundle"), {})


def test_the_camera_works_without_its_server_in_another_process(bundle, tmp_path):
    """At the root of a host, where the next bundle then takes its place, and below a path."""
    site = assemble(bundle)
    write_site(site, tmp_path / "host" / "a" / "path", overwrite=False)
    first, files = SiteServer(site, ("127.0.0.1", 0)), host_of_files(tmp_path / "host")
    root = f"http://localhost:{first.server_port}/"
    below = f"http://localhost:{files.server_port}/a/path/"
    with serving(first), serving(files), open_browser(tmp_path / "profile") as browser:
        ask = browser.driver.execute_cdp_cmd
        for address in (below, root):
            browser.driver.get(address)
            browser.wait_for(f"{OFFLINE}.includes('works without a network')")
            assert ask("Page.getInstallabilityErrors", {})["installabilityErrors"] == []
            manifest = ask("Page.getAppManifest", {})
            assert (manifest["errors"], manifest["url"]) == ([], f"{address}app.webmanifest")
        fetched = [each for each in browser.fetched() if not each.startswith(("chrome", "blob:"))]
        assert len(fetched) > 50
        assert [each for each in fetched if not each.startswith((root, below))] == []
        (before,) = caches(browser)  # of the root: ports have caches of their own
    with open_browser(tmp_path / "profile") as browser:
        for address in (root, below):
            names_a_photograph(browser, address, tmp_path)
            browser.driver.get(f"{address}?check")
            passed = browser.wait_for("document.getElementById('check').dataset.passed")
            assert passed == "true"
        status = "return fetch('no-such-file').then((r) => r.status, () => 'unreachable')"
        assert browser.run(status) == "unreachable"
        browser.driver.get(f"{root}?check")
        browser.wait_for("document.getElementById('check').dataset.passed")
        assert browser.run("return crossOriginIsolated")
        if browser.run("return navigator.hardwareConcurrency") > 1:
            assert browser.run(VARIANTS) == ["litert_wasm_threaded_internal.wasm"]
        browser.driver.get(f"{root}index.html")
        headers = "return fetch('index.html').then((r) => r.headers.get('x-content-type-options'))"
        assert browser.run(headers) == "nosniff"
        renamed = sealed(edited(read_files(bundle), lambda m: m.update(name="the next one")))
        (tmp_path / "next").mkdir()
        following = assemble(as_folder(renamed, tmp_path / "next"))
        with serving(SiteServer(following, ("127.0.0.1", first.server_port))):
            browser.driver.get(root)
            browser.wait_for("document.getElementById('about').textContent.includes('next one')")
            (after,) = browser.wait_for("caches.keys().then((k) => k.length === 1 && k)")
            assert after != before


def names_a_photograph(browser, address, folder):
    """A file that a person chooses, where there is no camera."""
    Image.new("RGB", (90, 60), tuple(map(int, COLOURS[5]))).save(folder / "photograph.png")
    browser.driver.get(address)
    browser.wait_for("document.documentElement.dataset.error === 'NotFoundError'")
    browser.find("#file").send_keys(str(folder / "photograph.png"))
    name = "document.getElementById('name')"
    browser.wait_for(f"{name}.dataset.taxonId === '{FIRST_SPECIES + 5}'")
    assert browser.run(f"return {name}.textContent") == SPECIES[5]


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
