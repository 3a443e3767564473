import numpy as np
import pytest
from scipy import ndimage

from drgan_lib.gan.likeness import DEFINITIONS, edge_profile, likeness, photon_transfer, radial_spectrum, told_apart


def discs(n, *, noise=0.01, blur=1.0, seed=0, gain=1.0):
    """Bright discs on a dark ground, float [n, 96, 96]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:96, :96]
    images = []
    for _ in range(n):
        centres = rng.uniform(20, 76, size=(3, 2))
        inside = np.any([np.hypot(y - a, x - b) < 12 for a, b in centres], axis=0)
        images.append(ndimage.gaussian_filter(0.2 + 0.5 * gain * inside, blur) + noise * rng.normal(size=(96, 96)))
    return np.array(images)


def test_equal_sets_are_at_no_distance_and_cannot_be_told_apart():
    images = discs(20)
    found = likeness(images, images.copy())
    assert found.keys() == DEFINITIONS.keys()
    assert {name: value for name, value in found.items() if value > 1e-9} == {"told_apart": 0.5}


@pytest.mark.parametrize(
    ("statistic", "change"),
    [("gray", {"gain": 0.8}), ("gradient", {"blur": 3.0}), ("noise", {"noise": 0.03}), ("edge", {"blur": 3.0})],
)
def test_each_statistic_sees_its_own(statistic, change):
    real, alike, other = discs(30), discs(30, seed=1), discs(30, seed=1, **change)
    assert likeness(real, other)[statistic] > 3 * likeness(real, alike)[statistic]
    assert told_apart(real, other) >= 0.8 > 0.75 > told_apart(real, alike)


def test_photon_transfer_gives_the_noise_of_flat_squares():
    rng = np.random.default_rng(3)
    flat = np.array([level + sigma * rng.normal(size=(96, 96)) for level, sigma in ((0.25, 0.01), (0.75, 0.04))])
    found = photon_transfer(flat)
    assert np.exp(found[[2, 7]]) == pytest.approx([0.01, 0.04], rel=0.05)
    assert np.isnan(np.delete(found, [2, 7])).all()


def test_the_spectrum_of_a_wave_is_at_its_frequency():
    y = np.arange(128)
    assert radial_spectrum(np.tile(np.sin(2 * np.pi * 10 * y / 128), (128, 1))).argmax() == 10 - 1


def test_the_profile_of_a_sharp_edge_is_a_step():
    profile = edge_profile(discs(10, noise=0.001, blur=0.01))
    assert profile[:5] == pytest.approx(0.7, abs=0.04)
    assert profile[-5:] == pytest.approx(0.2, abs=0.04)


def test_sizes_that_differ_are_refused():
    with pytest.raises(ValueError, match=r"two sets of images .* of one size, got"):
        likeness(discs(2), discs(2)[:, :50])
