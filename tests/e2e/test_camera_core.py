"""The modules of export/web that read a bundle and name photographs, against what Python does."""

from __future__ import annotations

import functools
import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import pytest
from ai_edge_litert.schema_py_generated import BuiltinOperator, ModelT
from browser import Browser, open_browser
from damaged_bundles import (
    as_folder,
    damaged,
    edited,
    read_files,
    sealed,
    with_thresholds,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from odd_photographs import odd_photographs
from PIL import Image, ImageCms
from random_trees import forests

from taxonvision.errors import UserError
from taxonvision.photograph import read_upright
from taxonvision.runtime.answer import Node, best_classes, decide, kept
from taxonvision.runtime.bundle import Bundle, Golden, open_bundle
from taxonvision.runtime.contract import Contract
from taxonvision.runtime.probabilities import probabilities_of
from taxonvision.runtime.tflite import TFLiteModel
from taxonvision.runtime.thresholds import Thresholds
from taxonvision.taxonomy.rollup import RollUp
from taxonvision.taxonomy.tree import Taxon, Taxonomy

WEB = Path(__file__).parents[2] / "export" / "web"
MODULES = (
    "answer", "bundle", "check", "errors", "manifest", "preprocess", "probabilities", "recognizer",
    "rollup", "smoothing", "taxonomy", "thresholds",
)  # fmt: skip
CSP = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; "
    "img-src 'self' blob:; base-uri 'none'"
)
PAGE = b"<!doctype html><title>core</title><body></body>"
UNREAD = ("labels.txt", "MODEL_CARD.md")  # for people and other clients
HOSTILE = "<img src=x onerror=document.title=1>"
RANKS = ("kingdom", "order", "superfamily", "family", "genus", "species", "subspecies")


class _Handler(SimpleHTTPRequestHandler):
    """The modules below /js and /vendor, and a folder of the test below /data."""

    protocol_version = "HTTP/1.1"  # thousands of files are asked for
    disable_nagle_algorithm = True  # else each waits for word that its head has come

    def __init__(self, *arguments: Any, data: Path, **options: Any) -> None:
        self._data = data
        super().__init__(*arguments, **options)

    def translate_path(self, path: str) -> str:
        if path == "/":
            return str(WEB / "js")
        root, below = (self._data, path[6:]) if path.startswith("/data/") else (WEB, path[1:])
        return str(root / re.sub(r"[?#].*", "", below))

    def list_directory(self, path: Any) -> None:
        """An empty page, under the policy of the camera."""
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Security-Policy", CSP)
        self.send_header("Content-Length", str(len(PAGE)))
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *arguments: Any) -> None:
        pass


@contextmanager
def _served(data: Path) -> Iterator[str]:
    handler = functools.partial(_Handler, data=data)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://localhost:{server.server_port}/"
        finally:
            server.shutdown()


class Core:
    """The modules, loaded in a page."""

    def __init__(self, browser: Browser, data: Path) -> None:
        self.browser = browser
        self.data = data

    def run(self, script: str, *arguments: Any) -> Any:
        """What the body of an async function returns; `core` holds all that is exported."""
        return self.browser.run(
            f"return (async () => {{ const [a, b, c, d] = arguments; {script} }})()", *arguments
        )

    def refusal(self, script: str, *arguments: Any) -> str | None:
        """The sentence with which a script is refused, None where it is not."""
        found = self.run(
            f"""try {{ {script}; return null; }} catch (error) {{
                return [error.constructor.name, error.message, String(error.stack)]; }}""",
            *arguments,
        )
        if found is None:
            return None
        kind, sentence, stack = found
        assert kind in ("BundleError", "EngineError"), (arguments, stack)
        assert re.fullmatch(r"[A-Za-z].{10,400}[.?]", sentence, re.DOTALL), sentence
        return sentence

    def place(self, source: Path, name: str) -> str:
        """The address of a folder of the test."""
        (self.data / name).symlink_to(source)
        return f"/data/{name}"


