"""A trained backbone for photographs of another size, by a resize in the graph.

A head knows the features of the size it was trained at. EfficientNet-Lite0 with a head trained at
224 pixels (100 butterflies, 500 photographs, 88.0 %) named 80.0 % of photographs of 299 pixels when
the network itself was run at that size, with half of its confidence gone, and 88.2 % of the same
photographs shrunk in the graph.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from taxonvision.models.engine import load_keras

if TYPE_CHECKING:
    import keras


def behind_a_resize(backbone: keras.Model, size: int) -> keras.Model:
    """The network as it was trained, behind a bilinear resize in the graph.

    It runs with every network, and needs no more time than at the size it was trained at.

    Args:
        backbone: from RGB 0–255 float32 [N, S, S, 3] to features [N, D]. It is returned as it is
            where S is `size` already.
        size: the side in pixels of the photographs that the result reads, [N, size, size, 3].
    """
    keras = load_keras()
    side = backbone.inputs[0].shape[1]
    if side == size:
        return backbone
    image = keras.Input((size, size, 3), dtype="float32", name="photograph")
    # Float32 under every precision policy: in bfloat16 neighbouring levels would fall together.
    resize = keras.layers.Resizing(side, side, dtype="float32", name="resize")
    return keras.Model(image, backbone(resize(image)), name=backbone.name)
