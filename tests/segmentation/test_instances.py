"""Instances of hand-made class maps whose truth is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import ndimage

from drgan_lib.classes import three_class
from drgan_lib.segmentation.instances import BorderCore, ClassMap, border_core, plain
from drgan_lib.segmentation.metrics import score

CLASSES = arrays(np.uint8, (7, 8), elements=st.integers(0, 2))
SETTINGS = st.builds(
    BorderCore, level=st.floats(0, 0.95), neck=st.floats(0, 1), contour_px=st.none() | st.integers(1, 4)
)


def certain(classes: np.ndarray) -> ClassMap:
    """The class map of a network that is sure of `classes`."""
    return ClassMap(classes, (classes == 1).astype(np.float32), (classes == 2).astype(np.float32))


def discs(shape: tuple[int, int], *circles: tuple[float, float, float]) -> np.ndarray:
    """Instances of discs (row, column, radius), later ones on top."""
    labels, (yy, xx) = np.zeros(shape, int), np.indices(shape)
    for label, (y, x, radius) in enumerate(circles, 1):
        labels[(yy - y) ** 2 + (xx - x) ** 2 < radius**2] = label
    return labels


def with_gaps(truth: np.ndarray, share: float, seed: int = 0) -> np.ndarray:
    """The label of `truth`, but with `share` of the contour between touching particles taken for particle."""
    classes = three_class(truth, 1)
    lost = (classes == 2) & (truth > 0) & (np.random.default_rng(seed).random(truth.shape) < share)
    return np.where(lost, 1, classes).astype(np.uint8)


def test_components_are_separated_by_contour_and_by_corners():
    classes = np.array([[1, 1, 2, 1], [1, 1, 2, 1], [2, 2, 1, 2], [0, 0, 1, 0]])
    assert plain(classes).tolist() == [[1, 1, 0, 2], [1, 1, 0, 2], [0, 0, 3, 0], [0, 0, 3, 0]]


def test_a_gap_in_the_contour_merges_neighbours():
    classes = np.array([[1, 2, 1], [1, 1, 1], [1, 2, 1]])
    assert plain(classes).max() == 1


def test_nothing_predicted_gives_no_instance():
    assert plain(np.full((4, 5), 2)).max() == 0
    assert border_core(certain(np.full((4, 5), 2)), BorderCore()).max() == 0


def test_shape_is_checked():
    with pytest.raises(ValueError, match="shape"):
        plain(np.zeros((1, 4, 4)))


@pytest.mark.parametrize("contour_px", [1, 4])
@pytest.mark.parametrize("neck", [0.0, 0.6])
def test_a_perfect_contour_gives_the_truth_with_the_lines_that_it_gave_up(neck: float, contour_px: int):
    truth = np.pad(np.kron(np.array([[1, 1, 2]]), np.ones((9, 9), int)), 5)
    found = border_core(certain(three_class(truth, contour_px)), BorderCore(0, neck, contour_px))
    assert (found > 0).tolist() == (truth > 0).tolist()
    assert score(truth, found)["pq"] == 1
    assert score(truth, plain(three_class(truth, 1)))["sq"] < 0.98


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_a_dotted_contour_still_separates_at_every_size(scale: int):
    circles = np.array([(20, 20, 10), (20, 36, 9), (34, 27, 9)]) * scale
    truth = discs((50 * scale, 50 * scale), *circles)
    classes = certain(with_gaps(truth, 0.6 if scale < 4 else 0.8))
    assert score(truth, plain(classes.classes))["tp"] == 0
    figures = score(truth, border_core(classes, BorderCore(level=0, neck=0.75)), min_area=20)
    assert (figures["tp"], figures["fp"]) == (3, 0)
    assert figures["sq"] > 0.85


def test_a_faint_contour_separates_by_the_level():
    truth = np.pad(np.kron(np.array([[1, 2]]), np.ones((12, 12), int)), 2)
    classes = (truth > 0).astype(np.uint8)
    contour = np.where(three_class(truth, 1) == 2, 0.4, 0.02).astype(np.float32)
    faint = ClassMap(classes, 1 - contour, contour)
    assert border_core(faint, BorderCore(level=0.1, neck=0)).max() == 1
    found = border_core(faint, BorderCore(level=0.5, neck=0))
    assert score(truth, found)["tp"] == 2
    assert (found > 0).tolist() == (truth > 0).tolist()


def test_bent_and_crossing_wires_stay_whole():
    rows, columns = np.indices((120, 160))
    bent = np.abs(rows - 30 - 25 * np.sin(columns / 40)) < 4
    crossing = np.abs(rows - 90) < 4, np.abs(columns - 80) < 4
    assert border_core(certain(bent.astype(np.uint8)), BorderCore()).max() == 1
    cross = (crossing[0] | crossing[1]) & (rows > 65)
    assert border_core(certain(cross.astype(np.uint8)), BorderCore()).max() == 1


@pytest.mark.parametrize(("neck", "count"), [(0.45, 1), (0.55, 2)])
def test_the_saddle_is_measured_against_the_thinner_part(neck: float, count: int):
    dumbbell = np.zeros((60, 90), np.uint8)  # 41 and 21 pixels wide, joined by a neck of 11
    dumbbell[10:51, 5:46], dumbbell[20:41, 60:81], dumbbell[25:36, 40:70] = 1, 1, 1
    assert border_core(certain(dumbbell), BorderCore(level=0, neck=neck)).max() == count


def test_a_particle_that_fills_the_image_is_one():
    assert (border_core(certain(np.ones((40, 30), np.uint8)), BorderCore(neck=0.9)) == 1).all()


def test_a_component_without_core_is_kept():
    doubtful = ClassMap(
        *(np.full((6, 6), value, dtype) for value, dtype in ((1, np.uint8), (0.5, float), (0.3, float)))
    )
    assert (border_core(doubtful, BorderCore(level=0.9)) == 1).all()


def test_a_line_belongs_to_the_larger_neighbour_and_the_background_to_none():
    classes = np.array([[1, 1, 1, 2, 1, 2, 0]] * 3, np.uint8)
    assert border_core(certain(classes), BorderCore(level=0, neck=0)).tolist() == [[1, 1, 1, 1, 2, 0, 0]] * 3


def test_a_wide_line_and_a_spot_belong_to_particles_and_the_outer_contour_to_none():
    truth = np.pad(np.kron(np.array([[1, 2]]), np.ones((12, 12), int)), 4)
    classes = three_class(truth, 2)
    classes[4:-4, 15:17], classes[9:11, 9:11] = 2, 2
    found = border_core(certain(classes), BorderCore(level=0, neck=0, contour_px=2))
    assert (found > 0).tolist() == (truth > 0).tolist()
    assert score(truth, found)["sq"] > 0.9
    assert (border_core(certain(classes), BorderCore(level=0, neck=0)) > 0).sum() == (truth > 0).sum() - 2 * 12 - 4


def uncertain(classes: np.ndarray, seed: int) -> ClassMap:
    """A class map with random probabilities."""
    return ClassMap(classes, *np.random.default_rng(seed).random((2, *classes.shape)).astype(np.float32) / 2)


def in_pieces(labels: np.ndarray) -> list[int]:
    """The instances that are not 4-connected."""
    return [number for number in range(1, labels.max() + 1) if ndimage.label(labels == number)[1] != 1]


def test_cores_that_touch_by_a_corner_leave_no_instance_in_pieces():
    classes = np.ones((7, 8), np.uint8)
    classes[[3, 4], [4, 3]] = 0
    found = border_core(uncertain(classes, seed=0), BorderCore(level=0, neck=1))
    assert in_pieces(np.where(classes == 1, found, 0)) == []


@given(CLASSES, SETTINGS, st.integers(0, 2**31))
@settings(max_examples=150, deadline=None)
def test_invariants(classes: np.ndarray, method: BorderCore, seed: int):
    found = border_core(uncertain(classes, seed), method)
    assert found.dtype == np.int32
    assert np.unique(found[found > 0]).tolist() == list(range(1, found.max() + 1))
    assert (found[classes == 1] > 0).all()
    assert not found[classes == 0].any()
    assert in_pieces(np.where(classes == 1, found, 0)) == []  # nor does any join two components of `plain`


@given(CLASSES)
@settings(max_examples=60, deadline=None)
def test_without_level_and_neck_it_is_plain_with_the_lines(classes: np.ndarray):
    found = border_core(certain(classes), BorderCore(level=0, neck=0))
    assert (np.where(classes == 1, found, 0) == plain(classes)).all()


@pytest.mark.parametrize(("name", "value"), [("level", 1.0), ("level", -0.1), ("neck", 1.1), ("neck", float("nan"))])
def test_settings_are_checked(name: str, value: float):
    with pytest.raises(ValueError, match=name):
        BorderCore(**{name: value})


def test_gaps_in_contours_cost_border_core_less():
    rng = np.random.default_rng(0)
    truth = discs((256, 256), *zip(*rng.uniform(0, 256, (2, 31)), rng.uniform(12, 22, 31), strict=True))
    classes = certain(with_gaps(truth, 0.4))
    assert score(truth, border_core(classes, BorderCore()))["pq"] > score(truth, plain(classes.classes))["pq"] + 0.4
