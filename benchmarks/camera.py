"""The camera page beside Python: the same photographs, the same model.

The claims: with an int8 bundle, the modules of the camera page in headless Chromium take in the
median at most 2.5 times as long for a frame as Python with LiteRT in one thread, and find the same
scores (the page gives its model up to four threads, as on a host that isolates it); over 2,000
frames neither their JavaScript heap nor the memory of the model grows, also in the page itself
before a camera.

    apt-get install chromium chromium-driver; pip install 'selenium>=4.20,<5'
    python benchmarks/camera.py [--bundle=DIR --rounds=15]

The photographs are drawn as `synth` draws them, 1280 x 720 pixels, and lie decoded in memory. A
frame is all that becomes of one: the centre square made smaller, the model, the roll-up and what it
decides; in the browser also what steadies a name from frame to frame. Both sides take turns, each
looking once at every photograph. The page itself is then opened before a fake camera of 30 frames a
second and looks at 2,000 of its frames as fast as it can.

The heap is read after collecting garbage, with the memory of arrays that lie outside of it: an
array that stays referenced takes more than 100 bytes a frame. The memory of the model is that of
WebAssembly: an input of 224 pixels that is not given back makes 300 MB in 2,000 frames.
"""

from __future__ import annotations

import io
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from absl import app, flags
from commands import Claims, make_bundle

if TYPE_CHECKING:
    from PIL import Image

    from taxonvision.runtime.recognizer import Recognizer

_BUNDLE = flags.DEFINE_string("bundle", None, "an int8 bundle; else one is made")
_PHOTOGRAPHS = flags.DEFINE_integer("photographs", 20, "looked at in each turn", lower_bound=2)
_ROUNDS = flags.DEFINE_integer("rounds", 15, "turns of each side", lower_bound=1)
_FRAMES = flags.DEFINE_integer("frames", 2000, "over which memory is watched", lower_bound=1000)
_WORKDIR = flags.DEFINE_string("workdir", None, "where to work; by default a temporary folder")

_WIDTH, _HEIGHT = 1280, 720
_WARM_UP_ROUNDS = 5  # until Chromium has compiled the model's code for speed
_READ_EVERY = 200  # frames; the first reading is when all code has been compiled
_TOLD = (200, 1000, 2000)
_FILM_REPEATS = 15  # a photograph stands for half a second
_MAX_SECONDS = 600
_PARTS = ("pixels", "model", "decision")
_ARGUMENTS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
)  # fmt: skip
_HERE = Path(__file__).parent
_PAGE = b'<!doctype html><title>benchmark</title><script type="module" src="benchmark.js"></script>'
_WASM_BYTES = """
return import(new URL("vendor/litert/index.js", location))
  .then((litert) => litert.getGlobalLiteRt().liteRtWasm.HEAPU8.length);
"""
_HOLD_FRAMES = """
const ask = HTMLVideoElement.prototype.requestVideoFrameCallback;
let left = 0;
let proceed = () => {};
let arrived = () => {};
HTMLVideoElement.prototype.requestVideoFrameCallback = function (callback) {
  proceed = () => ask.call(this, (...given) => {
    left -= 1;
    return callback(...given);
  });
  if (left > 0) proceed();
  else arrived();
};
globalThis.bench = {
  advance(frames) {
    return new Promise((resolve) => {
      left = frames;
      arrived = resolve;
      proceed();
    });
  },
};
"""
"""The page asks for a frame when it is done with the last one: then it can be counted and held."""


@dataclass(frozen=True)
class _Reading:
    """Bytes in use after some frames: the heap with its arrays, and the memory of the model."""

    frames: int
    heap: int
    wasm: int


