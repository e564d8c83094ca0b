"""The camera page in a real browser whose camera shows a film of known colours."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Browser, open_browser
from colour_bundle import COLOURS, FIRST_SPECIES, SPECIES, colour_bundle
from damaged_bundles import as_folder, edited, read_files, sealed
from PIL import ExifTags, Image
from selenium.webdriver.common.keys import Keys
from small_page import serving

from taxonvision.camera.server import SiteServer
from taxonvision.camera.site import Site, assemble
from taxonvision.photograph import read_upright
from taxonvision.runtime.answer import Answer
from taxonvision.runtime.bundle import open_bundle
from taxonvision.runtime.recognizer import Recognizer
from taxonvision.runtime.verify import verify

pytestmark = pytest.mark.slow

NAMES = {
    "en": {4: "butterflies and moths", FIRST_SPECIES + 6: "white tortoiseshell"},
    "de": {4: "Schmetterlinge", FIRST_SPECIES + 6: "Weißer Fuchs"},
}
HOSTILE = '<img src=x onerror="window.hacked=1">'
# A species, a genus (between two of its species), nothing known, a family (between two genera).
FILM = [(170, 70, 60), (70, 70, 80), (250, 250, 250), (70, 110, 100)]
FRAMES_EACH = 45  # at thirty a second
FAKE_CAMERA = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
INSECURE = "camera.example"
EXPECTED = re.compile(
    r'/vendor/litert/wasm/\S+ \S+ "(INFO|WARNING): '
    r'|/vendor/litert/index\.js \S+ "Failed to create default WebGPU device:'
    r"| - No available adapters\.\s*$"
    r"|Cross-Origin-Opener-Policy header has been ignored"
)
"""LiteRT.js tells of each accelerator that it does not find, Chromium of plain http."""
RECORD = """
window.seen = [];
window.addEventListener("DOMContentLoaded", () => {
  const name = document.getElementById("name");
  const note = () => {
    const { answer } = document.documentElement.dataset;
    if (answer) seen.push(name.dataset.taxonId || answer);
  };
  new MutationObserver(note).observe(name, { childList: true, attributes: true });
});
"""


@dataclass(frozen=True)
class Page:
    """The page in a browser, and Python's answers to compare with."""

    browser: Browser
    address: str
    recognizer: Recognizer

    def open(self, query: str = "", ready: str = "live") -> None:
        self.browser.driver.get(self.address + query)
        self.browser.wait_for(f"document.documentElement.dataset.mode === {json.dumps(ready)}")

    def wait_for_answer(self, kind: str) -> None:
        self.browser.wait_for(f"document.documentElement.dataset.answer === '{kind}'")

    def text(self, id: str) -> str:
        return self.browser.run("return document.getElementById(arguments[0]).textContent", id)

    def click(self, id: str) -> None:
        self.browser.find(f"#{id}").click()

    def freeze(self) -> None:
        self.click("shutter")
        self.browser.wait_for("document.querySelector('.guess') && seen.length")
        assert self.mode == "frozen"

    @property
    def mode(self) -> str:
        return self.browser.run("return document.documentElement.dataset.mode")

    def answer(self, photograph: bytes) -> Answer:
        """What Python says."""
        pixels = self.recognizer.contract.apply(read_upright(photograph))
        return self.recognizer.answer(self.recognizer.score(pixels[None])[0], 10, "en")

    def guesses(self) -> list[tuple[str, float]]:
        return [
            (name, float(score))
            for name, score in self.browser.run(
                "return [...document.querySelectorAll('.guess')].map("
                "(g) => [g.querySelector('.latin').textContent, g.dataset.score])"
            )
        ]

    def complaints(self) -> list[str]:
        return [each for each in self.browser.complaints() if not EXPECTED.search(each)]


def jpeg(image: Image.Image, orientation: int = 1) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    file = io.BytesIO()
    image.save(file, "JPEG", quality=95, exif=exif)
    return file.getvalue()


def frames() -> list[bytes]:
    return [jpeg(Image.new("RGB", (320, 240), colour)) for colour in FILM]


