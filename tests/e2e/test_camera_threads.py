"""The model of the camera in several threads: the same scores, and one thread where it must be."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from browser import Browser, open_browser

from taxonvision.camera import server as camera_server
from taxonvision.camera.server import SiteServer
from taxonvision.camera.site import assemble

pytestmark = pytest.mark.slow

THREADED = "vendor/litert/wasm/litert_wasm_threaded_internal.js"
PAGE = b"<!doctype html><title>threads</title><body></body>"
CORES = "Object.defineProperty(Navigator.prototype, 'hardwareConcurrency', {get: () => 3});"
# Workers are counted where they are made, and scores told of each golden photograph.
SCORES = """
return (async () => {
  const {openBundle} = await import('./js/bundle.js');
  const {photographOf, pixelsOf} = await import('./js/preprocess.js');
  const {loadRecognizer} = await import('./js/recognizer.js');
  const bundle = await openBundle(new URL('bundle/', location));
  const scores = [];
  for (let turn = 0; turn < arguments[0]; turn++) {
    const recognizers = [await loadRecognizer(bundle), await loadRecognizer(bundle)];
    for (const {file, exact} of bundle.golden) {
      const photograph = await photographOf(new Blob([await bundle.bytes(file)]));
      const pixels = pixelsOf(photograph, bundle.size, exact ? 1 : bundle.cropRatio);
      for (const each of recognizers) scores.push([file, Array.from(await each.score(pixels))]);
    }
    for (const each of recognizers) each.close();
  }
  return {scores, workers: started, cores: navigator.hardwareConcurrency, crossOriginIsolated};
})()
"""
COUNT = """
globalThis.started = 0;
globalThis.Worker = class extends Worker {
  constructor(address, options) {
    super(address, options);
    if (options?.name === "em-pthread") started += 1;
  }
};
"""


class Host(SiteServer):
    """A site with an empty page in it, and perhaps without one of its files."""

    def __init__(self, site: Any, missing: str | None = None) -> None:
        super().__init__(site, ("127.0.0.1", 0))
        self.files = {**self.files, "empty.html": PAGE}
        self.tags = {**self.tags, "empty.html": '"empty"'}
        if missing is not None:
            self.files.pop(missing)


@contextmanager
def opened(browser: Browser, host: Host) -> Iterator[None]:
    """The empty page of a host, opened."""
    threading.Thread(target=host.serve_forever, daemon=True).start()
    with host:
        browser.driver.get(f"http://localhost:{host.server_port}/empty.html")
        browser.complaints()
        yield
        host.shutdown()


@pytest.fixture(scope="module")
def site(small_bundle):
    return assemble(small_bundle)


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Browser]:
    with open_browser(tmp_path_factory.mktemp("profile")) as browser:
        script = {"source": CORES + COUNT}
        browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", script)
        yield browser


def without(monkeypatch, name: str) -> None:
    """Hosts leave a header out."""
    headers = {key: value for key, value in camera_server._HEADERS.items() if key != name}
    monkeypatch.setattr(camera_server, "_HEADERS", headers)


@pytest.fixture(scope="module")
def in_one_thread(browser, site):
    """Scores on a host that does not isolate its pages."""
    with pytest.MonkeyPatch.context() as patch:
        without(patch, "Cross-Origin-Embedder-Policy")
        with opened(browser, Host(site)):
            found = browser.run(SCORES, 1)
    assert (found["crossOriginIsolated"], found["workers"]) == (False, 0)
    return found["scores"]


def test_threads_find_the_same_scores_and_are_used_again(browser, site, in_one_thread):
    """Two models at once, three times: a model without its threads would wait for ever."""
    with opened(browser, Host(site)):
        found = browser.run(SCORES, 3)
    assert found["crossOriginIsolated"]
    assert found["workers"] == found["cores"] == 3
    assert found["scores"] == in_one_thread * 3


def test_without_the_threaded_files_it_runs_in_one(browser, site, in_one_thread):
    with opened(browser, Host(site, missing=THREADED)):
        found = browser.run(SCORES, 1)
    assert (found["crossOriginIsolated"], found["workers"]) == (True, 0)
    assert found["scores"] == in_one_thread


def test_where_workers_are_refused_it_runs_in_one(browser, site, in_one_thread, monkeypatch):
    policy = camera_server._HEADERS["Content-Security-Policy"]
    refused = policy.replace("worker-src 'self'", "worker-src 'none'")
    assert refused != policy
    headers = {**camera_server._HEADERS, "Content-Security-Policy": refused}
    monkeypatch.setattr(camera_server, "_HEADERS", headers)
    with opened(browser, Host(site)):
        found = browser.run(SCORES, 1)
        assert not [each for each in browser.complaints() if "Uncaught" in each]
    assert (found["crossOriginIsolated"], found["workers"], found["cores"]) == (True, 0, 3)
    assert found["scores"] == in_one_thread
