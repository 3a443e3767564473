import numpy as np
import pytest

from drgan_lib.data.patches import Repeats


@pytest.fixture
def scene():
    rng = np.random.default_rng(0)
    return np.kron(rng.random((40, 40)), np.ones((8, 8))).astype(np.float32)  # 320 x 320


@pytest.mark.parametrize(("shift", "accepted"), [((0, 0), False), ((24, 16), False), ((40, 40), True), ((0, 96), True)])
def test_windows_with_more_than_half_in_common_repeat(scene, shift, accepted):
    repeats = Repeats(0.9, 0.5)
    assert repeats.accept(scene[80:208, 80:208])
    window = scene[80 + shift[0] : 208 + shift[0], 80 + shift[1] : 208 + shift[1]]
    assert repeats.accept(0.5 * window + 0.2) is accepted  # contrast and brightness do not matter
    assert repeats.refused == (not accepted)


def test_different_patches_and_flat_ones_are_accepted():
    rng, repeats = np.random.default_rng(0), Repeats(0.9, 0.5)
    assert all(repeats.accept(np.kron(rng.random((16, 16)), np.ones((8, 8)))) for _ in range(10))
    assert repeats.accept(np.zeros((128, 128)))