@pytest.fixture(scope="module")
def film(tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp("film") / "film.mjpeg"
    path.write_bytes(b"".join(frame * FRAMES_EACH for frame in frames()))
    return f"--use-file-for-fake-video-capture={path}"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    made = colour_bundle(tmp_path_factory.mktemp("bundle"), NAMES)
    assert verify(made) == []
    return made


@pytest.fixture(scope="module")
def site(bundle) -> Site:
    return assemble(bundle)


@pytest.fixture(scope="module")
def hostile_site(bundle, tmp_path_factory) -> Site:
    """All names are HTML, and a golden photograph has another answer than is promised."""
    files = read_files(bundle)
    names = dict.fromkeys((4, 10, 20, *range(FIRST_SPECIES, FIRST_SPECIES + 12)), HOSTILE)
    files["names/en.json"] = json.dumps({str(key): name for key, name in names.items()}).encode()
    quoted = '"' + HOSTILE.replace('"', '""') + '"'
    files["taxonomy.csv"] = files["taxonomy.csv"].replace(b"Pieris alba", quoted.encode())
    files["labels.txt"] = files["labels.txt"].replace(b"Pieris alba", HOSTILE.encode())
    files = edited(files, lambda m: m["golden"][0]["top"][0].update(score=0.5))
    files = edited(files, lambda m: m.update(name=HOSTILE))
    folder = as_folder(sealed(files), tmp_path_factory.mktemp("hostile"))
    return assemble(folder)


@contextmanager
def served(site: Site, *hosts: str) -> Iterator[int]:
    with serving(SiteServer(site, ("127.0.0.1", 0), ("localhost", *hosts))) as server:
        yield server.server_port


@pytest.fixture(scope="module")
def page(site, bundle, film, tmp_path_factory) -> Iterator[Page]:
    profile = tmp_path_factory.mktemp("profile")
    with served(site) as port, open_browser(profile, *FAKE_CAMERA, film) as browser:
        browser.resize(390, 844)
        before_all(browser, RECORD)
        yield Page(browser, f"http://localhost:{port}/", open_bundle(bundle).recognizer())


def before_all(browser: Browser, script: str) -> str:
    """Run a script in each page that is opened from now on."""
    ask = browser.driver.execute_cdp_cmd
    return ask("Page.addScriptToEvaluateOnNewDocument", {"source": script})["identifier"]


def names_of_film(page: Page) -> list[str]:
    """What Python says of each frame of the film, as the page notes it."""
    answers = [page.answer(frame) for frame in frames()]
    return [
        "nothing" if not answer.known else str(answer.name.taxon.taxon_id) for answer in answers
    ]


def test_the_camera_tells_what_python_tells_in_order(page):
    expected = names_of_film(page)
    assert len(set(expected)) == len(FILM)
    page.open()
    # A name of the film may come between while one frame fades into the next, but not out of turn.
    page.browser.wait_for(
        f"seen.filter((name, i) => {json.dumps(expected)}.includes(name)"
        " && name !== seen[i - 1]).length > 5"
    )
    seen = page.browser.run("return seen")
    told = [name for name, _ in groupby(name for name in seen if name in expected)]
    start = expected.index(told[0])
    assert told == [expected[(start + i) % len(expected)] for i in range(len(told))]


def test_dots_light_up_to_the_rank_and_the_name_is_told_to_screen_readers(page):
    page.open()
    page.wait_for_answer("sure")
    state = page.browser.run(
        "return ['name', 'scientific', 'rank'].map((id) => document.getElementById(id).textContent)"
        ".concat([document.querySelectorAll('#ranks .lit').length,"
        " document.querySelectorAll('#ranks li').length,"
        " document.getElementById('ranks').getAttribute('aria-label')])"
    )
    assert state == [
        "white tortoiseshell", "Aglais alba", "species", 7, 7,
        "sure of species Aglais alba, white tortoiseshell",
    ]  # fmt: skip
    page.browser.wait_for("document.getElementById('announcer').textContent.startsWith('sure of')")
    page.wait_for_answer("climbing")
    assert page.text("hint") == "Come closer for more."
    page.wait_for_answer("nothing")
    assert page.text("name") == "Nothing I know"
    assert page.browser.run("return document.querySelectorAll('#ranks .lit').length") == 0


def test_a_frozen_picture_has_the_ten_best_as_python_scores_the_same_pixels(page):
    page.open()
    page.wait_for_answer("climbing")
    page.freeze()
    url = page.browser.run("return document.getElementById('still').toDataURL()")
    answer = page.answer(base64.b64decode(url.split(",")[1]))
    told = page.guesses()
    assert len(told) == 10
    assert sorted(name for name, _ in told[:4]) == sorted(
        each.taxon.name for each in answer.suggestions[:4]
    )
    for (_, score), suggestion in zip(told, answer.suggestions, strict=True):
        assert score == pytest.approx(suggestion.score, abs=1e-4)
    branch = page.browser.run(
        "return [...document.querySelectorAll('.step')].map((s) => "
        "[s.querySelector('.rank').textContent, s.classList.contains('sure')])"
    )
    assert [rank for rank, _ in branch] == [each.taxon.rank for each in answer.branch]
    named = answer.name.taxon.rank if answer.name else None
    assert [rank for rank, sure in branch if sure][-1:] == ([named] if named else [])


def test_a_person_without_a_mouse_freezes_looks_and_returns(page):
    page.open()
    page.wait_for_answer("sure")
    press = page.browser.driver.switch_to.active_element.send_keys
    press(" ")
    page.browser.wait_for("document.documentElement.dataset.sheet === 'answer'")
    focus = "document.activeElement.id"
    assert page.browser.run(f"return {focus}") == "name"
    page.browser.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    page.browser.wait_for("document.documentElement.dataset.mode === 'live'")
    assert page.browser.run(f"return {focus}") == "shutter"
    page.browser.driver.switch_to.active_element.send_keys(Keys.ENTER)
    page.browser.wait_for("document.documentElement.dataset.mode === 'frozen'")
    page.click("viewfinder")
    page.browser.wait_for("document.documentElement.dataset.mode === 'live'")
    order = []
    page.browser.run("document.activeElement.blur()")
    for _ in range(3):
        page.browser.driver.switch_to.active_element.send_keys(Keys.TAB)
        order.append(page.browser.run(f"return {focus}"))
    assert order == ["choose", "shutter", "open-menu"]


def test_back_on_a_phone_closes_the_sheet_and_not_the_page(page):
    """Where there is no such button, the browser takes the key Escape for it."""
    page.open()
    page.browser.run("addEventListener('keydown', (e) => e.stopImmediatePropagation(), true)")
    for _ in range(2):
        page.wait_for_answer("sure")
        page.freeze()
        page.browser.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
        page.browser.wait_for("document.documentElement.dataset.mode === 'live'")
    page.click("open-menu")
    page.browser.driver.switch_to.active_element.send_keys(Keys.ESCAPE)
    page.browser.wait_for("document.getElementById('sheet').hidden")


def test_the_language_of_the_names_is_chosen_and_kept(page):
    page.open()
    page.wait_for_answer("sure")
    page.click("open-menu")
    offered = page.browser.run(
        "return [...document.getElementById('language').options].map((o) => o.textContent)"
    )
    assert offered == ["Deutsch", "English", "Scientific names only"]
    choose = (
        "const select = document.getElementById('language'); select.value = arguments[0];"
        "select.dispatchEvent(new Event('change'))"
    )
    page.browser.run(choose, "de")
    name = "document.getElementById('name')"
    page.browser.wait_for(f"{name}.textContent === 'Weißer Fuchs' && {name}.lang === 'de'")
    page.open()
    page.browser.wait_for(f"{name}.textContent === 'Weißer Fuchs'")
    page.browser.run(choose, "")
    page.browser.wait_for(f"{name}.textContent === 'Aglais alba' && {name}.lang === 'la'")
    assert page.text("scientific") == ""
    page.browser.run(choose, "en")
    page.browser.wait_for(f"{name}.textContent === 'white tortoiseshell'")


def quarters() -> Image.Image:
    """A photograph with another species in each corner, wider than high."""
    picture = np.zeros((200, 300, 3), np.uint8)
    for number, (top, left) in enumerate([(0, 0), (0, 150), (100, 0), (100, 150)]):
        picture[top : top + 100, left : left + 150] = COLOURS[3 * number + 1]
    return Image.fromarray(picture)


def give(page: Page, how: str, content: bytes, name: str = "photograph.jpg") -> None:
    """Drop or paste a file."""
    page.browser.run(
        """const [how, content, name] = arguments;
        const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
        const data = new DataTransfer();
        data.items.add(new File([bytes], name, { type: "image/jpeg" }));
        const event = how === "drop"
          ? new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true })
          : new ClipboardEvent("paste", { clipboardData: data, bubbles: true });
        document.body.dispatchEvent(event);""",
        how, base64.b64encode(content).decode(), name,
    )  # fmt: skip


def species_told(page: Page, answer: Answer) -> None:
    """The page shows this answer."""
    assert answer.name is not None
    expected = str(answer.name.taxon.taxon_id)
    page.browser.wait_for(f"document.getElementById('name').dataset.taxonId === '{expected}'")
    scores = [score for _, score in page.guesses()]
    assert scores == pytest.approx([each.score for each in answer.suggestions], abs=0.01)


def test_a_photograph_is_turned_upright_and_named_as_python_names_it(page, tmp_path):
    page.open()
    told = set()
    for orientation, how in ((1, "drop"), (6, "drop"), (3, "paste"), (8, "choose")):
        content = jpeg(quarters(), orientation)
        answer = page.answer(content)
        if how == "choose":
            (tmp_path / "photograph.jpg").write_bytes(content)
            page.browser.find("#file").send_keys(str(tmp_path / "photograph.jpg"))
        else:
            give(page, how, content)
        species_told(page, answer)
        told.add(answer.name.taxon.name)
        assert page.mode == "photograph"
    assert len(told) == 4  # it did matter how it was turned
    page.click("shutter")
    page.browser.wait_for("document.documentElement.dataset.mode === 'live'")


def test_of_two_photographs_the_later_one_is_named(page):
    """Though the first, a large one, takes longer to decode."""
    page.open()
    page.browser.run(
        """const decode = window.createImageBitmap;
        const later = new Promise((resolve) => { window.goOn = resolve; });
        window.createImageBitmap = async (...given) => {
          window.createImageBitmap = decode;
          await later;
          return decode(...given).finally(() => { window.decoded = true; });
        };"""
    )
    first, second = jpeg(quarters()), jpeg(quarters(), 3)
    give(page, "drop", first)
    page.browser.wait_for("!window.createImageBitmap.toString().includes('later')")
    give(page, "drop", second)
    species_told(page, page.answer(second))
    page.browser.run("goOn()")
    page.browser.wait_for("window.decoded")
    species_told(page, page.answer(second))
    page.click("shutter")
    page.browser.wait_for("document.documentElement.dataset.mode === 'live'")


def test_a_frame_is_kept_with_all_its_pixels_and_a_photograph_shown_smaller(page):
    page.open()
    sizes = page.browser.run(
        """return (async () => {
          const { Still } = await import("/js/still.js");
          const [canvas, source, few] = [1, 3000, 4].map((width) =>
            Object.assign(document.createElement("canvas"), { width, height: 30 }));
          const video = document.createElement("video");
          video.muted = true;
          source.getContext("2d").fillRect(0, 0, 10, 10);
          video.srcObject = source.captureStream();
          await video.play();
          const still = new Still(canvas, few);
          const sizeOf = (picture) => (still.draw(picture, false), [canvas.width, canvas.height]);
          return [sizeOf(video), sizeOf(await createImageBitmap(source))];
        })()"""
    )
    assert sizes == [[3000, 30], [2048, 20]]


def test_a_file_that_is_no_photograph_gets_a_sentence(page):
    page.open()
    give(page, "drop", b"404 Not Found")
    page.browser.wait_for("document.querySelector('.notice')")
    assert re.search(r"cannot read the photograph.*\.$", page.text("notices"))
    assert page.mode == "live"


def test_all_can_be_touched_and_read(page):
    page.open()
    page.wait_for_answer("climbing")
    page.freeze()
    for width, height in ((320, 568), (390, 844), (844, 390), (1280, 800)):
        page.browser.resize(width, height)
        boxes = page.browser.run(
            "return [...document.querySelectorAll('button, select, .links a')]"
            ".filter((e) => e.checkVisibility({ visibilityProperty: true }))"
            ".map((e) => [e.id, e.getBoundingClientRect().width, e.getBoundingClientRect().height])"
        )
        assert [box for box in boxes if min(box[1:]) < 44] == []
        assert len(boxes) >= 5
        wide = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        assert page.browser.run(f"return {wide}") == 0
        for button in ("choose", "shutter", "open-menu"):
            box = page.browser.find(f"#{button}").rect
            assert 0 <= box["x"] <= width - box["width"]
            assert height / 2 <= box["y"] <= height - box["height"]
    page.browser.resize(390, 844)
    for scheme in ("light", "dark"):
        page.browser.prefer(scheme)
        shades = page.browser.run(
            """const paper = getComputedStyle(document.getElementById("plate")).backgroundColor;
            const texts = "#name, #rank, #hint, .score, .latin, .step, h2, .small, .links a";
            return [paper, ...[...document.querySelectorAll(texts)].map(
                (e) => getComputedStyle(e).color)]"""
        )
        paper, *inks = (luminance(shade) for shade in shades)
        assert len(inks) > 20
        assert min(contrast(paper, ink) for ink in inks) >= 4.5
    page.browser.prefer("light")


def luminance(shade: str) -> float:
    """Relative luminance of WCAG 2.2 of a colour such as rgb(1, 2, 3)."""
    values = np.array([int(value) for value in re.findall(r"\d+", shade)[:3]]) / 255
    linear = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(one: float, other: float) -> float:
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)


