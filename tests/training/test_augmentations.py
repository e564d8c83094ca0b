from __future__ import annotations

import subprocess
import sys

import pytest

from taxonvision.training.augmentations import AUGMENTATIONS, MixingOptions


def test_the_recipes_go_from_nothing_to_all():
    assert list(AUGMENTATIONS) == ["none", "light", "standard", "strong"]
    assert AUGMENTATIONS["none"].photograph is None
    assert [recipe.mixing.any for recipe in AUGMENTATIONS.values()] == [False, False, False, True]
    areas = [AUGMENTATIONS[name].photograph.least_area for name in ("light", "standard", "strong")]
    assert areas == sorted(areas, reverse=True)
    assert min(areas) > 0.3  # small animals stay in the picture


def test_strong_has_every_kind_of_mixing():
    mixing = AUGMENTATIONS["strong"].mixing
    assert min(mixing.mixup_alpha, mixing.cutmix_alpha, mixing.operations, mixing.magnitude) > 0


def test_a_recipe_is_not_changed_by_accident():
    with pytest.raises(TypeError):
        AUGMENTATIONS["none"] = AUGMENTATIONS["strong"]


def test_names_are_known_without_tensorflow():
    code = "import sys, taxonvision.training.augmentations; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("mixup_alpha", -0.1),
        ("mixup_alpha", 0.01),
        ("mixup_alpha", float("nan")),
        ("cutmix_alpha", 1.1),
        ("operations", -1),
        ("magnitude", 0.0),
        ("magnitude", 1.1),
        ("magnitude", float("nan")),
    ],
)
def test_numbers_out_of_range(name, wrong):
    with pytest.raises(ValueError, match=name):
        MixingOptions(**{name: wrong})
