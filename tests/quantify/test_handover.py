"""What other programs open: the same particles, by their own readers."""

from __future__ import annotations

import json

import numpy as np
import pytest
import roifile
import tifffile
from skimage.draw import disk, polygon2mask

from drgan_lib.quantify import measure_particles
from drgan_lib.quantify.handover import outlines, write_geojson, write_labels, write_rois


@pytest.fixture
def labels() -> np.ndarray:
    """A disc, a ring, and a particle in two parts, at a corner and an edge."""
    made = np.zeros((60, 80), np.int32)
    made[disk((20, 20), 9)] = 3
    made[disk((40, 50), 12)] = 7
    made[disk((40, 50), 5)] = 0
    made[0:4, 70:80] = made[10:14, 70:80] = 9
    return made


def filled(labels: np.ndarray, lines) -> np.ndarray:
    found = np.zeros(labels.shape, int)
    for number, line in lines:
        found[polygon2mask(labels.shape, line[:, ::-1] - 0.5)] = number
    return found


def test_outlines_hold_their_particles(labels):
    found = filled(labels, outlines(labels))
    holes = np.where(labels == 0, found, 0)
    assert (found[labels > 0] == labels[labels > 0]).mean() > 0.97
    assert set(np.unique(holes)) == {0, 7}, "an outline is the outer one"
    assert [number for number, _ in outlines(labels)] == [3, 7, 9, 9]


def test_imagej_reads_the_rois(labels, tmp_path):
    write_rois(outlines(labels), tmp_path / "rois.zip")
    rois = roifile.roiread(tmp_path / "rois.zip")
    assert [roi.name.split("-")[0] for roi in rois] == ["00003", "00007", "00009", "00009"]
    (disc, *_) = rois
    assert abs((disc.left + disc.right) / 2 - 20.5) <= 1
    assert 16 <= disc.right - disc.left <= 19


def test_geojson_has_a_polygon_and_the_sizes_of_each_particle(labels, tmp_path):
    table = measure_particles(labels, 2.0)
    write_geojson(outlines(labels), table, tmp_path / "a.geojson")
    read = json.loads((tmp_path / "a.geojson").read_text())
    assert read["type"] == "FeatureCollection"
    for feature in read["features"]:
        (ring,) = feature["geometry"]["coordinates"]
        assert ring[0] == ring[-1]
        row = table.set_index("id").loc[feature["properties"]["label"]]
        assert feature["properties"]["measurements"]["area_nm2"] == row["area_nm2"]


@pytest.mark.parametrize("size_nm", [None, 7.344])
def test_labels_keep_ids_and_scale(labels, tmp_path, size_nm):
    write_labels(labels, tmp_path / "l.tif", pixel_size_nm=size_nm)
    with tifffile.TiffFile(tmp_path / "l.tif") as file:
        np.testing.assert_array_equal(file.asarray(), labels)
        assert file.imagej_metadata["unit"] == ("pixel" if size_nm is None else "nm")
        if size_nm:
            n, per = file.pages[0].tags["XResolution"].value
            assert per / n == pytest.approx(size_nm, rel=1e-5)
    write_labels(labels * 10_000, tmp_path / "many.tif", pixel_size_nm=size_nm)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "many.tif"), labels * 10_000)


def test_without_particles_all_is_empty(tmp_path):
    nothing = np.zeros((9, 9), np.int32)
    write_rois(outlines(nothing), tmp_path / "rois.zip")
    write_geojson(outlines(nothing), measure_particles(nothing), tmp_path / "a.geojson")
    write_labels(nothing, tmp_path / "l.tif")
    assert json.loads((tmp_path / "a.geojson").read_text())["features"] == []
