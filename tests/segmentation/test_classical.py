"""Otsu and watershed on discs of known place and size."""

import numpy as np
import pytest
from skimage.filters import threshold_otsu

from drgan_lib.segmentation.classical import otsu_watershed
from drgan_lib.segmentation.instances import plain
from drgan_lib.segmentation.metrics import score

APART = ((20, 20, 12), (20, 60, 9), (60, 25, 10))
TOUCHING = ((30, 24, 13), (30, 47, 13))


def picture(circles: tuple, noise: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Image float [80, 80] and instances of bright discs (row, column, radius)."""
    labels, (yy, xx) = np.zeros((80, 80), int), np.indices((80, 80))
    for label, (y, x, radius) in enumerate(circles, 1):
        labels[((yy - y) ** 2 + (xx - x) ** 2 < radius**2) & (labels == 0)] = label
    return 0.2 + 0.5 * (labels > 0) + np.random.default_rng(0).normal(0, noise, labels.shape), labels


@pytest.mark.parametrize("circles", [APART, TOUCHING])
def test_discs_are_found_and_counted(circles: tuple):
    image, truth = picture(circles, noise=0.1)
    figures = score(truth, plain(otsu_watershed(image).classes), min_area=20)
    assert (figures["tp"], figures["fp"], figures["fn"]) == (len(circles), 0, 0)
    assert figures["sq"] > 0.85


def test_without_smoothing_and_noise_the_pixels_are_those_above_otsus_threshold():
    image, _ = picture(APART)
    found = otsu_watershed(image, smoothing_px=0)
    assert ((found.classes > 0) == (image > threshold_otsu(image))).all()


def test_only_the_line_between_touching_particles_is_contour():
    found = otsu_watershed(picture(TOUCHING)[0])
    rows, columns = np.nonzero(found.classes == 2)
    assert len(rows) > 3
    assert np.abs(columns - 35.5).max() <= 1.5
    assert not otsu_watershed(picture(APART)[0]).border.any()


def test_a_hole_is_filled():
    image, _ = picture(((40, 40, 20),))
    image[38:43, 38:43] = 0.2
    assert (plain(otsu_watershed(image).classes)[38:43, 38:43] == 1).all()


def test_the_gray_scale_does_not_matter():
    image, _ = picture(TOUCHING, noise=0.05)
    assert (otsu_watershed(image).classes == otsu_watershed(1000 * image + 7).classes).all()


def test_probabilities_are_those_of_the_classes():
    found = otsu_watershed(picture(TOUCHING)[0])
    assert ((found.particle == 1) == (found.classes == 1)).all()
    assert ((found.border == 1) == (found.classes == 2)).all()


def test_a_constant_image_has_no_particle():
    assert not otsu_watershed(np.full((30, 40), 0.4)).classes.any()


def test_bad_images_are_refused():
    with pytest.raises(ValueError, match="one channel"):
        otsu_watershed(np.zeros((10, 10, 3)))
    with pytest.raises(ValueError, match="finite"):
        otsu_watershed(np.full((4, 4), np.nan))
