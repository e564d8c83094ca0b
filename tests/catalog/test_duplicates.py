import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageEnhance

from taxonvision.catalog.duplicates import MAX_DISTANCE, clusters, near_pairs, perceptual_hash


def scene(seed, size=(400, 300)):
    """Blots of many colours and sizes; dark enough to become a tenth brighter without clipping."""
    random = np.random.default_rng(seed)
    image = Image.new("RGB", size, (90, 110, 70))
    draw = ImageDraw.Draw(image)
    for _ in range(30):
        x, y = random.uniform(0, size[0]), random.uniform(0, size[1])
        a, b = random.uniform(10, 120, 2)
        colour = tuple(random.integers(0, 230, 3).tolist())
        draw.ellipse((x - a, y - b, x + a, y + b), fill=colour)
    return image


def encoded(image, quality):
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def hashes_of(*images):
    found = [perceptual_hash(image) for image in images]
    assert all(isinstance(value, int) and 0 <= value < 2**64 for value in found)
    return found


def distance(one, other):
    return (one ^ other).bit_count()


# Hashes.


@pytest.mark.parametrize(
    "vary",
    [
        lambda image: encoded(image, 60),
        lambda image: image.resize((200, 150), Image.Resampling.BICUBIC),
        lambda image: image.resize((1203, 901), Image.Resampling.BICUBIC),
        lambda image: ImageEnhance.Brightness(image).enhance(0.9),
        lambda image: ImageEnhance.Brightness(image).enhance(1.1),
        lambda image: image.convert("L").convert("RGB"),
    ],
    ids=["encoded anew", "halved", "enlarged", "darker", "brighter", "grey"],
)
def test_a_photograph_and_its_variation_are_near_duplicates(vary):
    images = [scene(seed) for seed in range(8)]
    before, after = hashes_of(*images), hashes_of(*map(vary, images))
    assert max(map(distance, before, after)) <= MAX_DISTANCE


def test_different_photographs_are_far_apart():
    found = hashes_of(*(scene(seed) for seed in range(30)))
    assert not len(near_pairs(np.array(found, np.uint64), 8).pairs)


def test_a_turned_photograph_is_another():
    image = scene(0)
    one, other = hashes_of(image, image.transpose(Image.Transpose.ROTATE_180))
    assert distance(one, other) > MAX_DISTANCE


def test_the_hash_is_that_of_imagehash():
    import imagehash

    small = scene(3, size=(32, 32))
    assert f"{perceptual_hash(small):016x}" == str(imagehash.phash(small))


def flat_images():
    random = np.random.default_rng(0)
    for grey in (0, 17, 255):
        yield Image.new("RGB", (400, 300), (grey, grey, grey))
    yield Image.new("RGB", (400, 300), (200, 30, 60))
    yield Image.new("RGB", (1, 1), "white")
    noise = random.normal(4, 3, (300, 400, 3)).clip(0, 255).astype(np.uint8)  # a lens cap
    yield encoded(Image.fromarray(noise), 80)
    yield encoded(Image.fromarray(255 - noise), 80)
    two = Image.new("RGB", (400, 300))
    two.paste("white", (0, 0, 200, 300))
    yield two


@pytest.mark.parametrize("image", list(flat_images()))
def test_a_flat_image_has_no_hash(image):
    assert perceptual_hash(image) is None


def test_a_dim_photograph_has_one():
    dim = ImageEnhance.Contrast(scene(1)).enhance(0.2)
    assert distance(*hashes_of(scene(1), dim)) <= MAX_DISTANCE


# Pairs.


def closed(pairs, n):
    """All (i, j) that a pair joins when copies, pairs at distance 0, stand for each other."""
    copies = clusters(n, pairs.pairs[pairs.distances == 0])
    joined = {frozenset((copies[i], copies[j])) for i, j in pairs.pairs.tolist()}
    return {
        (i, j)
        for i in range(n)
        for j in range(i + 1, n)
        if copies[i] == copies[j] or frozenset((copies[i], copies[j])) in joined
    }


def brute_force(hashes, max_distance):
    n = len(hashes)
    return {
        (i, j)
        for i in range(n)
        for j in range(i + 1, n)
        if distance(hashes[i], hashes[j]) <= max_distance
    }


def flipped(value, bits):
    for bit in bits:
        value ^= 1 << bit
    return value