@pytest.fixture(scope="module")
def core(tmp_path_factory) -> Iterator[Core]:
    if not (WEB / "vendor" / "litert" / "index.js").is_file():
        pytest.fail("LiteRT.js is not there: install the package again, with network")
    data = tmp_path_factory.mktemp("served")
    with _served(data) as address, open_browser(tmp_path_factory.mktemp("profile")) as browser:
        browser.driver.get(address)
        browser.run(
            """return (async () => {
                const modules = await Promise.all(
                    arguments[0].map((name) => import(`/js/${name}.js`)));
                globalThis.core = Object.assign({}, ...modules);
                globalThis.litert = await import('/vendor/litert/index.js');
            })()""",
            list(MODULES),
        )
        yield Core(browser, data)


@pytest.fixture(scope="module")
def bundles(small_bundle, small_model, small_catalog, tmp_path_factory) -> Mapping[str, Path]:
    """The small model by quantization."""
    from taxonvision.catalog.catalog import open_catalog
    from taxonvision.export.export import export
    from taxonvision.export.options import ExportOptions
    from taxonvision.models.directory import open_model
    from taxonvision.storage import Recipe

    model, catalog = open_model(small_model), open_catalog(small_catalog)
    out = tmp_path_factory.mktemp("float") / "bundle"
    options = ExportOptions(["float32"])
    export(model, catalog, None, options, out, {"float32": Recipe("export")})
    return {"int8": small_bundle, "float32": out}


def test_modules_import_only_what_is_beside_them():
    for path in (WEB / "js").glob("*.js"):
        for name in re.findall(r"from ['\"](.+?)['\"]", path.read_text(encoding="utf-8")):
            assert name.startswith("./") and (WEB / "js" / name).is_file(), (path, name)


def _input_of(golden: Golden, bundle: Bundle) -> np.ndarray:
    """The pixels of a golden photograph, uint8 [1, size, size, 3]."""
    contract = replace(bundle.contract, crop_ratio=1.0) if golden.exact else bundle.contract
    return contract.apply(read_upright(bundle.read(golden.file)))[None]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["int8", "float32"])
def test_golden_photographs_get_the_scores_of_python(core, bundles, kind):
    bundle = open_bundle(bundles[kind])
    recognizer = bundle.recognizer()
    found = core.run(
        """const bundle = await core.openBundle(a);
        const recognizer = await core.loadRecognizer(bundle);
        const scores = {};
        for (const {file, exact} of bundle.golden) {
            const photograph = await core.photographOf(new Blob([await bundle.bytes(file)]));
            const ratio = exact ? 1 : bundle.cropRatio;
            scores[file] = [...await recognizer.score(
                core.pixelsOf(photograph, bundle.size, ratio))];
        }
        const check = await core.selfCheck(bundle, recognizer);
        recognizer.close();
        return {scores, check};""",
        core.place(bundles[kind], kind),
    )
    assert found["check"]["passed"]
    assert len(found["check"]["results"]) == len(bundle.golden)
    for golden in bundle.golden:
        expected = recognizer.score(_input_of(golden, bundle))[0]
        scores = np.array(found["scores"][golden.file])
        if not golden.exact:  # JPEG decoders differ
            np.testing.assert_allclose(scores, expected, rtol=0, atol=golden.tolerance / 10)
            continue
        # All is equal but the last bits of the head and the softmax, which count in float32.
        np.testing.assert_allclose(scores, expected, rtol=2e-6, atol=0)
        best = best_classes(scores, len(golden.top))
        assert [recognizer.class_taxon_ids[i] for i in best] == list(golden.top)
        told = np.round(scores[best] / scores.sum(), 6)
        np.testing.assert_allclose(told, list(golden.top.values()), rtol=0, atol=1.5e-6)