def main(argv: list[str]) -> int:
    """Time both sides, watch the memory, open the page; print the verdicts."""
    from taxonvision.runtime.bundle import open_bundle

    claims = Claims()
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(_WORKDIR.value or temporary).absolute()
        work.mkdir(parents=True, exist_ok=True)
        bundle = Path(_BUNDLE.value) if _BUNDLE.value else make_bundle(work)
        photographs = _photographs(_PHOTOGRAPHS.value)
        film = _film(photographs, work)
        with _serving(bundle, photographs) as address, _browser(film) as driver:
            _open_modules(driver, address)
            _judge_times(open_bundle(bundle).recognizer(threads=1), photographs, driver, claims)
            _judge_memory("modules", driver, claims)
            _open_page(driver, address)
            rate = _judge_memory("page", driver, claims)
            print(f"\nthe page, before a camera of 30 frames a second: {rate:.1f} looked at")
    return claims.exit_code


def _photographs(count: int) -> list[Image.Image]:
    """Of as many species, as wide as the page asks a camera for."""
    from taxonvision.synthetic.render import draw_photograph
    from taxonvision.synthetic.species import make_species

    top = (_WIDTH - _HEIGHT) // 2
    return [
        draw_photograph(species, np.random.default_rng(number), _WIDTH).crop(
            (0, top, _WIDTH, top + _HEIGHT)
        )
        for number, species in enumerate(make_species(count, 0))
    ]


def _film(photographs: Sequence[Image.Image], work: Path) -> Path:
    """The photographs as Chromium's fake camera reads them: JPEGs one after another."""
    path = work / "film.mjpeg"
    with path.open("wb") as file:
        for photograph in photographs:
            file.write(_encoded(photograph, "JPEG", quality=90) * _FILM_REPEATS)
    return path


def _encoded(photograph: Image.Image, kind: str, **options: int) -> bytes:
    file = io.BytesIO()
    photograph.save(file, kind, **options)
    return file.getvalue()