any_hash = st.integers(0, 2**64 - 1)
few_flips = st.lists(st.integers(0, 63), max_size=10)
crowds = st.lists(any_hash, min_size=1, max_size=3).flatmap(
    lambda centres: st.lists(st.builds(flipped, st.sampled_from(centres), few_flips), max_size=40)
)


@given(crowds, st.integers(0, 10))
def test_near_pairs_are_those_of_brute_force(hashes, max_distance):
    found = near_pairs(np.array(hashes, np.uint64), max_distance)
    assert closed(found, len(hashes)) == brute_force(hashes, max_distance)
    assert found.pairs.dtype == np.int64
    assert found.pairs.shape == (len(found.distances), 2)
    listed = [tuple(pair) for pair in found.pairs.tolist()]
    assert listed == sorted(set(listed))
    for (i, j), apart in zip(listed, found.distances.tolist(), strict=True):
        assert i < j
        assert distance(hashes[i], hashes[j]) == apart


@given(crowds, st.integers(1, 8), st.integers(0, 20))
def test_many_pairs_are_thinned_and_join_the_same(hashes, max_distance, many):
    n = len(hashes)
    hashes = np.array(hashes, np.uint64)
    everything = near_pairs(hashes, max_distance)
    thinned = near_pairs(hashes, max_distance, many)
    listed = set(map(tuple, thinned.pairs.tolist()))
    assert len(listed) == len(thinned.pairs)
    assert listed <= set(map(tuple, everything.pairs.tolist()))
    assert (clusters(n, thinned.pairs) == clusters(n, everything.pairs)).all()


def test_a_crowd_of_near_duplicates_stays_within_bounds():
    random = np.random.default_rng(0)
    flips = np.uint64(1) << random.integers(0, 64, (1000, 3)).astype(np.uint64)
    crowd = np.uint64(2**63 + 12345) ^ np.bitwise_or.reduce(flips, axis=1)
    found = near_pairs(crowd, 4, many=1_000)
    assert len(found.pairs) < 3_000 < 50_000 < len(near_pairs(crowd, 4).pairs)
    assert not clusters(1000, found.pairs).any()


def test_ten_thousand_copies_give_ten_thousand_pairs():
    hashes = np.full(10_000, 2**63 + 1, np.uint64)
    hashes[0] = hashes[9_999] = 2**63 + 3
    found = near_pairs(hashes)
    assert len(found.pairs) == 9_999
    assert found.pairs[0].tolist() == [0, 1]
    assert np.bincount(found.distances).tolist() == [9_998, 1]
    assert not clusters(10_000, found.pairs).any()


def test_all_near_pairs_are_found_among_many_random_hashes():
    random = np.random.default_rng(0)
    hashes = random.integers(0, 2**64, 100_000, dtype=np.uint64)
    for apart in range(1, 7):  # hashes 100·apart .. are varied in so many bits
        for k in range(100):
            bits = random.choice(64, apart, replace=False).tolist()
            hashes[50_000 + 100 * apart + k] = flipped(int(hashes[100 * apart + k]), bits)
    found = near_pairs(hashes, 4)
    assert [tuple(pair) for pair in found.pairs.tolist()] == [
        (k, 50_000 + k) for k in range(100, 500)
    ]
    assert found.distances.tolist() == [k // 100 for k in range(100, 500)]


# Clusters.


@given(st.data(), st.integers(1, 30))
def test_clusters_are_those_of_union_find(data, n):
    members = st.integers(0, n - 1)
    pairs = data.draw(st.lists(st.tuples(members, members), max_size=40))
    parent = list(range(n))

    def root(k):
        while parent[k] != k:
            k = parent[k]
        return k

    for one, other in pairs:
        low, high = sorted((root(one), root(other)))
        parent[high] = low  # so that the root is the smallest member
    found = clusters(n, np.array(pairs, np.int64).reshape(-1, 2))
    assert found.tolist() == [root(k) for k in range(n)]
    assert found.dtype == np.int64


def test_nobody_and_nothing():
    nothing = near_pairs(np.empty(0, np.uint64))
    assert nothing.pairs.shape == (0, 2)
    assert len(nothing.distances) == 0
    assert clusters(0, nothing.pairs).tolist() == []
    assert clusters(3, nothing.pairs).tolist() == [0, 1, 2]
    assert len(near_pairs(np.array([7], np.uint64)).pairs) == 0
