"""From a network's probabilities to classes."""

import numpy as np
import pytest

from drgan_lib.segmentation.instances import ClassMap, of_probabilities


def test_classes_at_a_seam_count_with_those_they_come_from():
    """Five pixels: each certain of one class; a sixth that only the sum makes a particle."""
    five = np.array(
        [[1, 0, 0, 0, 0, 0.4], [0, 1, 0, 0, 0, 0.3], [0, 0, 1, 0, 0, 0], [0, 0, 0, 1, 0, 0.3], [0] * 4 + [1, 0]]
    )
    found = of_probabilities(five[:, None].astype(np.float16))
    assert found.classes.tolist() == [[0, 1, 2, 1, 2, 1]]
    np.testing.assert_allclose(found.particle, [[0, 1, 0, 1, 0, 0.6]], atol=1e-3)
    np.testing.assert_allclose(found.border, [[0, 0, 1, 1, 1, 0.3]], atol=1e-3)
    three = of_probabilities(five[:3, None])
    assert three.classes.tolist() == [[0, 1, 2, 0, 0, 0]]
    np.testing.assert_allclose(three.border, five[2:3])
    with pytest.raises(ValueError, match="3 or 5 classes, got 4"):
        of_probabilities(five[:4, None])


def test_probabilities_are_rounded_to_16_bits_and_do_not_exceed_one():
    given = np.random.default_rng(0).dirichlet([1, 1, 1], size=(6, 9)).transpose(2, 0, 1)
    found = of_probabilities(given)
    assert found.particle.dtype == np.float32
    np.testing.assert_allclose(found.particle * 65535, np.round(found.particle * 65535), atol=0.01)
    assert np.abs(found.particle - given[1]).max() <= 0.5001 / 65535
    assert (of_probabilities(np.full((3, 1, 2), np.float32(1.000001))).particle == 1).all()


def test_shapes_and_classes_are_checked():
    with pytest.raises(ValueError, match="one shape"):
        ClassMap(np.zeros((2, 3), np.uint8), np.zeros((2, 3)), np.zeros((3, 2)))
    with pytest.raises(ValueError, match="got the class 3"):
        ClassMap(np.full((2, 3), 3, np.uint8), np.zeros((2, 3)), np.zeros((2, 3)))