def test_the_self_check_passes_and_the_page_asks_nobody_else(page):
    page.open("?check", ready="check")
    passed = "document.getElementById('check').dataset.passed"
    assert page.browser.wait_for(passed) == "true"
    rows = page.browser.run(
        "return [...document.querySelectorAll('#checks li')].map("
        "(row) => [row.className, Number(row.dataset.worst), row.textContent])"
    )
    assert len(rows) == 6
    assert {kind for kind, _, _ in rows} == {"passed"}
    assert max(worst for _, worst, _ in rows) < 1e-5
    assert all("the tests, CC0-1.0" in text for _, _, text in rows)
    page.open()
    page.browser.wait_for(
        "document.getElementById('offline').textContent.includes('without a network')"
    )
    # All that was done since the browser was opened.
    assert page.complaints() == []
    fetched = page.browser.fetched()
    assert len(fetched) > 20
    assert [a for a in fetched if not a.startswith((page.address, "blob:", "chrome:"))] == []


def test_names_are_text_and_a_device_that_differs_is_told(page, hostile_site):
    with served(hostile_site) as port:
        hostile = replace(page, address=f"http://localhost:{port}/")
        hostile.open()
        hostile.wait_for_answer("sure")
        assert hostile.text("name") == HOSTILE
        hostile.freeze()
        texts = hostile.browser.run(
            "return [...document.querySelectorAll('.guess b, .guess i, .step b')].map("
            "(e) => e.textContent)"
        )
        assert texts.count(HOSTILE) >= 11
        assert HOSTILE in hostile.text("about")
        assert hostile.browser.run("return document.querySelectorAll('main img').length") == 0
        hostile.open("?check", ready="check")
        assert (
            hostile.browser.wait_for("document.getElementById('check').dataset.passed") == "false"
        )
        failed = hostile.browser.run("return document.querySelectorAll('#checks .failed').length")
        assert failed == 1
        assert hostile.browser.run("return window.hacked ?? null") is None
        page.browser.driver.get("about:blank")  # its worker may ask for nothing more


