"""A trained backbone for photographs of another size: by the network itself, or by a resize.

A head knows the features of the size it was trained at. EfficientNet-Lite0 with a head trained at
224 pixels (100 butterflies, 500 photographs, 88.0 %) named 80.0 % at 299 pixels (`at_size`), with
half of its confidence gone, and 88.2 % of the same photographs shrunk in the graph
(`behind_a_resize`). So `at_size` is for a head that is trained again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from taxonvision.errors import UserError
from taxonvision.models.backbones import build_backbone, check_name
from taxonvision.models.engine import load_keras

if TYPE_CHECKING:
    import keras


def at_size(
    backbone_name: str, backbone: keras.Model, size: int, needed_by: str = "--profile=inat"
) -> keras.Model:
    """The network with the same weights for photographs of `size` × `size` pixels.

    Convolutions run at any size; weights with a place in the picture, such as a transformer's
    position embeddings, do not.

    Args:
        backbone_name: what builds the network again (`models.backbones.build_backbone`).
        backbone: from RGB 0–255 float32 [N, S, S, 3] to features [N, D]. It is returned as it is
            where S is `size` already.
        size: the side of the photograph in pixels.
        needed_by: what asks for this size, for the message.

    Raises:
        UserError: the network cannot run at this size.
    """
    if tuple(backbone.inputs[0].shape[1:3]) == (size, size):
        return backbone
    refusal = (
        f"{backbone_name} cannot run at {size} × {size}, which {needed_by} needs; "
        f"train with --image_size={size}"
    )
    try:
        check_name(backbone_name)
    except UserError:  # a network from elsewhere
        raise UserError(refusal) from None
    try:
        resized = build_backbone(backbone_name, pretrained=False, image_size=size).model
    except UserError as error:
        raise UserError(f"{refusal} ({error})") from None
    weights = backbone.get_weights()
    if [weight.shape for weight in weights] != [tuple(v.shape) for v in resized.weights]:
        raise UserError(refusal)
    resized.set_weights(weights)
    return resized


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
