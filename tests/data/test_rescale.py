"""The working resolution: images without folded detail, labels and rectangles in their place, settings that follow."""

import json

import numpy as np
import pandas as pd
import pytest
import tifffile

from drgan_lib.config import ConfigError, DatasetSettings, load_experiment
from drgan_lib.data import load_patches, prepare, rescaled
from drgan_lib.data.rescale import resize, resize_labels, scaled_shape
from drgan_lib.samples import Sample, SampleSet


def disc(size, radius, centre):
    y, x = np.indices((size, size)) + 0.5
    return np.hypot(y - centre[0], x - centre[1]) < radius


def test_the_same_size_changes_nothing():
    samples = SampleSet.of([Sample("a", np.eye(5))])
    assert rescaled(samples, 1.0) is samples
    image, labels = np.random.default_rng(0).random((7, 9)), np.arange(63).reshape(7, 9)
    assert resize(image, (7, 9)) is image
    assert resize_labels(labels, (7, 9)) is labels


@pytest.mark.parametrize("scale", [0.25, 0.4, 0.7, 1.5, 3.0])
def test_a_constant_stays_and_a_ramp_keeps_its_place(scale):
    shape = scaled_shape((60, 90), scale)
    assert resize(np.full((60, 90), 0.3, np.float32), shape) == pytest.approx(0.3, abs=1e-6)
    ramp = np.tile((np.arange(90, dtype=np.float32) + 0.5) / 90, (60, 1))
    middle = slice(shape[1] // 6, -(shape[1] // 6))
    expected = (np.arange(shape[1]) + 0.5) / shape[1]
    np.testing.assert_allclose(resize(ramp, shape)[0, middle], expected[middle], atol=2e-3)


def test_detail_too_fine_for_the_new_pixels_does_not_come_back_as_a_pattern():
    stripes = np.tile(np.arange(120) % 2, (120, 1)).astype(np.float32)
    small = resize(stripes, scaled_shape(stripes.shape, 0.4))
    assert small[5:-5, 5:-5].std() < 0.02
    assert small.mean() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("scale", [0.3, 0.4, 0.5, 2.0])
def test_labels_go_to_the_working_resolution_and_back(scale):
    labels = 3 * disc(200, 40, (70.0, 80.0)) + 7 * disc(200, 30, (130.0, 145.5))
    small = resize_labels(labels, scaled_shape(labels.shape, scale))
    assert set(np.unique(small)) == {0, 3, 7}
    for label in (3, 7):
        assert (small == label).sum() / scale**2 == pytest.approx((labels == label).sum(), rel=0.02)
    back = resize_labels(small, labels.shape)
    assert ((back > 0) & (labels == back)).sum() / ((back > 0) | (labels > 0)).sum() > 0.97
    np.testing.assert_array_equal(resize_labels(labels.T, small.T.shape), small.T)


def test_labels_come_back_smooth():
    """Nearest neighbours would leave steps as wide as the small pixels, an error of a quarter of one on average."""
    truth = disc(250, 100, (125.0, 125.0)).astype(np.int32)
    small = disc(50, 20, (25.0, 25.0)).astype(np.int32)
    nearest = small.repeat(5, 0).repeat(5, 1)
    assert (resize_labels(small, truth.shape) != truth).sum() < 0.7 * (nearest != truth).sum()


def test_neighbours_stay_apart_where_a_line_parts_them_and_touch_where_none_does():
    labels = np.zeros((40, 60), int)
    labels[10:30, 5:20], labels[10:30, 21:40], labels[10:30, 40:55] = 1, 2, 3
    row = resize_labels(labels, (100, 150))[50]
    ends = [np.flatnonzero(row == label)[[0, -1]] for label in (1, 2, 3)]
    assert np.diff(np.ravel(ends)).tolist() == pytest.approx([37, 3, 47, 1, 37], abs=1)
    assert np.diff(np.ravel(ends))[3] == 1, "nothing between the second and the third"


def test_a_sample_is_rescaled_with_all_that_is_known_of_it():
    about = {"file": "a.png", "overlays": [[10, 0, 21, 33], [0, 0, 5, 5]]}
    sample = Sample("a", np.ones((50, 80)), 2.0, disc(80, 20, (25, 25))[:50].astype(int), provenance=about)
    (small,) = rescaled(SampleSet.of([sample]), 0.4)
    assert (small.image.shape, small.instances.shape, small.pixel_size_nm) == ((20, 32), (20, 32), 5.0)
    assert small.provenance["overlays"] == [[4, 0, 9, 14], [0, 0, 2, 2]], "grown to whole pixels"
    assert small.provenance["working_scale"] == 0.4
    (bare,) = rescaled(SampleSet.of([Sample("b", np.ones((10, 10)))]), 0.5)
    assert (bare.instances, bare.pixel_size_nm, bare.image.shape) == (None, None, (5, 5))


@pytest.mark.parametrize("scale", [0, 0.05, 5, -1, "half"])
def test_a_scale_out_of_range_is_refused(scale):
    with pytest.raises(ConfigError, match=r"dataset\.working_scale"):
        load_experiment("tio2_sem", "demo", {"dataset.working_scale": scale})


def test_sizes_in_nm_and_pixel_sizes_follow_the_scale():
    sizes = {"layout.sizes.law": "lognormal", "layout.sizes.unit": "nm", "layout.sizes.sigma": 0.1}
    overrides = {**sizes, "layout.sizes.median": 200, "dataset.pixel_size_nm": 2.0, "dataset.working_scale": 0.25}
    material = load_experiment("tio2_sem", "demo", overrides).material
    assert material.dataset.working_pixel_size_nm == 8.0
    assert 200 * material.scene_units("nm") * material.scene_unit_px == pytest.approx(25.0)
    assert DatasetSettings(path="mine").working_pixel_size_nm is None


def test_a_twin_is_rendered_at_the_working_resolution():
    own = load_experiment("microspheres_sem").material.dataset
    twin = load_experiment("microspheres_sem", "demo", {"dataset.twin_of": "microspheres_sem"}).material.dataset
    assert own.working_scale != 1
    assert (twin.pixel_size_nm, twin.working_scale) == (own.working_pixel_size_nm, 1.0)
    with pytest.raises(ConfigError, match="rendered at the working resolution"):
        load_experiment("twin", "demo", {"dataset.working_scale": 0.5})


def test_patches_are_of_the_working_resolution_and_records_of_the_files(user_folder, tmp_path):
    for path in user_folder.glob("*.tif"):
        tifffile.imwrite(path, tifffile.imread(path).repeat(2, 0).repeat(2, 1))  # 400 x 480
    head = "path\ttop\tleft\tbottom\tright\n"
    (user_folder / "overlays.tsv").write_text(head + "".join(f"sample_{k}.tif\t351\t0\t399\t61\n" for k in range(6)))
    settings = {"dataset.path": user_folder, "dataset.pixel_size_nm": 3.0, "dataset.working_scale": 0.5}
    patches = {"patches.size_px": 96, "scene.size_px": 96, "patches.min_particles": 1, "patches.stride_px": 24}
    exp = load_experiment("tio2_sem", "demo", {**settings, **patches})
    selection = prepare(exp, user_folder, tmp_path / "data")
    record = json.loads((tmp_path / "data" / "dataset.json").read_text())
    assert (record["pixel_size_nm"], record["working_scale"]) == (3.0, 0.5)
    assert record["median_particle_diameter_px"] == pytest.approx(17, abs=2)
    train, _ = load_patches(tmp_path / "data")
    assert {(patch.image.shape, patch.pixel_size_nm) for patch in train} == {((96, 96), 6.0)}
    assert selection.counts["refused_for_overlays"] > 0
    kept = pd.read_csv(tmp_path / "data" / "overlays.tsv", sep="\t")
    assert set(map(tuple, kept.drop(columns="path").to_numpy())) == {(351, 0, 399, 61)}
