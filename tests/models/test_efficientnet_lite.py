import math

import numpy as np
import pytest

from taxonvision.models.efficientnet_lite import VARIANTS, blocks, efficientnet_lite

IMAGENET_HEAD = 1281 * 1000


@pytest.mark.parametrize(
    ("variant", "published"),
    # The table of efficientnet/lite/README.md, with the 1000-class head, in thousands.
    [
        ("0", 4652),
        ("1", 5416),
        *(pytest.param(*row, marks=pytest.mark.slow) for row in [("2", 6092), ("3", 8197)]),
        pytest.param("4", 13006, marks=pytest.mark.slow),
    ],
)
def test_has_the_published_number_of_parameters(variant, published):
    model = efficientnet_lite(f"efficientnet_lite{variant}", 64)
    trained = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    assert (trained + IMAGENET_HEAD) // 1000 == published
    assert model.output_shape == (None, 1280)
    assert model.input_shape == (None, 64, 64, 3)


def test_first_and_last_stage_are_never_deepened():
    for variant in VARIANTS:
        names = [block.name for block in blocks(variant)]
        assert [name for name in names if name[5] in "17"] == ["block1a", "block7a"]
    assert [block.name for block in blocks("efficientnet_lite4")][-9:-1] == [
        f"block6{letter}" for letter in "abcdefgh"
    ]


def test_takes_bytes_as_they_are_and_scales_inside():
    model = efficientnet_lite("efficientnet_lite0", 32)
    assert model.get_layer("scale")(np.array([127.0, 255.0])).numpy().tolist() == [0.0, 1.0]
    assert model.get_layer("stem_conv").padding == "same"
    assert model.dtype == "float32"
