"""A page and a bundle of a few bytes, to make sites of."""

from __future__ import annotations

import hashlib
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import HTTPServer
from pathlib import Path

WEB = Path(__file__).parents[1] / "export" / "web"
REAL = (
    "service-worker.js", "app.webmanifest", "js/offline.js",
    "icons/icon.svg", "icons/icon-192.png", "icons/icon-512.png", "icons/maskable-512.png",
)  # fmt: skip
"""What the small page has of the real one."""
INDEX = """<!doctype html>
<html lang="en">
<link rel="manifest" href="app.webmanifest">
<link rel="icon" href="icons/icon-512.png">
<title>small page</title>
<script type="module" src="js/main.js"></script>
"""
MAIN = """import { keepOffline } from "./offline.js";
window.told = [];
keepOffline({
  onReady: () => told.push("ready"),
  onUpdate: (apply) => { told.push("update"); window.apply = apply; },
  onFailure: (reason) => told.push(String(reason)),
});
const answer = await fetch("bundle/labels.txt");
document.body.textContent = await answer.text();
"""


def small_web(folder: Path) -> Path:
    """A folder like export/web with LiteRT.js fetched, though it is none."""
    for name in REAL:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(WEB / name, folder / name)
    vendored = folder / "vendor" / "litert"
    (vendored / "wasm").mkdir(parents=True)
    (folder / "index.html").write_text(INDEX)
    (folder / "js" / "main.js").write_text(MAIN)
    (vendored / "VERSION.json").write_text("{}")
    (vendored / "wasm" / "run.wasm").write_bytes(b"\0asm")
    return folder


def small_bundle_files(folder: Path, label: str = "comma", **more: bytes) -> Path:
    """Files with sums, named as those of a bundle; nothing in them is looked at."""
    files = {
        "bundle.json": b"{}",
        "model.tflite": b"????TFL3",
        "labels.txt": label.encode(),
        "names/en.json": b"{}",
        "golden/1.png": b"png",
        **more,
    }
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    sums = "".join(f"{hashlib.sha256(files[name]).hexdigest()}  {name}\n" for name in sorted(files))
    (folder / "SHA256SUMS").write_text(sums)
    return folder


@contextmanager
def serving(server: HTTPServer) -> Iterator[HTTPServer]:
    """A server that answers while the block lasts."""
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
