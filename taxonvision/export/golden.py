"""Golden photographs: pictures with the scores that every client of a bundle must find.

PNGs of the contract's size judge a client's tensors exactly; JPEGs, some of them turned by EXIF,
judge its decoding and preprocessing within a tolerance.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass

import numpy as np
from PIL import ExifTags, Image

from taxonvision.catalog.catalog import Catalog, Photos
from taxonvision.catalog.rights import LICENSES, may_travel
from taxonvision.photograph import PhotographError, read_upright
from taxonvision.runtime.contract import Contract
from taxonvision.synthetic.render import draw_photograph
from taxonvision.synthetic.species import make_species

PHOTOGRAPHS = 5

_CANDIDATES = 40
_LONG_SIDE = 640
_JPEG_QUALITY = 90
# How a JPEG's pixels are turned so that the EXIF orientation turns them back.
_TURNED = {1: None, 6: Image.Transpose.ROTATE_90, 3: Image.Transpose.ROTATE_180}


@dataclass(frozen=True)
class GoldenFile:
    """One file: its name in the bundle, its bytes, and whose picture it is.

    `exact` files are PNGs that are the model's input pixel by pixel.
    """

    name: str
    content: bytes
    exact: bool
    license: str
    attribution: str


@dataclass(frozen=True)
class _Candidate:
    """What is kept of a picture: as decoded, forty of them would fill gigabytes.

    Attributes:
        pixels: the contract applied to the whole picture, uint8 [S, S, 3].
        small: the picture shrunk to `_LONG_SIDE`.
    """

    pixels: np.ndarray
    small: Image.Image
    license: str
    attribution: str


def make_golden_files(
    catalog: Catalog,
    contract: Contract,
    score: Callable[[np.ndarray], np.ndarray],
    seed: int,
    licenses: Collection[str] = LICENSES,
) -> list[GoldenFile]:
    """Five pictures as PNGs, three of them as JPEGs too.

    Photographs of the catalog are used where their licence allows it, those of the splits test and
    val first; synthetic ones fill up. Of the candidates those are chosen of which the model is
    surest, each of another name if possible: a close call between two names would say nothing
    about a client.

    Args:
        catalog: where the photographs come from.
        contract: how they become pixels.
        score: uint8 [n, S, S, 3] to probabilities [n, C], by the full model.
        seed: draws the candidates and the synthetic pictures.
        licenses: short names of those that a photograph may have (`catalog.rights`).
    """
    rng = np.random.default_rng(seed)
    chosen = _surest(list(_licensed(catalog, contract, rng, licenses)), score, PHOTOGRAPHS)
    if len(chosen) < PHOTOGRAPHS:
        drawn = list(_synthetic(contract, seed))
        chosen += _surest(drawn, score, PHOTOGRAPHS - len(chosen))
    files = []
    for number, picture in enumerate(chosen, start=1):
        credit = (picture.license, picture.attribution)
        content = _png(Image.fromarray(picture.pixels))
        files.append(GoldenFile(f"golden/{number}.png", content, True, *credit))
    for (orientation, turn), (number, picture) in zip(
        _TURNED.items(), enumerate(chosen, start=1), strict=False
    ):
        content = _jpeg(picture.small, orientation, turn)
        credit = (picture.license, picture.attribution)
        files.append(GoldenFile(f"golden/{number}_exif{orientation}.jpg", content, False, *credit))
    return files


def _licensed(
    catalog: Catalog, contract: Contract, rng: np.random.Generator, licenses: Collection[str]
) -> Iterator[_Candidate]:
    found = 0
    for split in ("test", "val", "train"):
        photos = catalog.photos(split)
        credits_ = zip(photos.licenses, photos.attributions, strict=True)
        allowed = [i for i, credit in enumerate(credits_) if may_travel(*credit, licenses)]
        for index in rng.permutation(allowed).tolist():
            if found >= _CANDIDATES:
                return
            candidate = _readable(photos, index, contract)
            if candidate is not None:
                found += 1
                yield candidate


def _readable(photos: Photos, index: int, contract: Contract) -> _Candidate | None:
    try:
        image = read_upright(photos.paths[index])
    except PhotographError:  # deleted since the catalog was made; others will do
        return None
    return _candidate(image, contract, photos.licenses[index], photos.attributions[index])


def _synthetic(contract: Contract, seed: int) -> Iterator[_Candidate]:
    for number, species in enumerate(make_species(PHOTOGRAPHS * 2, seed)):
        for variant in range(2):
            rng = np.random.default_rng([seed, number, variant])
            image = draw_photograph(species, rng, _LONG_SIDE)
            yield _candidate(image, contract, "CC0-1.0", "synthetic picture by taxonvision")


def _candidate(
    image: Image.Image, contract: Contract, license: str, attribution: str
) -> _Candidate:
    pixels = contract.apply(image)
    image.thumbnail((_LONG_SIDE, _LONG_SIDE), Image.Resampling.LANCZOS)  # in place
    return _Candidate(pixels, image, license, attribution)


def _surest(
    candidates: list[_Candidate],
    score: Callable[[np.ndarray], np.ndarray],
    wanted: int,
) -> list[_Candidate]:
    """The candidates with the widest gap between the two best scores, of different names first."""
    if not candidates:
        return []
    scores = score(np.stack([candidate.pixels for candidate in candidates]))
    ordered = np.sort(scores, axis=1)
    margins = ordered[:, -1] - ordered[:, -2]
    best = scores.argmax(axis=1)
    seen: set[int] = set()
    first: list[int] = []
    again: list[int] = []
    for index in np.argsort(-margins, kind="stable").tolist():
        (again if int(best[index]) in seen else first).append(index)
        seen.add(int(best[index]))
    return [candidates[index] for index in (first + again)[:wanted]]


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _jpeg(small: Image.Image, orientation: int, turn: Image.Transpose | None) -> bytes:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    turned = small if turn is None else small.transpose(turn)
    buffer = io.BytesIO()
    turned.save(buffer, "JPEG", quality=_JPEG_QUALITY, exif=exif)
    return buffer.getvalue()