def test_a_single_species_below_a_genus_and_without_common_names(page, tmp_path):
    made = colour_bundle(tmp_path, {}, 1, [("", 20, 20, "genus", "", "Pieris")])
    assert verify(made) == []
    with served(assemble(made)) as port:
        recognizer = open_bundle(made).recognizer()
        small = replace(page, address=f"http://localhost:{port}/", recognizer=recognizer)
        small.open()
        ranks = "return document.querySelectorAll('#ranks li').length"
        assert small.browser.run(ranks) == 2
        offered = "return [...document.getElementById('language').options].map((o) => o.value)"
        assert small.browser.run(offered) == [""]
        content = jpeg(Image.new("RGB", (60, 40), tuple(map(int, COLOURS[0]))))
        give(small, "drop", content)
        species_told(small, small.answer(content))
        assert small.text("name") == SPECIES[0]
        small.open("?check", ready="check")
        assert small.browser.wait_for("document.getElementById('check').dataset.passed") == "true"
        page.browser.driver.get("about:blank")  # its worker may ask for nothing more


def changed(site: Site, name: str, content: bytes) -> Site:
    """The site with another file, as a bad disc or an old browser has it."""
    return replace(site, files={**site.files, name: content})


@pytest.mark.parametrize(
    "script, code, sentence",
    [
        ("", "BundleError", "damaged"),
        ("WebAssembly.validate = () => false", "EngineError", "no WebAssembly SIMD"),
        ("delete window.createImageBitmap", "old-browser", "another one"),
        ("delete window.OffscreenCanvas", "old-browser", "another one"),
        ("delete window.WebAssembly", "old-browser", "switched off"),
        ("HTMLScriptElement.prototype.__proto__ = {}; "
         "delete HTMLScriptElement.prototype.noModule", "old-browser", "update"),
    ],
)  # fmt: skip
def test_what_cannot_work_is_said(page, site, script, code, sentence):
    model = site.files["bundle/model.tflite"]
    damaged = changed(site, "bundle/model.tflite", model[:-1] + b"?")
    with served(site if script else damaged) as port, replaced(page, script):
        broken = replace(page, address=f"http://localhost:{port}/")
        broken.open(ready="error")
        broken.browser.wait_for(f"document.documentElement.dataset.error === '{code}'")
        assert sentence in broken.text("hint")
        assert not broken.browser.find("#choose-instead").is_displayed()


