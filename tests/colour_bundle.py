"""A bundle that tells colours apart and is right by construction: nothing has to be trained.

Its twelve species are colours, near each other in a genus, farther apart in a family and the
order. A logit is minus the squared distance between a species' colour and the mean of the upper
left quarter of the picture, so that it matters how a photograph is turned. A colour halfway
between two taxa is sure of what they have in common; one far from all is nothing known.
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
from ai_edge_litert.schema_py_generated import (
    AddOptionsT,
    BuiltinOperator,
    BuiltinOptions,
    FullyConnectedOptionsT,
    MulOptionsT,
    ReducerOptionsT,
    SliceOptionsT,
    TensorType,
)
from damaged_bundles import as_folder, sealed
from hostile_models import HostileModel
from PIL import Image

from taxonvision.runtime.probabilities import probabilities_of

SIZE = 32
UNKNOWN_LOGIT = -8.0
_SHARPNESS = 1 / 400  # logits per squared level: films show colours some levels off
_FAMILIES = (("Pieridae", 70), ("Nymphalidae", 170))  # red
_GENERA = (("Pieris", 70), ("Colias", 150), ("Aglais", 70), ("Vanessa", 150))  # green
_BLUES = {"alba": 60, "media": 100, "nigra": 140}
ABOVE = [
    ("", 1, 70, "kingdom", "", "Animalia"),
    (1, 2, 60, "phylum", "", "Arthropoda"),
    (2, 3, 50, "class", "", "Insecta"),
    (3, 4, 40, "order", "", "Lepidoptera"),
    (4, 10, 30, "family", "", "Pieridae"),
    (4, 11, 30, "family", "", "Nymphalidae"),
    (10, 20, 20, "genus", "", "Pieris"),
    (10, 21, 20, "genus", "", "Colias"),
    (11, 22, 20, "genus", "", "Aglais"),
    (11, 23, 20, "genus", "", "Vanessa"),
]
SPECIES = [f"{genus} {blue}" for (genus, _), blue in product(_GENERA, _BLUES)]
FIRST_SPECIES = 100
COLOURS = np.array(
    [
        (_FAMILIES[number // 2][1], green, blue)
        for number, (_, green) in enumerate(_GENERA)
        for blue in _BLUES.values()
    ],
    float,
)
"""RGB of each species, float [12, 3]; the taxon id of row i is FIRST_SPECIES + i."""


def colour_bundle(
    folder: Path,
    names: dict[str, dict[int, str]],
    count: int = len(SPECIES),
    above: Sequence[tuple] = ABOVE,
) -> Path:
    """Write the bundle with these common names; its golden pictures are the colours themselves.

    It knows the first `count` species, though its golden pictures show others as well; `above` are
    the rows of the tree above them.
    """
    manifest = _manifest(sorted(names), count)
    species = SPECIES[:count]
    rows = [
        *above,
        *((20 + i // 3, FIRST_SPECIES + i, 10, "species", i, s) for i, s in enumerate(species)),
    ]
    header = "parent_taxon_id,taxon_id,rank_level,rank,leaf_class_id,name"
    table = "\n".join([header, *(",".join(map(str, row)) for row in rows)]) + "\n"
    model = _model(manifest, COLOURS[:count])
    manifest["model"]["bytes"] = len(model)
    files = {
        "model.tflite": model,
        "taxonomy.csv": table.encode(),
        "labels.txt": "".join(f"{name}\n" for name in species).encode(),
        "MODEL_CARD.md": b"# Colours\n",
    }
    for language, by_taxon in names.items():
        text = json.dumps({str(taxon): name for taxon, name in by_taxon.items()})
        files[f"names/{language}.json"] = text.encode()
    for number in range(0, len(SPECIES), 2):
        name = f"golden/{number}.png"
        files[name] = _png(COLOURS[number])
        manifest["golden"].append(_golden(name, COLOURS[number], count))
    files["bundle.json"] = json.dumps(manifest).encode()
    return as_folder(sealed(files), folder)


def _golden(name: str, colour: np.ndarray, count: int) -> dict[str, object]:
    logits = -_SHARPNESS * np.square(COLOURS[:count] - colour).sum(axis=1)
    scores = probabilities_of(logits.astype(np.float32)[None], UNKNOWN_LOGIT)[0]
    known = float(scores.sum())
    best = np.argsort(-scores, kind="stable")[:5]
    return {
        "file": name,
        "exact": True,
        "tolerance": 0.01,
        "top": [
            {"taxon_id": FIRST_SPECIES + int(i), "score": float(scores[i]) / known} for i in best
        ],
        "known": known,
        "license": "CC0-1.0",
        "attribution": "the tests",
    }


def _png(colour: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (SIZE, SIZE), tuple(map(int, colour))).save(file, "PNG")
    return file.getvalue()


def _manifest(languages: list[str], count: int) -> dict:
    ancestor = {"score": 0.78, "leaves": 15, "share": 0.01, "rank_levels": [20, 33]}
    return {
        "schema_version": 2,
        "name": "twelve colours",
        "version": "1",
        "quantization": "float32",
        "profile": "taxonvision",
        "model": {"file": "model.tflite", "bytes": 0, "classes": count},
        "head": {"rank": None},
        "input": {
            "name": "photograph",
            "shape": [1, SIZE, SIZE, 3],
            "dtype": "float32",
            "colors": "RGB",
            "range": [0, 255],
        },
        "output": {
            "name": "logits",
            "shape": [1, count],
            "dtype": "float32",
            "kind": "logits",
            "unknown_logit": UNKNOWN_LOGIT,
        },
        "contract": {
            "orientation": "EXIF applied",
            "alpha": "over white",
            "crop": "centre square",
            "crop_ratio": 1.0,
            "resize": "bilinear, antialiased",
            "size": SIZE,
        },
        "thresholds": {
            "kept_share": 0.001,
            "shown": 0.9,
            "common_ancestor": ancestor,
            "unknown": 0.5,
        },
        "calibration": None,
        "unknown": None,
        "validation": None,
        "region": None,
        "agreement": {"photographs": 1, "same_name": 1, "largest_difference": 0},
        "source": {"fingerprint": "", "backbone": "mean colour", "catalog": ""},
        "made_by": {"taxonvision": "0", "digest": "0" * 64},
        "languages": languages,
        "golden": [],
    }


def _model(manifest: dict, colours: np.ndarray) -> bytes:
    """2 b m·c - b |c|² - b |m|² for the mean colour m, each colour c and the sharpness b."""
    built = HostileModel(manifest)
    graph, half = built.main, SIZE // 2
    begin = graph.tensor("begin", [4], TensorType.INT32, np.zeros(4, np.int32))
    extent = graph.tensor("extent", [4], TensorType.INT32, np.array([1, half, half, 3], np.int32))
    corner = graph.tensor("corner", [1, half, half, 3])
    graph.operator(
        BuiltinOperator.SLICE, [built.input, begin, extent], [corner],
        BuiltinOptions.SliceOptions, SliceOptionsT(),
    )  # fmt: skip
    axes = graph.tensor("axes", [2], TensorType.INT32, np.array([1, 2], np.int32))
    mean = graph.tensor("mean", [1, 3])
    graph.operator(
        BuiltinOperator.MEAN, [corner, axes], [mean],
        BuiltinOptions.ReducerOptions, ReducerOptionsT(),
    )  # fmt: skip
    square = graph.tensor("square", [1, 3])
    graph.operator(
        BuiltinOperator.MUL, [mean, mean], [square], BuiltinOptions.MulOptions, MulOptionsT()
    )
    near = _dense(
        graph, mean, 2 * _SHARPNESS * colours, -_SHARPNESS * np.square(colours).sum(axis=1)
    )
    far = _dense(graph, square, np.full_like(colours, -_SHARPNESS), np.zeros(len(colours)))
    graph.operator(
        BuiltinOperator.ADD, [near, far], [built.output],
        BuiltinOptions.AddOptions, AddOptionsT(),
    )  # fmt: skip
    return built.content()


def _dense(graph, read: int, kernel: np.ndarray, bias: np.ndarray) -> int:
    shape = list(kernel.shape)
    weights = graph.tensor("kernel", shape, values=kernel.astype(np.float32))
    shift = graph.tensor("bias", shape[:1], values=bias.astype(np.float32))
    result = graph.tensor("dense", [1, shape[0]])
    graph.operator(
        BuiltinOperator.FULLY_CONNECTED, [read, weights, shift], [result],
        BuiltinOptions.FullyConnectedOptions, FullyConnectedOptionsT(),
    )  # fmt: skip
    return result
