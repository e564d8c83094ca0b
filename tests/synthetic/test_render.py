import numpy as np
import pytest

from taxonvision.synthetic.render import draw_empty_scene, draw_encounter, draw_photograph
from taxonvision.synthetic.scenes import BACKGROUNDS, draw_background
from taxonvision.synthetic.species import make_species

SPECIES = make_species(60, seed=0)


@pytest.mark.parametrize("size", [32, 61, 224])
def test_a_photograph_is_rgb_of_the_size_asked_for(size):
    image = draw_photograph(SPECIES[0], np.random.default_rng(0), size)
    assert (image.mode, image.size) == ("RGB", (size, size))


def test_a_large_photograph_can_be_drawn():
    assert draw_photograph(SPECIES[1], np.random.default_rng(0), 1500).size == (1500, 1500)


def test_photographs_depend_on_the_generator_alone():
    first, again, other = (
        draw_photograph(SPECIES[2], np.random.default_rng(seed), 96).tobytes() for seed in (5, 5, 6)
    )
    assert first == again
    assert first != other


@pytest.mark.parametrize("species", SPECIES[::4], ids=lambda one: one.scientific_name)
def test_every_kind_of_animal_can_be_drawn_in_many_poses(species):
    for number in range(6):
        pixels = np.asarray(draw_photograph(species, np.random.default_rng(number), 64))
        assert pixels.std() > 4  # no blank picture


def test_the_animal_is_in_the_picture():
    """Without camera noise, a scene with the animal differs from the scene without."""
    rng = np.random.default_rng(3)
    encounter = draw_encounter(rng)
    pictures = [
        np.asarray(draw_photograph(one, np.random.default_rng(8), 128, encounter), np.float32)
        for one in (SPECIES[0], SPECIES[8])
    ]
    middle = np.s_[40:88, 40:88]
    assert np.abs(pictures[0][middle] - pictures[1][middle]).mean() > 10


@pytest.mark.parametrize("kind", sorted(BACKGROUNDS))
def test_every_background_can_be_drawn(kind):
    place, rng = np.random.default_rng(1), np.random.default_rng(2)
    image = draw_background(kind, 80, place, rng)
    assert (image.mode, image.size) == ("RGB", (80, 80))


def test_empty_scenes_are_drawn_and_repeatable():
    first, again = (draw_empty_scene(np.random.default_rng(4), 64).tobytes() for _ in range(2))
    assert first == again