def test_a_browser_that_stumbles_over_the_program_says_so(page, site):
    with served(changed(site, "js/loop.js", b"of a later year ?!")) as port:
        old = replace(page, address=f"http://localhost:{port}/")
        old.open(ready="error")
        assert "does not understand the program" in old.text("hint")
        page.browser.driver.get("about:blank")


@pytest.mark.parametrize(
    "error, title, advice",
    [
        ("NotReadableError", "The camera is in use", "Close that one"),
        ("AbortError", "The camera is in use", "Close that one"),
        ("OverconstrainedError", "No camera found", "Connect a camera"),
        ("SomethingNew", "The camera does not start", "a reason"),
    ],
)
def test_why_there_is_no_camera_is_said(page, error, title, advice):
    throw = f"async () => {{ throw new DOMException('a reason', '{error}') }}"
    with replaced(page, f"navigator.mediaDevices.getUserMedia = {throw}"):
        page.open(ready="error")
        assert page.text("name") == title
        assert advice in page.text("hint")
        assert page.browser.find("#retry").is_displayed()
        assert page.browser.find("#choose-instead").is_displayed()


def test_a_photograph_is_named_before_the_camera_is_allowed(page):
    never = "navigator.mediaDevices.getUserMedia = () => new Promise(() => {})"
    with replaced(page, never):
        page.browser.driver.get(page.address)
        page.browser.wait_for(
            "document.getElementById('hint').textContent.startsWith('Allow the camera')"
        )
        content = jpeg(quarters())
        give(page, "drop", content)
        species_told(page, page.answer(content))
        page.click("shutter")
        page.browser.wait_for("document.documentElement.dataset.mode === 'loading'")
        assert page.text("hint").startswith("Allow the camera")


