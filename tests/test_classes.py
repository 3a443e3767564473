import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from drgan_lib.classes import SEAM, three_class, with_seams

# Few ids on few pixels touch in every way; blocks of 2 x 2 give larger instances than single pixels do.
maps = st.tuples(
    hnp.arrays(
        np.uint16,
        hnp.array_shapes(min_dims=2, max_dims=2, max_side=9),
        elements=st.sampled_from([0, 1, 2, 3, 70]),
    ),
    st.integers(1, 3),
).map(lambda pair: np.kron(pair[0], np.ones((pair[1], pair[1]), np.uint16)))
widths = st.integers(1, 5)


def city_block_distance(mask):
    """Distance of each pixel to the nearest one of `mask`, by comparing all pairs."""
    points = np.argwhere(mask)
    grid = np.stack(np.indices(mask.shape), -1)[:, :, None]
    return np.abs(grid - points).sum(-1).min(-1) if len(points) else np.full(mask.shape, np.inf)


@given(maps, widths)
@settings(deadline=None, max_examples=150)
def test_components_of_the_particle_class_lie_in_one_instance(instances, width):
    components, count = ndimage.label(three_class(instances, width) == 1)
    for component in range(1, count + 1):
        assert len(np.unique(instances[components == component])) == 1


@given(maps, widths)
@settings(deadline=None, max_examples=150)
def test_classes_partition_and_particles_lie_on_instances(instances, width):
    label = three_class(instances, width)
    assert label.dtype == np.uint8
    assert label.shape == instances.shape
    assert set(np.unique(label)) <= {0, 1, 2}
    assert (instances[label == 1] > 0).all()
    assert (instances[label == 0] == 0).all()


@given(maps, widths)
@settings(deadline=None, max_examples=150)
def test_contour_on_background_is_all_within_the_width(instances, width):
    label, background = three_class(instances, width), instances == 0
    near = city_block_distance(~background) <= width
    np.testing.assert_array_equal((label == 2) & background, near & background)


@given(maps, widths)
@settings(deadline=None, max_examples=150)
def test_instances_lose_only_what_touches_another(instances, width):
    label = three_class(instances, width)
    for instance in np.unique(instances[instances > 0]):
        own = instances == instance
        touching = ndimage.binary_dilation((instances > 0) & ~own) & own
        assert (label[own & ~touching] == 1).all()


@given(maps, widths)
@settings(deadline=None, max_examples=50)
def test_the_smallest_instance_keeps_all_its_pixels(instances, width):
    ids, areas = np.unique(instances[instances > 0], return_counts=True)
    if ids.size:
        assert (three_class(instances, width)[instances == ids[np.argmin(areas)]] == 1).all()


def test_two_touching_particles_in_full():
    instances = np.zeros((5, 9), int)
    instances[1:4, 1:3] = 4
    instances[1:4, 3:7] = 9
    expected = [
        [0, 2, 2, 2, 2, 2, 2, 0, 0],
        [2, 1, 1, 2, 1, 1, 1, 2, 0],
        [2, 1, 1, 2, 1, 1, 1, 2, 0],
        [2, 1, 1, 2, 1, 1, 1, 2, 0],
        [0, 2, 2, 2, 2, 2, 2, 0, 0],
    ]
    np.testing.assert_array_equal(three_class(instances, 1), expected)


def test_ids_may_be_renumbered():
    rng = np.random.default_rng(0)
    instances = np.zeros((40, 40), int)
    for k, (row, column) in enumerate(rng.integers(0, 30, (12, 2)), start=1):
        instances[row : row + k // 2 + 2, column : column + 4] = k
    ids, areas = np.unique(instances[instances > 0], return_counts=True)
    keep = ids[np.unique(areas, return_index=True)[1]]
    instances[~np.isin(instances, keep)] = 0
    shuffled = np.append(0, rng.permutation(np.arange(100, 112)))[instances]
    np.testing.assert_array_equal(three_class(instances, 2), three_class(shuffled, 2))


def test_an_empty_map_is_background():
    assert not three_class(np.zeros((4, 6), np.uint16), 4).any()


@pytest.mark.parametrize(
    ("instances", "width", "message"),
    [
        (np.zeros((4, 4, 3), int), 1, "2-D integer"),
        (np.zeros((4, 4)), 1, "2-D integer"),
        (np.zeros((4, 4), int), 0, "contour_px >= 1"),
        (np.full((4, 4), -1), 1, "ids >= 0"),
    ],
)
def test_what_is_no_instance_map_is_refused(instances, width, message):
    with pytest.raises(ValueError, match=message):
        three_class(instances, width)


@given(maps, widths, st.integers(0, 3))
@settings(deadline=None, max_examples=150)
def test_seams_are_where_two_instances_are_near(instances, width, seam):
    label = three_class(instances, width)
    found = with_seams(label, instances, seam)
    np.testing.assert_array_equal(np.where(found > 2, found - SEAM, found), label)
    for other in (np.int64, np.uint64, np.int32):
        np.testing.assert_array_equal(with_seams(label, instances.astype(other) * 10**7, seam), found)
    for (row, column), value in np.ndenumerate(found):
        near = instances[max(row - seam, 0) : row + seam + 1, max(column - seam, 0) : column + seam + 1]
        assert (value > 2) == (label[row, column] > 0 and len(np.unique(near[near > 0])) > 1)


def test_a_seam_is_a_band_between_neighbours_alone():
    instances = np.zeros((5, 12), np.uint16)
    instances[:, 1:4], instances[:, 4:8], instances[:, 11] = 1, 2, 3
    label = with_seams(three_class(instances, 1), instances, 2)
    assert label[2].tolist() == [2, 1, 3, 3, 4, 3, 1, 1, 2, 0, 2, 1]
