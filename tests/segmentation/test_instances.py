import numpy as np
import pytest

from drgan_lib.segmentation import plain


def test_components_are_separated_by_contour_and_by_corners():
    classes = np.array([[1, 1, 2, 1], [1, 1, 2, 1], [2, 2, 1, 2], [0, 0, 1, 0]])
    assert plain(classes).tolist() == [[1, 1, 0, 2], [1, 1, 0, 2], [0, 0, 3, 0], [0, 0, 3, 0]]


def test_a_gap_in_the_contour_merges_neighbours():
    classes = np.array([[1, 2, 1], [1, 1, 1], [1, 2, 1]])
    assert plain(classes).max() == 1


def test_nothing_predicted_gives_no_instance():
    assert plain(np.full((4, 5), 2)).max() == 0


def test_shape_is_checked():
    with pytest.raises(ValueError, match="shape"):
        plain(np.zeros((1, 4, 4)))