def test_a_certificate_that_nobody_vouches_for_is_told(page):
    refused = "async () => { throw new DOMException('certificate', 'SecurityError') }"
    with replaced(page, f"ServiceWorkerContainer.prototype.register = {refused}"):
        page.open()
        page.browser.wait_for("document.querySelector('.notice')")
        assert "needs a trusted certificate" in page.text("notices")
        assert page.text("offline") == page.browser.find(".notice").text
        page.wait_for_answer("sure")


def test_a_camera_that_is_lost_is_asked_for_again_and_then_missed(page):
    page.open()
    page.browser.run(
        """const track = document.getElementById("video").srcObject.getVideoTracks()[0];
        navigator.mediaDevices.getUserMedia = async () => {
          throw new DOMException("", "NotFoundError");
        };
        track.stop();
        track.dispatchEvent(new Event("ended"));"""
    )
    page.browser.wait_for("document.documentElement.dataset.mode === 'error'")
    assert page.text("name") == "No camera found"


def test_what_becomes_of_a_camera_that_is_no_longer_asked_for_is_no_news(page):
    page.open()
    page.browser.run(
        """return (async () => {
          const devices = navigator.mediaDevices;
          const ask = devices.getUserMedia.bind(devices);
          let refuse;
          devices.getUserMedia = () => new Promise((_, reject) => { refuse = reject; });
          const choose = () =>
            document.getElementById("camera").dispatchEvent(new Event("change"));
          choose();
          devices.getUserMedia = ask;
          choose();
          refuse(new DOMException("", "NotReadableError"));
          await new Promise((resolve) => setTimeout(resolve));
        })()"""
    )
    page.browser.wait_for("document.documentElement.dataset.mode === 'live'")
    page.wait_for_answer("sure")


