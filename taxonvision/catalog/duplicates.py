"""Near-duplicate photographs: perceptual hashes, the pairs that nearly agree, their clusters."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL import Image

MAX_DISTANCE = 4
"""Photographs whose hashes differ in at most so many bits are near-duplicates."""


@dataclass(frozen=True)
class NearPairs:
    """Pairs of near-duplicates.

    Attributes:
        pairs: int64 [m, 2], indices (i, j) with i < j, sorted.
        distances: uint8 [m], the bits in which the hashes of a pair differ.
    """

    pairs: np.ndarray
    distances: np.ndarray


def perceptual_hash(image: Image.Image) -> int | None:
    """The perceptual hash (64 bits) of an upright RGB image; None when it is too flat for one."""
    import imagehash

    return int(str(imagehash.phash(image)), 16)


def near_pairs(hashes: np.ndarray, max_distance: int = MAX_DISTANCE) -> NearPairs:
    """The pairs among n hashes (uint64 [n]) that differ in at most `max_distance` bits.

    Of copies (equal hashes) the first stands for all: the others are paired with it alone.

    Multi-index hashing (Manku, Jain, Das Sarma: Detecting near-duplicates for web crawling, WWW
    2007): the 64 bits are cut into d + k bands; hashes that differ in d bits agree in k whole bands
    at least, so only those are compared that agree in one of the choices of k bands.
    """
    distinct, first, which = np.unique(hashes, return_index=True, return_inverse=True)
    copies = np.flatnonzero(first[which] != np.arange(len(hashes)))
    found = [np.stack([first[which[copies]], copies], axis=1)]
    distances = [np.zeros(len(copies), np.uint8)]
    masks = _masks(len(distinct), max_distance) if max_distance else []
    for number, mask in enumerate(masks):
        order = np.argsort(distinct & mask)
        for left, right in _agreeing(distinct[order] & mask):
            left, right = order[left], order[right]
            differing = distinct[left] ^ distinct[right]
            distance = np.bitwise_count(differing)
            near = distance <= max_distance
            for earlier in masks[:number]:  # found before
                near &= (differing & earlier) != 0
            pair = np.sort(first[np.stack([left[near], right[near]], axis=1)], axis=1)
            found.append(pair)
            distances.append(distance[near])
    pairs, distance = np.concatenate(found), np.concatenate(distances)
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    return NearPairs(pairs[order].astype(np.int64), distance[order])


def _masks(n: int, max_distance: int) -> list[np.uint64]:
    """The choices of bands, as bits, that cost least for n hashes: sorting beside comparing."""

    def cost(chosen: int) -> float:
        bands = max_distance + chosen
        return math.comb(bands, chosen) * (10 * n + n * n / 2 ** (64 * chosen / bands))

    chosen = min(range(1, 5), key=cost)
    bounds = [64 * band // (max_distance + chosen) for band in range(max_distance + chosen + 1)]
    bands = [2**end - 2**start for start, end in itertools.pairwise(bounds)]
    return [np.uint64(sum(choice)) for choice in itertools.combinations(bands, chosen)]


def _agreeing(keys: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The pairs of positions with equal keys, in sorted keys: those one apart, two apart, ..."""
    left = np.arange(len(keys))
    for apart in range(1, len(keys)):
        left = left[left + apart < len(keys)]
        left = left[keys[left] == keys[left + apart]]
        if not len(left):
            return
        yield left, left + apart


def clusters(n: int, pairs: np.ndarray) -> np.ndarray:
    """The cluster of each of n: int64 [n], the smallest index that pairs connect it with.

    Args:
        n: how many there are.
        pairs: int64 [m, 2], which two belong together.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    edges = np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])
    _, component = connected_components(coo_array(edges, shape=(n, n)), directed=False)
    _, first = np.unique(component, return_index=True)
    return first[component].astype(np.int64)
