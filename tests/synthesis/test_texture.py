"""Textures: random fields of known spread and length, and what they leave of an image."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drgan_lib.synthesis import sources
from drgan_lib.synthesis.sources import bare_support, lay_texture, random_field


def drawn(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize("length_px", [1.0, 3.0, 8.0])
def test_a_field_has_the_correlation_of_filtered_white_noise(monkeypatch, length_px):
    """White noise under a Gaussian of length s is correlated by exp(-d^2 / (4 s^2))."""
    monkeypatch.setattr(sources, "ELONGATION", (1.0, 1.0))
    fields = [random_field((128, 160), length_px, generator=drawn(k)) for k in range(40)]
    for field in fields:
        assert field.mean() == pytest.approx(0, abs=1e-9)
        assert field.std() == pytest.approx(1)
    for distance in (1, 2, 4, 8):
        expected = np.exp(-(distance**2) / (4 * length_px**2))
        for axis in (0, 1):
            found = np.mean([(field * np.roll(field, distance, axis)).mean() for field in fields])
            assert found == pytest.approx(expected, abs=0.03)


def test_an_elongated_field_is_longer_one_way(monkeypatch):
    monkeypatch.setattr(sources, "ELONGATION", (4.0, 4.0))
    field = random_field((256, 256), 2.0, generator=drawn())
    spectrum = np.abs(np.fft.fft2(field)) ** 2
    v, u = np.fft.fftfreq(256)[:, None], np.fft.fftfreq(256)[None]
    moments = np.array([[(spectrum * a * b).sum() for a in (u, v)] for b in (u, v)])
    small, large = np.linalg.eigvalsh(moments)
    assert np.sqrt(large / small) == pytest.approx(4, rel=0.1)


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=30, deadline=None)
def test_texture_is_slight_and_drawn_from_its_generator_alone(seed):
    image = np.full((48, 64), 0.1)
    image[10:30, 20:44] = 0.7
    textured = lay_texture(image, generator=drawn(seed))
    assert (textured.dtype, textured.shape) == (np.float32, image.shape)
    assert 0 <= textured.min() <= textured.max() <= 1
    inside = np.s_[14:26, 24:40]
    assert textured[inside].mean() - textured[34:].mean() > 0.3, "particles stay brighter than the support"
    np.testing.assert_array_equal(textured, lay_texture(image, generator=drawn(seed)))
    assert (textured != lay_texture(image, generator=drawn(seed + 1))).any()


def test_a_bare_support_is_as_bright_as_the_background_of_its_image():
    image = np.full((64, 64), 0.2) + drawn().normal(0, 0.02, (64, 64))
    instances = np.zeros((64, 64), int)
    instances[:32], image[:32] = 1, 0.9
    supports = [bare_support(image, instances, generator=drawn(seed)) for seed in range(20)]
    assert np.median(supports) == pytest.approx(0.2, abs=0.02)
    assert max(np.percentile(support, 90) for support in supports) < 0.5, "nothing of the particles is left"


def test_an_image_full_of_particles_has_a_support_too():
    support = bare_support(np.full((32, 32), 0.4), np.ones((32, 32), int), generator=drawn())
    assert np.median(support) == pytest.approx(0.4, abs=0.1)
