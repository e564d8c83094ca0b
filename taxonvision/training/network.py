"""The network that is trained: built where it is trained, copied from there when it is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras

from taxonvision.errors import UserError
from taxonvision.models.backbones import Backbone, build_backbone
from taxonvision.models.classifier import assemble, logits_of
from taxonvision.training.batch_norm import synchronise_batch_norm
from taxonvision.training.head import Head
from taxonvision.training.stages import set_trainable
from taxonvision.training.strategies import Placement
from taxonvision.training.warm_start import WarmStart


@dataclass(frozen=True)
class NetworkOptions:
    """What is built.

    Attributes:
        backbone: a name that `models.backbones` knows.
        pretrained: start from published weights.
        image_size: side of the input in pixels; None: the backbone's own.
        precision: a policy of Keras: float32, mixed_bfloat16 or mixed_float16, what layers compute
            in; weights and logits are float32 in all of them.
        top_share: which share of the backbone's layers `top_blocks` trains.
        frozen_batch_norm: leave batch normalisation as it is, with the statistics it has; None: if
            training starts from weights. A few thousand photographs are of another kind than those
            of ImageNet but too few to make up for statistics that jump to their own.
    """

    backbone: str = "efficientnet_lite0"
    pretrained: bool = True
    image_size: int | None = None
    precision: str = "float32"
    top_share: float = 0.3
    frozen_batch_norm: bool | None = None


def start_backbone(options: NetworkOptions, warm: WarmStart | None) -> Backbone:
    """A backbone with the weights that training starts from.

    Raises UserError when the weights are not to be had.
    """
    if warm is None:
        return build_backbone(
            options.backbone, pretrained=options.pretrained, image_size=options.image_size
        )
    size = options.image_size or warm.image_size
    built = build_backbone(warm.backbone, pretrained=False, image_size=size)
    try:
        built.model.set_weights(warm.weights)
    except ValueError as error:
        raise UserError(f"the weights do not fit {warm.backbone}: {error}") from None
    return Backbone(built.name, built.model, built.image_size, built.crop_ratio, warm.pretrained)


class Network:
    """A backbone with a head, its variables where a strategy wants them.

    Attributes:
        backbone: the network below the head.
        logits: from float32 [b, S, S, 3], RGB 0–255, to logits float32 [b, C].
    """

    def __init__(
        self,
        options: NetworkOptions,
        placement: Placement,
        warm: WarmStart | None,
        head: Callable[[int], Head],
    ) -> None:
        """The head that training starts from is asked for with the number of features."""
        self._options = options
        self._starts_from_weights = warm is not None or options.pretrained
        keras.config.set_dtype_policy(options.precision)
        try:
            with placement.strategy.scope():
                self.backbone = start_backbone(options, warm)
                first = head(self.backbone.model.outputs[0].shape[-1])
                self._classifier = assemble(self.backbone.model, first.kernel, first.bias)
                self.logits = logits_of(self._classifier)
        finally:
            keras.config.set_dtype_policy("float32")
        synchronise_batch_norm(self.backbone.model, placement.replicas > 1)

    def freeze(self, trained: str) -> None:
        """Make trainable what a stage trains; the head always is."""
        frozen = self._options.frozen_batch_norm
        set_trainable(
            self.backbone.model,
            trained,
            self._options.top_share,
            frozen_batch_norm=self._starts_from_weights if frozen is None else frozen,
        )

    def finished(self) -> keras.Model:
        """A copy in float32 on this device, from photographs to probabilities [N, C]."""
        built = build_backbone(
            self.backbone.name, pretrained=False, image_size=self.backbone.image_size
        )
        *weights, kernel, bias = self._classifier.get_weights()
        copy = assemble(built.model, kernel, bias)
        built.model.set_weights(weights)
        return copy