@pytest.mark.slow
def test_all_that_an_int8_model_counts_in_integers_is_the_same_to_the_last_bit(
    core, bundles, tmp_path
):
    bundle = open_bundle(bundles["int8"])
    (tmp_path / "features.tflite").write_bytes(_up_to_the_head(bundle.read("model.tflite")))
    python = TFLiteModel((tmp_path / "features.tflite").read_bytes(), "features")
    exact = [golden for golden in bundle.golden if golden.exact]
    found = core.run(
        """const bundle = await core.openBundle(a);
        const model = await litert.loadAndCompile(b, {accelerator: 'wasm'});
        const features = [];
        for (const file of c) {
            const photograph = await core.photographOf(new Blob([await bundle.bytes(file)]));
            const pixels = Uint8Array.from(core.pixelsOf(photograph, bundle.size, 1));
            const input = new litert.Tensor(pixels, [1, bundle.size, bundle.size, 3]);
            const [output] = await model.run([input]);
            features.push([...output.toTypedArray()]);
            input.delete();
            output.delete();
        }
        model.delete();
        return features;""",
        core.place(bundles["int8"], "bits"),
        core.place(tmp_path, "cut") + "/features.tflite",
        [golden.file for golden in exact],
    )
    assert len(found) > 1
    for golden, features in zip(exact, found, strict=True):
        expected = python.run(_input_of(golden, bundle))[0]
        assert len(set(expected)) > 3
        assert features == expected.tolist()


def _up_to_the_head(model: bytes) -> bytes:
    """An int8 model that ends with its features, where integers become float32 for the head."""
    graph = ModelT.InitFromPackedBuf(model)
    main = graph.subgraphs[0]
    codes = [graph.operatorCodes[each.opcodeIndex].builtinCode for each in main.operators]
    last = codes.index(BuiltinOperator.DEQUANTIZE)
    main.operators = main.operators[: last + 1]
    main.outputs = main.operators[last].outputs
    graph.signatureDefs = []
    builder = flatbuffers.Builder()
    builder.Finish(graph.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@pytest.mark.slow
def test_photographs_become_the_pixels_of_python(core, tmp_path):
    folder = core.place(tmp_path, "photographs")
    for path in _photographs(tmp_path):
        size, ratio = (224, 0.875) if path.stem == "large" else (16, 0.5)
        found = core.run(
            """const blob = await (await fetch(a)).blob();
            const photograph = await core.photographOf(blob);
            return [...core.pixelsOf(photograph, b, c)];""",
            f"{folder}/{path.name}", size, ratio,
        )  # fmt: skip
        expected = Contract(size, ratio).apply(read_upright(path)).astype(int)
        difference = np.abs(np.array(found).reshape(expected.shape) - expected)
        assert difference.max() <= (0 if path.suffix == ".png" and path.stem != "clear" else 2), (
            path
        )
        assert difference.mean() < 0.1, path


@pytest.mark.slow
def test_a_photograph_that_fills_the_memory_is_refused_before_it_is_decoded(core, tmp_path):
    Image.new("1", (20_000, 12_000)).save(tmp_path / "bomb.png")
    sentence = core.run(
        """const decode = globalThis.createImageBitmap;
        globalThis.createImageBitmap = () => { throw new Error('it is being decoded'); };
        try {
            await core.photographOf(await (await fetch(a)).blob());
        } catch (error) {
            return [error instanceof core.PhotographError, error.message];
        } finally {
            globalThis.createImageBitmap = decode;
        }""",
        core.place(tmp_path, "bomb") + "/bomb.png",
    )
    assert sentence == [True, "The photograph has more than 200 million pixels."]


@pytest.mark.slow
def test_frames_of_a_camera_become_the_pixels_of_python(core, tmp_path):
    rng = np.random.default_rng(2)
    pixels = rng.integers(0, 256, (72, 128, 3), dtype=np.uint8)
    picture = Image.fromarray(pixels).resize((1280, 720), Image.Resampling.BICUBIC)
    picture.save(tmp_path / "frame.png")
    found = core.run(
        """const photograph = await core.photographOf(await (await fetch(a)).blob());
        const canvas = document.createElement('canvas');
        [canvas.width, canvas.height] = [photograph.width, photograph.height];
        canvas.getContext('2d').drawImage(photograph, 0, 0);
        const video = document.createElement('video');
        video.muted = true;
        video.srcObject = canvas.captureStream();
        await video.play();
        return [...core.pixelsOf(video, 224, 0.875)];""",
        core.place(tmp_path, "frames") + "/frame.png",
    )
    expected = Contract(224, 0.875).apply(picture)
    assert found == expected.ravel().tolist()


@st.composite
def cases(draw) -> tuple[RollUp, list[int], list[float], Thresholds]:
    """A tree and its classes, scores (often equal ones) and thresholds."""
    drawn, classes = draw(forests(RANKS, 10**12))
    levels: dict[int | None, float] = {None: 100.0}
    taxa = []
    for taxon in drawn:  # no rank is above its parent's
        levels[taxon.taxon_id] = min(taxon.rank_level, levels[taxon.parent_taxon_id])
        taxa.append(
            Taxon(
                taxon.taxon_id, taxon.parent_taxon_id, taxon.rank, taxon.name,
                levels[taxon.taxon_id],
            )
        )  # fmt: skip
    roll_up = RollUp(Taxonomy(draw(st.permutations(taxa))), classes)
    equals = st.integers(0, 64).map(lambda n: n / 64 / len(classes))
    shares = st.floats(0, 1, width=32).map(lambda x: x / len(classes))
    peaks = st.sampled_from([0.0, 1e-6, 0.01, 1.0])
    scores = draw(
        st.sampled_from([equals, shares, peaks]).flatmap(
            lambda values: st.lists(values, min_size=len(classes), max_size=len(classes))
        )
    )
    fraction = st.sampled_from([0, 0.001, 0.01, 0.25, 0.3, 0.5, 0.7, 0.78, 1])
    own = st.dictionaries(st.sampled_from(roll_up.node_ids.tolist()), fraction)
    thresholds = Thresholds(
        kept_share=draw(fraction),
        shown=draw(fraction),
        ancestor_score=draw(fraction),
        ancestor_leaves=draw(st.integers(1, 15)),
        ancestor_share=draw(fraction),
        ancestor_rank_levels=draw(st.sampled_from([(20, 33), (5, 70), (10, 40)])),
        unknown=draw(fraction),
        by_taxon=draw(own),
    )
    return roll_up, classes, scores, thresholds


@pytest.mark.slow
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cases())
def test_it_decides_as_python_does(core, case):
    _assert_decides_alike(core, *case)