@contextmanager
def replaced(page: Page, script: str) -> Iterator[None]:
    """Pages find something else than what the browser has."""
    added = before_all(page.browser, script)
    try:
        yield
    finally:
        ask = page.browser.driver.execute_cdp_cmd
        ask("Page.removeScriptToEvaluateOnNewDocument", {"identifier": added})
        page.browser.driver.get("about:blank")


def without_camera(site, bundle, profile, *arguments: str, host: str = "localhost") -> Any:
    """A page whose camera gives nothing, closed with the stack."""
    stack = ExitStack()
    port = stack.enter_context(served(site, host))
    browser = stack.enter_context(open_browser(profile, *arguments))
    before_all(browser, RECORD)
    page = Page(browser, f"http://{host}:{port}/", open_bundle(bundle).recognizer())
    page.open(ready="error")
    return stack, page


def can_still_name_a_photograph(page: Page) -> None:
    title = page.text("name")
    content = jpeg(quarters(), 6)
    give(page, "drop", content)
    species_told(page, page.answer(content))
    page.click("shutter")
    page.browser.wait_for("document.documentElement.dataset.mode === 'error'")
    assert page.text("name") == title
    assert page.browser.find("#choose-instead").is_displayed()
    assert page.complaints() == []


def test_without_a_camera_photographs_are_named(site, bundle, tmp_path):
    rules = f"--host-resolver-rules=MAP {INSECURE} 127.0.0.1"
    stack, page = without_camera(site, bundle, tmp_path, rules)
    with stack:
        assert page.text("name") == "No camera found"
        can_still_name_a_photograph(page)
        # The same over plain http from another machine, where browsers give no camera.
        port = stack.enter_context(served(site, INSECURE))
        remote = replace(page, address=f"http://{INSECURE}:{port}/")
        remote.open(ready="error")
        assert remote.text("name") == "No camera at this address"
        assert "https://" in remote.text("hint")
        assert not remote.browser.find("#retry").is_displayed()
        can_still_name_a_photograph(remote)