@contextmanager
def _serving(bundle: Path, photographs: Sequence[Image.Image]) -> Iterator[str]:
    """The address of the site of a bundle, with the photographs and a page of our own in it."""
    from taxonvision.camera.server import SiteServer
    from taxonvision.camera.site import assemble

    site = assemble(bundle)
    ours = {"benchmark.html": _PAGE, "benchmark.js": (_HERE / "camera.js").read_bytes()}
    for number, photograph in enumerate(photographs):
        ours[_file(number)] = _encoded(photograph, "PNG", compress_level=1)
    with SiteServer(replace(site, files={**site.files, **ours}), ("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://localhost:{server.server_port}/"
        server.shutdown()


def _file(number: int) -> str:
    return f"benchmark/{number}.png"


@contextmanager
def _browser(film: Path) -> Iterator[Any]:
    """Selenium's driver of a headless Chromium with a film for a camera."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    chromium, driver_file = shutil.which("chromium"), shutil.which("chromedriver")
    if not (chromium and driver_file):
        raise SystemExit("Chromium or its driver is missing: apt-get install chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    with tempfile.TemporaryDirectory() as profile:
        for argument in (
            *_ARGUMENTS,
            f"--user-data-dir={profile}",
            f"--use-file-for-fake-video-capture={film}",
        ):
            options.add_argument(argument)
        driver = webdriver.Chrome(options=options, service=Service(driver_file))
        try:
            driver.set_script_timeout(_MAX_SECONDS)
            yield driver
        finally:
            driver.quit()


def _open_modules(driver: Any, address: str) -> None:
    driver.get(f"{address}benchmark.html")
    _wait_for(driver, "globalThis.bench")
    files = [_file(number) for number in range(_PHOTOGRAPHS.value)]
    driver.execute_script("return bench.load(arguments[0])", files)


def _wait_for(driver: Any, expression: str) -> None:
    from selenium.webdriver.support.ui import WebDriverWait

    wait = WebDriverWait(driver, _MAX_SECONDS, poll_frequency=0.2)
    wait.until(lambda _: driver.execute_script(f"return Boolean({expression})"), expression)


def _judge_times(
    recognizer: Recognizer, photographs: Sequence[Image.Image], driver: Any, claims: Claims
) -> None:
    """Milliseconds a frame of both sides, and that both do the same."""
    pixels = np.stack([recognizer.contract.apply(photograph) for photograph in photographs])
    found = np.array(driver.execute_script("return bench.scores()"))
    difference = float(np.abs(found - recognizer.score(pixels)).max())
    ways: dict[str, Callable[[], np.ndarray]] = {
        "Python": lambda: np.array([_look(recognizer, each) for each in photographs]),
        "modules": lambda: np.array(driver.execute_script("return bench.time()")),
    }
    for _ in range(_WARM_UP_ROUNDS):
        for way in ways.values():
            way()
    turns: dict[str, list[np.ndarray]] = {name: [] for name in ways}
    for _ in range(_ROUNDS.value):
        for name, way in ways.items():
            turns[name].append(way())
    print(f"\n{len(photographs)} photographs in {_ROUNDS.value} rounds, medians of a frame")
    medians = {name: _tell_times(name, np.concatenate(times)) for name, times in turns.items()}
    ratio = medians["modules"] / medians["Python"]
    claims.judge("modules, of Python's time <= 2.5", ratio, ratio <= 2.5)
    claims.judge("largest difference of a score <= 0.00001", difference, difference <= 1e-5)


def _look(recognizer: Recognizer, photograph: Image.Image) -> list[float]:
    """One frame; milliseconds of pixels, model and decision."""
    from taxonvision.runtime.answer import decide

    begun = time.perf_counter()
    pixels = recognizer.contract.apply(photograph)
    made = time.perf_counter()
    scores = recognizer.score(pixels[None])[0]
    scored = time.perf_counter()
    decide(recognizer.roll_up, scores, recognizer.thresholds)
    decided = time.perf_counter()
    return [1000 * (made - begun), 1000 * (scored - made), 1000 * (decided - scored)]


def _tell_times(name: str, times: np.ndarray) -> float:
    """Print one side's times, float [n, parts]; answers the median of a whole frame."""
    whole = float(np.median(times.sum(axis=1)))
    parts = zip(_PARTS, np.median(times, axis=0), strict=True)
    told = ", ".join(f"{part} {median:.2f}" for part, median in parts)
    print(f"{name}: {whole:.2f} ms, {1000 / whole:.1f} frames/s; {told}")
    return whole


def _open_page(driver: Any, address: str) -> None:
    """Open the camera page, whose frames wait for `bench.advance`."""
    driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": _HOLD_FRAMES})
    driver.get(address)
    _wait_for(driver, "document.documentElement.dataset.mode === 'live'")


def _judge_memory(name: str, driver: Any, claims: Claims) -> float:
    """Read the memory again and again between frames; answers how many went by a second."""
    seconds, readings = 0.0, []
    for frames in range(_READ_EVERY, _FRAMES.value + 1, _READ_EVERY):
        start = time.perf_counter()
        driver.execute_script("return bench.advance(arguments[0])", _READ_EVERY)
        seconds += time.perf_counter() - start
        readings.append(_read_memory(driver, frames))
    print(f"\n{name}, memory after frames: heap with its arrays, the model")
    for reading in readings:
        if reading.frames in _TOLD or reading is readings[-1]:
            heap, wasm = reading.heap / 1e6, reading.wasm / 1e6
            print(f"{reading.frames}: {heap:.3f} MB, {wasm:.3f} MB")
    frames_read = [reading.frames for reading in readings]
    slope = float(np.polyfit(frames_read, [reading.heap for reading in readings], 1)[0])
    claims.judge(f"{name}, bytes of heap gained a frame < 100", slope, slope < 100)
    grown = readings[-1].wasm - readings[0].wasm
    claims.judge(f"{name}, bytes that the model's memory grew = 0", grown, grown == 0)
    return readings[-1].frames / seconds


def _read_memory(driver: Any, frames: int) -> _Reading:
    wasm = driver.execute_script(_WASM_BYTES)
    for _ in range(2):  # what the first collection frees of arrays is swept beside it
        driver.execute_cdp_cmd("HeapProfiler.collectGarbage", {})
    usage = driver.execute_cdp_cmd("Runtime.getHeapUsage", {})
    return _Reading(frames, int(usage["usedSize"] + usage["backingStorageSize"]), int(wasm))


if __name__ == "__main__":
    app.run(main)