@pytest.mark.slow
def test_it_decides_as_python_does_over_many_taxa(core):
    """Long sums are added up in parts, in an order of their own."""
    rng = np.random.default_rng(3)
    taxa = [Taxon.of_rank(i, i // 7 or None, "genus", f"T{i}") for i in range(1, 4000)]
    classes = [*range(571, 4000), 3, 50]
    roll_up = RollUp(Taxonomy(taxa), classes)
    for sharpness in (0.001, 0.1, 1):
        scores = rng.dirichlet(np.full(len(classes), sharpness))
        _assert_decides_alike(core, roll_up, classes, scores.tolist(), Thresholds(kept_share=0))


@pytest.mark.slow
def test_no_score_is_above_1(core):
    """A sum of shares that rounding puts above 1 does not pass a threshold of 1."""
    rng = np.random.default_rng(4)
    taxa = [Taxon.of_rank(1, None, "genus", "T"), *(
        Taxon.of_rank(i, 1, "species", "T") for i in range(2, 9)
    )]  # fmt: skip
    roll_up = RollUp(Taxonomy(taxa), range(2, 9))
    drawn = rng.dirichlet(np.ones(7), 200).astype(np.float32)
    above = [scores for scores in drawn if roll_up.node_scores(kept(scores, 0)[None])[0, 0] > 1]
    assert above
    thresholds = Thresholds(kept_share=0, shown=1)
    _assert_decides_alike(core, roll_up, range(2, 9), above[0].tolist(), thresholds)


def _assert_decides_alike(
    core: Core,
    roll_up: RollUp,
    classes: Sequence[int],
    scores: Sequence[float],
    thresholds: Thresholds,
) -> None:
    exact = np.array(scores, np.float32)
    rows = [f"{taxon_id},{value!r}" for taxon_id, value in thresholds.by_taxon.items()]
    found = core.run(
        """const taxonomy = core.parseTaxonomy(a);
        const thresholds = core.readThresholds(b);
        thresholds.byTaxon = core.parseThresholds(c);
        const bundle = {taxonomy, thresholds, classes: taxonomy.classes};
        const rollUp = new core.RollUp(taxonomy);
        const scores = Float32Array.from(d);
        const decision = core.decide(bundle, rollUp, scores);
        const named = (one) => one && [taxonomy.nodes[one.node].taxonId, one.score];
        return {
            known: decision.known, branch: decision.branch.map(named), sure: named(decision.sure),
            ancestor: named(decision.commonAncestor), name: named(core.nameOf(bundle, decision)),
            nodes: [...rollUp.nodeScores(scores)].map((score, node) => named({node, score})),
            suggestions: core.suggestions(bundle, scores, 5).map(named),
        };""",
        _table(roll_up.taxonomy, classes),
        thresholds.as_json(),
        "\n".join(["taxon_id,threshold", *rows]),
        exact.tolist(),
    )
    expected = decide(roll_up, exact, thresholds)
    ids, levels = roll_up.node_ids, roll_up.rank_levels

    def named(node: Node | None) -> list[float] | None:
        return [int(ids[node.index]), node.score] if node else None

    names = [one for one in (expected.sure, expected.common_ancestor) if one]
    name = min(names, key=lambda one: levels[one.index], default=None)
    scored = roll_up.node_scores(exact[None])[0]
    assert found == {
        "known": expected.known,
        "branch": [named(node) for node in expected.branch],
        "sure": named(expected.sure),
        "ancestor": named(expected.common_ancestor),
        "name": named(name),
        "nodes": [[int(node), float(score)] for node, score in zip(ids, scored, strict=True)],
        "suggestions": [[classes[i], float(exact[i])] for i in best_classes(exact, 5)],
    }


def _table(tree: Taxonomy, classes: Sequence[int]) -> str:
    outputs = {taxon_id: output for output, taxon_id in enumerate(classes)}
    lines = ["parent_taxon_id,taxon_id,rank_level,rank,leaf_class_id,name"]
    for taxon in tree:
        parent, output = taxon.parent_taxon_id or "", outputs.get(taxon.taxon_id, "")
        level = f"{taxon.rank_level:g}"
        lines.append(f'{parent},{taxon.taxon_id},{level},{taxon.rank},{output},"{taxon.name}"')
    return "\n".join(lines)


@pytest.mark.slow
def test_logits_become_the_probabilities_of_python(core):
    rng = np.random.default_rng(1)
    for unknown in (None, 3.5, -2.0):
        logits = rng.normal(0, 8, (1, 300)).astype(np.float32)
        bundle = {"outputKind": "logits", "unknownLogit": unknown}
        found = core.run(
            "return [...core.probabilitiesOf(Float32Array.from(a), b)]", logits[0].tolist(), bundle
        )
        assert found == pytest.approx(probabilities_of(logits, unknown)[0].tolist(), abs=1e-6)


@pytest.mark.slow
def test_json_with_many_escapes_is_read_and_with_a_field_twice_refused(core):
    parse = """const {parseObject} = await import('/js/texts.js');
        const text = a.replace('MANY', '\\\\n'.repeat(b));
        return Object.keys(parseObject(new TextEncoder().encode(text), 'j'))"""
    for fields in ({'quote " colon :': ": "}, {"ends\\": 'with "', "": ["d", {"ends\\": "\\"}]}):
        assert core.run(parse, json.dumps(fields), 0) == list(fields)
    assert core.run(parse, '{"a": "MANY"}', 10**7) == ["a"]
    for twice in ('{"a": 1, "a": 2}', r'{"\\": 1, "b": {"\"": "x", "\"": ":"}}'):
        assert (
            core.refusal(parse.replace("return", ""), twice, 0) == "j has two fields of one name."
        )


@pytest.mark.slow
def test_frames_are_smoothed(core):
    first, *_, last = core.run(
        """const smoother = new core.Smoother({halfLife: 4});
        const frames = [[1, 0], [0, 1], [0, 1], [0, 1], [0, 1]];
        return frames.map((frame) => [...smoother.add(Float32Array.from(frame))]);"""
    )
    assert first == [1, 0]
    assert last == pytest.approx([0.5, 0.5])


OPEN = """
    const bundle = await core.openBundle(a);
    for (const language of bundle.languages) await bundle.names(language);
    const recognizer = await core.loadRecognizer(bundle);
    try { await core.selfCheck(bundle, recognizer); } finally { recognizer.close(); }
"""


@pytest.mark.slow
def test_damaged_bundles_are_refused_with_a_sentence(core, bundles, tmp_path):
    sound = read_files(bundles["int8"])
    folder = core.place(tmp_path, "damaged")
    refused = 0
    for number, case in enumerate(damaged(sound, seed=11)):
        place = tmp_path / str(number)
        place.mkdir()
        bundle = case.write(place)
        if not (bundle / "bundle.json").is_file() or case.what.startswith("link"):
            continue  # zips, pipes and links are no matter of a page
        if core.refusal(OPEN, f"{folder}/{number}/bundle"):
            refused += 1
            continue
        # What is taken is what Python takes, but for files that are not read here.
        unread = {name: sound[name] for name in UNREAD}
        repaired = tmp_path / f"{number}, repaired"
        repaired.mkdir()
        try:
            open_bundle(as_folder(sealed(read_files(bundle) | unread), repaired)).recognizer()
        except UserError as error:
            pytest.fail(f"{case.what} was taken; Python: {error}")
    assert refused > 100


@pytest.mark.slow
def test_it_says_what_is_wrong(core, bundles, tmp_path):
    sound = read_files(bundles["int8"])
    folder = core.place(tmp_path, "wrong")

    def refusal(name: str, files: Mapping[str, bytes]) -> str | None:
        (tmp_path / name).mkdir()
        as_folder(dict(files), tmp_path / name)
        return core.refusal(OPEN, f"{folder}/{name}/bundle")

    def changed(change: Callable[[dict[str, Any]], Any]) -> Mapping[str, bytes]:
        return sealed(edited(sound, change))

    def to_version_1(manifest):
        manifest.update(schema_version=1, thresholds={"shown": 0.5})
        for field in ("profile", "head", "calibration", "unknown", "validation", "region"):
            manifest.pop(field)

    newer = refusal("newer", changed(lambda m: m.update(schema_version=3)))
    assert newer.startswith("The bundle has the newer format 3, this page reads up to 2")
    assert refusal("older", changed(to_version_1)) is None
    assert refusal("owned", sealed(with_thresholds(sound, "3,0.25", "1,1"))) is None
    assert "1.5" in refusal("above", sealed(with_thresholds(sound, "3,0.25", "1,1.5")))
    label = sound["taxonomy.csv"].replace(b"Aglais io", b"Aglais oi")
    assert refusal("flipped", sealed(sound) | {"taxonomy.csv": label}) == (
        "taxonomy.csv is damaged: it differs from SHA256SUMS."
    )
    assert "404" in core.refusal(OPEN, f"{folder}/nowhere")
    large = "contract.size is 9000"
    assert large in refusal("large", changed(lambda m: m["contract"].update(size=9000)))
    small = refusal("small", changed(lambda m: m["contract"].update(size=31)))
    assert small == "model.tflite does not fit bundle.json and taxonomy.csv."
    assert "thresholds.shown" in refusal("none", changed(lambda m: m.update(thresholds=None)))
    many = "".join(f"{'0' * 64}  {i}\n" for i in range(2001)).encode()
    assert "2000 files" in refusal("many", sealed(sound) | {"SHA256SUMS": many})
    huge = b" " * (2**20 + 1)
    assert "1 MiB" in refusal("huge", sealed(sound | {"bundle.json": huge}))
    assert core.refusal(OPEN, core.place(bundles["int8"], "sound")) is None
    without_simd = f"""const {{validate}} = WebAssembly;
        WebAssembly.validate = () => false;
        try {{ {OPEN} }} finally {{ WebAssembly.validate = validate; }}"""
    sentence = core.refusal(without_simd, "/data/sound")
    assert "WebAssembly SIMD" in sentence


@pytest.mark.slow
def test_hostile_names_stay_text(core, bundles, tmp_path):
    sound = read_files(bundles["int8"])
    names = {"3": HOSTILE, "4": "__proto__", "5": "constructor"}
    files = sound | {
        "names/en.json": json.dumps(names).encode(),
        "taxonomy.csv": sound["taxonomy.csv"].replace(b"Aglais io", f'"{HOSTILE}, ""x"""'.encode()),
    }
    as_folder(sealed(files), tmp_path)
    address = f"{core.place(tmp_path, 'hostile')}/bundle"
    found = core.run(
        """const bundle = await core.openBundle(a);
        const names = await bundle.names('en');
        const {nodes} = bundle.taxonomy;
        return {names: [...names], name: nodes[bundle.taxonomy.indexOf(3)].name,
                unlisted: (await bundle.names('__proto__')).size, title: document.title};""",
        address,
    )
    assert found["names"] == [[3, HOSTILE], [4, "__proto__"], [5, "constructor"]]
    assert found["name"] == f'{HOSTILE}, "x"'
    assert found["unlisted"] == 0
    assert found["title"] == "core"
    files["names/en.json"] = b'{"__proto__": "x"}'
    (tmp_path / "b").mkdir()
    as_folder(sealed(files), tmp_path / "b")
    assert "a taxon id of names/en.json is __proto__" in core.refusal(
        "await (await core.openBundle(a)).names('en')", f"{address}/../b/bundle"
    )


@pytest.mark.slow
def test_memory_stays_flat(core, bundles):
    """2,000 frames, scored and decided."""
    core.run(
        """const bundle = await core.openBundle(a);
        const recognizer = await core.loadRecognizer(bundle);
        const rollUp = new core.RollUp(bundle.taxonomy);
        const smoother = new core.Smoother({halfLife: 5});
        const canvas = new OffscreenCanvas(64, 48);
        canvas.getContext('2d').fillRect(9, 9, 30, 30);
        globalThis.scoreFrames = async (count) => {
            for (let frame = 0; frame < count; frame++) {
                const pixels = core.pixelsOf(canvas, bundle.size, bundle.cropRatio);
                core.decide(bundle, rollUp, smoother.add(await recognizer.score(pixels)));
            }
        };""",
        core.place(bundles["int8"], "flat"),
    )

    def used(frames: int) -> tuple[int, int]:
        core.run("await scoreFrames(a)", frames)
        # What the engine uses is its memory but for what can be had before it has to grow.
        wasm = core.run(
            """const engine = litert.getGlobalLiteRt().liteRtWasm;
            const bytes = engine.HEAPU8.length;
            const blocks = [];
            while (engine.HEAPU8.length === bytes) blocks.push(engine._malloc(2 ** 14));
            for (const block of blocks) engine._free(block);
            return bytes - blocks.length * 2 ** 14;"""
        )
        core.browser.driver.execute_cdp_cmd("HeapProfiler.collectGarbage", {})
        heap = core.browser.driver.execute_cdp_cmd("Runtime.getHeapUsage", {})
        return wasm, heap["usedSize"]

    used(50)
    wasm_before, heap_before = used(50)
    wasm_after, heap_after = used(2000)
    assert wasm_after - wasm_before < 100_000
    assert heap_after - heap_before < 400_000


def _linear_profile() -> bytes:
    """The colours of sRGB with all curves made straight (ICC.1, parametricCurveType: g is 1)."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    parts = profile.split(b"para")
    assert len(parts) > 1
    one = (1 << 16).to_bytes(4, "big")
    return parts[0] + b"".join(b"para" + part[:8] + one + part[12:] for part in parts[1:])


def _photographs(folder: Path) -> list[Path]:
    """A large one, odd ones, and one of other colours."""
    rng = np.random.default_rng(3)
    coarse = Image.fromarray(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8))
    large, profile = folder / "large.jpg", folder / "profile.png"
    coarse.resize((4000, 3000), Image.Resampling.BICUBIC).save(large, quality=90)
    # Of another gamut and curve, which a browser shows and the model has never seen applied.
    picture = coarse.resize((77, 45), Image.Resampling.BICUBIC)
    picture.save(profile, icc_profile=_linear_profile())
    return [large, *odd_photographs(folder, coarse, rng), profile]
