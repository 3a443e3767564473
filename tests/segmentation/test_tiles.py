"""Windows: they cover every pixel once, and what lies on their borders comes out as in the whole image."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from drgan_lib.segmentation.instances import BorderCore, border_core
from drgan_lib.segmentation.metrics import match
from drgan_lib.segmentation.tiles import apply_windows, label_windows, windows
from tests.segmentation.conftest import draw, exact_map

SIDES = st.integers(1, 400)


@given(SIDES, SIDES, st.integers(20, 120), st.integers(0, 19))
def test_cores_are_a_partition_and_windows_are_bounded(height, width, side, overlap):
    parts, covered = windows((height, width), overlap_px=overlap, side_px=side), np.zeros((height, width), int)
    for part in parts:
        covered[part.core] += 1
        assert max(part.shape) <= side if len(parts) > 1 else math.prod(part.shape) <= side**2
        for inner, outer, core, size in zip(part.inner, part.outer, part.core, (height, width), strict=True):
            assert inner.stop - inner.start == core.stop - core.start > 0
            assert 0 <= outer.start <= core.start < core.stop <= outer.stop <= size
            if len(parts) > 1:
                assert outer.start == 0 or core.start - outer.start == overlap // 2
                assert outer.stop == size or outer.stop - core.stop == overlap // 2
    assert (covered == 1).all()


def test_an_overlap_without_an_end_is_refused():
    with pytest.raises(ValueError, match="less than the side of 64 px, got 64"):
        windows((500, 500), overlap_px=64, side_px=64)


def test_maps_with_several_channels_are_put_together_from_their_cores():
    image = np.random.default_rng(0).random((150, 210))
    twice = apply_windows(image, lambda part: np.stack([part, 2 * part]), overlap_px=16, side_px=64)
    assert len(windows(image.shape, overlap_px=16, side_px=64)) > 6
    np.testing.assert_array_equal(twice, [image, 2 * image])


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 10_000), st.integers(60, 110))
def test_discs_in_windows_are_those_of_the_whole_image(seed, side):
    rng = np.random.default_rng(seed)
    centres = rng.permutation(np.stack(np.meshgrid(np.arange(8, 200, 13), np.arange(8, 230, 13)), -1).reshape(-1, 2))
    discs = [(*(centre + rng.uniform(-2, 2, 2)), rng.uniform(2, 7)) for centre in centres[:150]]  # some of them touch
    class_map = exact_map(draw((200, 230), discs))
    method = BorderCore()
    whole = border_core(class_map, method)
    tiled = label_windows(class_map, lambda m: border_core(m, method), overlap_px=40, side_px=side)
    assert tiled.dtype == np.int32
    found = match(whole, tiled)
    # The watershed breaks ties in the order of the pixels, so that a disc on a border may lose a sliver to it.
    assert len(found.true_ids) >= whole.max() - 2
    assert tiled.max() <= whole.max() + 4
    assert np.mean(found.detections.iou) > 0.98
    assert np.median(found.detections.iou) == 1
    np.testing.assert_array_equal(whole > 0, tiled > 0)
    assert set(np.unique(tiled)) == set(range(tiled.max() + 1))


def test_components_larger_than_a_window_are_joined():
    y, x = np.mgrid[:300, :300]
    spiral = np.sin(np.hypot(y - 150, x - 150) / 4 + np.arctan2(y - 150, x - 150)) > 0.5
    mask = spiral | (np.abs(y - 40) < 3)
    class_map = exact_map(mask.astype(np.int32))
    tiled = label_windows(class_map, lambda m: ndimage.label(m.particle > 0)[0], overlap_px=32, side_px=80)
    # parts of a component that meet outside of a window are apart within it, so joins can be missed, never wrong
    whole = ndimage.label(mask)[0]
    assert ((tiled > 0) == mask).all()
    assert all(len(np.unique(whole[tiled == k])) == 1 for k in range(1, tiled.max() + 1))


def test_a_wire_across_all_windows_is_one():
    mask = np.zeros((120, 400), np.int32)
    mask[58:63] = 1
    mask[:, 200:204] = 1
    tiled = label_windows(exact_map(mask), lambda m: ndimage.label(m.particle > 0)[0], overlap_px=32, side_px=70)
    assert tiled.max() == 1


def test_an_empty_map_has_no_labels():
    class_map = exact_map(np.zeros((200, 200), np.int32))
    labels = label_windows(class_map, lambda m: border_core(m, BorderCore()), overlap_px=16, side_px=64)
    assert labels.shape == (200, 200)
    assert not labels.any()


def test_functions_of_a_neighbourhood_do_not_see_the_windows():
    mask = draw((150, 220), [(60, 75, 30), (90, 150, 25)]) > 0
    expected = ndimage.uniform_filter(mask.astype(np.float32), 9)
    got = apply_windows(
        mask, lambda part: ndimage.uniform_filter(part.astype(np.float32), 9), overlap_px=20, side_px=64
    )
    np.testing.assert_allclose(got, expected, atol=1e-6)
