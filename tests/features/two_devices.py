"""Features from two logical CPUs under strategies; prints OK. Run as a process of its own."""

from __future__ import annotations

import sys

import numpy as np

from taxonvision.models.engine import load_keras

keras = load_keras()
import tensorflow as tf  # noqa: E402

from taxonvision.features import extract  # noqa: E402


def backbone():
    """Convolution and normalisation, with statistics that are not those of the start."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((8, 8, 3))
    hidden = keras.layers.Conv2D(6, 3)(inputs)
    hidden = keras.layers.BatchNormalization()(hidden)
    model = keras.Model(inputs, keras.layers.GlobalAveragePooling2D()(hidden))
    random = np.random.default_rng(0)
    model.set_weights([random.uniform(0.5, 2, w.shape) for w in model.get_weights()])
    return model


def main():
    two = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], two)
    extract._KERAS_BATCH = 4
    pixels = np.random.default_rng(1).integers(0, 256, (8, 8, 8, 3), np.uint8)
    model = backbone()
    expected = model(pixels.astype(np.float32), training=False).numpy()
    extract._accelerated = lambda _: True
    used = []
    for strategy in (None, tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])):
        network = extract.for_strategy(model, strategy)
        assert (network is model) == (strategy is None)
        extractor = extract.FeatureExtractor(network, strategy)
        used.append(extractor.batch)
        for count in range(1, extractor.batch + 1):
            features = extractor.of(pixels[:count])
            assert features.dtype == np.float32
            assert features.shape == (count, 6)
            assert np.abs(features - expected[:count]).max() < 1e-3, count
    assert used == [4, 8]
    from taxonvision.features.space import weights_digest

    print("OK", weights_digest(network) == weights_digest(model) == weights_digest(backbone()))


if __name__ == "__main__":
    sys.exit(main())