def test_a_camera_that_is_denied_can_be_asked_for_again(site, bundle, tmp_path):
    denied = ("--deny-permission-prompts", FAKE_CAMERA[0])
    stack, page = without_camera(site, bundle, tmp_path, *denied)
    with stack:
        assert page.text("name") == "The camera is not allowed"
        assert "beside the address" in page.text("hint")
        can_still_name_a_photograph(page)
        page.browser.driver.execute_cdp_cmd(
            "Browser.setPermission", {"permission": {"name": "camera"}, "setting": "granted"}
        )
        page.click("retry")
        page.browser.wait_for("document.documentElement.dataset.mode === 'live'")


def test_what_is_shown_follows_from_the_decision_alone(page):
    """The pure parts: verdicts, dots, steadiness, percents, languages."""
    page.open()
    told = page.browser.run(
        """return (async () => {
          const { dotsOf, percent, shownOf, verdictOf, NOT_SURE, NOTHING_KNOWN } =
            await import("/js/shown.js");
          const { Steady, FRAMES } = await import("/js/steady.js");
          const { languageOf } = await import("/js/settings.js");
          const node = (taxonId, parent, rank, rankLevel, name) =>
            ({ taxonId, parent, rank, rankLevel, name });
          const taxonomy = {
            nodes: [node(1, -1, "order", 40, "Lepidoptera"),
                    node(2, 0, "superfamily", 33, "Papilionoidea"),
                    node(3, 1, "family", 30, "Lycaenidae"), node(4, 1, "family", 30, "Pieridae"),
                    node(5, 3, "species", 10, "Pieris rapae")],
            children: [[1], [2, 3], [], [4], []],
          };
          const dots = dotsOf(taxonomy);
          const show = (verdict, live = true) =>
            shownOf(verdict, taxonomy, dots, new Map([[5, "small white"]]), live);
          const bundle = { taxonomy };
          const none = { known: true, sure: null, commonAncestor: null };
          const steady = new Steady(0);
          const steps = [1, 1, 2, 1, ...Array(FRAMES).fill(3), 1];
          return {
            dots: dots.map((dot) => dot.rank),
            verdicts: [
              verdictOf(bundle, { ...none, known: false }) === NOTHING_KNOWN,
              verdictOf(bundle, none) === NOT_SURE,
              verdictOf(bundle, { known: true, sure: { node: 0 }, commonAncestor: { node: 3 } }),
            ],
            superfamily: show(1), leafFamily: show(2), species: show(4),
            looking: show(NOT_SURE).title, still: show(NOT_SURE, false).title,
            steady: steps.map((step) => steady.add(step)),
            frames: FRAMES,
            percents: [0, 0.0004, 0.004, 0.0996, 0.5, 1].map(percent),
            languages: [
              languageOf(["de", "en"], "de", []), languageOf(["de", "en"], null, ["fr", "de-AT"]),
              languageOf(["de", "zh_TW"], null, ["zh-TW"]), languageOf(["de", "en"], "", ["de"]),
              languageOf(["de", "en"], "fr", ["fr"]), languageOf([], null, ["fr"]),
            ],
          };
        })()"""
    )
    assert told["dots"] == ["order", "family", "species"]
    assert told["verdicts"] == [True, True, 3]
    kinds = [
        (told[key]["kind"], told[key]["lit"]) for key in ("superfamily", "leafFamily", "species")
    ]
    assert kinds == [("climbing", 1), ("sure", 2), ("sure", 3)]
    assert (told["species"]["title"], told["species"]["scientific"]) == (
        "small white",
        "Pieris rapae",
    )
    assert (told["superfamily"]["title"], told["superfamily"]["latin"]) == ("Papilionoidea", True)
    assert (told["looking"], told["still"]) == ("Looking", "Not sure")
    assert told["steady"] == [0, 0, 0, 0, *[0] * (told["frames"] - 1), 3, 3]
    assert told["percents"] == ["0 %", "< 0.1 %", "0.4 %", "10 %", "50 %", "100 %"]
    assert told["languages"] == ["de", "de", "zh_TW", "", "en", ""]
