"""From files to tables: discs of known diameter, resumption, and what must not happen to a folder."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image

from drgan_lib.data import DataError
from drgan_lib.files import read_json
from drgan_lib.measure import MeasureError, default_out, measure_images
from drgan_lib.quantify import Counting, measure, read_table
from drgan_lib.segmentation.predictions import write_class_map
from tests.measure.conftest import as_image, draw, exact_map

RADII = (6.0, 9.0, 12.0)
DISCS = [(30, 30, RADII[0]), (30, 80, RADII[1]), (80, 50, RADII[2]), (0, 60, 8.0)]  # the last one is cut


@pytest.fixture
def folder(tmp_path):
    """Two micrographs of four discs each, one 8 bit and one 16 bit."""
    where = tmp_path / "images"
    where.mkdir()
    image = as_image(draw((120, 110), DISCS))
    Image.fromarray(image).save(where / "a.png")
    tifffile.imwrite(where / "a_particle.tif", image.T.astype(np.uint16) * 257)
    return where


def run(place, model, network, out, **more):
    said = []
    return measure_images(place, model, out=out, predictor=network, log=said.append, **more), said


def test_discs_of_known_diameter_are_measured(folder, model, network, tmp_path):
    found, said = run(folder, model, network, tmp_path / "out", pixel_size_nm=2.0, counting=Counting(20))
    for name in ("a", "a_particle"):
        table, record = read_table(tmp_path / "out" / name / "particles")
        truth = measure(draw((120, 110), DISCS), 2.0)
        truth = truth.sort_values("area_px2", ignore_index=True)
        table = table.sort_values("area_px2", ignore_index=True)
        np.testing.assert_allclose(table["equivalent_diameter_nm"], truth["equivalent_diameter_nm"])
        whole = table.loc[~table["touches_border"], "equivalent_diameter_nm"]
        np.testing.assert_allclose(whole, [4 * radius for radius in RADII], atol=1.5)
        assert table["touches_border"].sum() == 1
        assert record["arm"] == "synthetic"
        assert record["pixel_size_nm"] == 2.0
        labels = tifffile.imread(tmp_path / "out" / name / "labels.tif")
        assert labels.dtype == np.uint16
        assert labels.max() == 4
        assert Image.open(tmp_path / "out" / name / "overlay.png").size[0] > 500
    assert len(found.table) == 8
    distribution = found.distributions["equivalent_diameter_nm"]
    assert (distribution.n, distribution.n_border) == (6, 2)
    assert distribution.estimates["d50"].value == pytest.approx(4 * RADII[1], abs=1.5)
    rows = pd.read_csv(tmp_path / "out" / "distribution.csv").set_index(["size", "figure"])
    value = rows.loc[("equivalent_diameter_nm", "d50"), "value"]
    assert value == pytest.approx(distribution.estimates["d50"].value)
    assert rows.loc[("feret_min_nm", "nano_fraction"), "value"] == 1
    assert not rows.loc[("equivalent_diameter_nm", "d50"), "enough"]
    assert (tmp_path / "out" / "distribution.png").is_file()
    lines = "\n".join(found.lines())
    assert "6 particles counted; left out: 2 on the border, 0 too small" in lines
    assert "not enough for D50" in lines
    assert "100 %" in lines
    assert "a: 4 particles" in said


def test_without_pixel_size_there_is_no_nanometre(folder, model, network, tmp_path):
    found, said = run(folder, model, network, tmp_path / "out")
    assert found.unit == "px"
    assert not [name for name in found.table if "_nm" in name]
    assert any("sizes are in px" in line for line in said)
    assert not any("nm" in line for line in found.lines())


def test_no_particle_is_no_error(model, network, tmp_path):
    ramp = np.tile(np.arange(60, dtype=np.uint8), (70, 1))
    Image.fromarray(ramp).save(tmp_path / "a.png")
    found, said = run(tmp_path / "a.png", model, network, tmp_path / "out", pixel_size_nm=2.0, thickness=True)
    assert found.table.empty
    assert "equivalent_diameter_nm" in read_table(tmp_path / "out" / "particles")[0]
    assert found.lines() == ["0 particles counted; left out: 0 on the border, 0 too small"]
    assert "a: no particle found" in said
    assert network.shown == [(70, 64)]  # mirrored up to the patch


def test_large_images_are_shown_in_parts_and_come_out_the_same(folder, model, network, tmp_path, monkeypatch):
    whole, _ = run(folder, model, network, tmp_path / "whole")
    monkeypatch.setattr("drgan_lib.measure.measure.windows", small_windows)
    monkeypatch.setattr("drgan_lib.measure.measure.label_windows", small_labels)
    parts, _ = run(folder, model, network, tmp_path / "parts")
    assert len(network.shown) > 6
    columns = ["image", "area_px2", "equivalent_diameter_px", "feret_max_px", "row_px"]
    by_place = [m.table[columns].sort_values(columns, ignore_index=True) for m in (whole, parts)]
    pd.testing.assert_frame_equal(*by_place)


def small_windows(shape, *, overlap_px):
    from drgan_lib.measure.tiles import windows

    return windows(shape, overlap_px=32, side_px=80)


def small_labels(class_map, instances):
    from drgan_lib.measure.tiles import label_windows

    return label_windows(class_map, instances, overlap_px=40, side_px=80)


def test_wires_have_a_local_thickness(model, network, tmp_path):
    labels = np.zeros((120, 150), np.int32)
    labels[50:58] = 1
    Image.fromarray(as_image(labels)).save(tmp_path / "wire.png")
    wires = type(model)(**vars(model) | {"shape": "wire"})
    run(tmp_path / "wire.png", wires, network, tmp_path / "out", pixel_size_nm=5.0)
    diameter = tifffile.imread(tmp_path / "out" / "wire" / "thickness.tif")
    assert np.median(diameter[diameter > 0]) == pytest.approx(8)
    shares = pd.read_csv(tmp_path / "out" / "wire" / "thickness.csv")
    assert shares["share_of_pixels"].sum() == pytest.approx(1)
    assert list(shares) == ["from_nm", "to_nm", "share_of_pixels"]
    assert (tmp_path / "out" / "wire" / "thickness.png").is_file()
    run(tmp_path / "wire.png", wires, network, tmp_path / "not", thickness=False)
    assert not (tmp_path / "not" / "wire" / "thickness.tif").exists()


def test_what_has_no_thickness_is_named(model, network, tmp_path):
    Image.fromarray(as_image(draw((80, 90), DISCS))).save(tmp_path / "full.png")
    said = run(tmp_path / "full.png", model, everything, tmp_path / "out", thickness=True)[1]
    assert [line for line in said if line.startswith("full: no local thickness")]


def everything(model, images, out, log_file, *, log):
    for path in images.glob("*.png"):
        write_class_map(out, path.stem, exact_map(np.ones(np.asarray(Image.open(path)).shape, int)))


def test_every_image_is_checked_before_the_network_starts(folder, model, network, tmp_path):
    (folder / "z.png").write_bytes(b"broken")
    with pytest.raises(DataError, match=r"z\.png"):
        run(folder, model, network, tmp_path / "out")
    assert not network.shown
    assert not (tmp_path / "out").exists()


def test_an_interrupted_measurement_goes_on(folder, model, network, tmp_path, monkeypatch):
    monkeypatch.setattr("drgan_lib.measure.measure.BATCH_PX", 1)

    def interrupted(model, images, out, log_file, *, log):
        if network.shown:
            raise KeyboardInterrupt
        network(model, images, out, log_file)

    with pytest.raises(KeyboardInterrupt):
        run(folder, model, interrupted, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a", "measurement.json"]
    before = (tmp_path / "out" / "a" / "particles.parquet").stat().st_mtime_ns
    found, said = run(folder, model, network, tmp_path / "out")
    assert "1 of 2 images were measured before and are kept" in said
    assert (tmp_path / "out" / "a" / "particles.parquet").stat().st_mtime_ns == before
    fresh, _ = run(folder, model, network, tmp_path / "fresh")
    pd.testing.assert_frame_equal(found.table, fresh.table)
    shown = len(network.shown)
    again, _ = run(folder, model, network, tmp_path / "out")
    assert len(network.shown) == shown
    pd.testing.assert_frame_equal(again.table, fresh.table)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda folder, model: {"pixel_size_nm": 3.0}, "images"),
        (lambda folder, model: {"counting": Counting(9)}, "counting"),
        (lambda folder, model: {"sample_rows": 90}, "images, sample_rows"),
        (lambda folder, model: (model.folder / "checkpoint_final.pth").write_bytes(b"other") and {}, "model"),
        (lambda folder, model: Image.new("L", (90, 90)).save(folder / "c.png"), "images"),
    ],
)
def test_another_measurement_is_not_overwritten(folder, model, network, tmp_path, change, named):
    run(folder, model, network, tmp_path / "out")
    shown = len(network.shown)
    changed = change(folder, model)
    if changed is None:
        Image.fromarray(as_image(draw((90, 90), DISCS))).save(folder / "c.png")
    with pytest.raises(MeasureError, match=f"with other {named}; nothing is overwritten"):
        run(folder, model, network, tmp_path / "out", **changed or {})
    assert len(network.shown) == shown


def test_a_measurement_without_results_may_change(folder, model, network, tmp_path):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(folder, model, interrupted, tmp_path / "out")
    found, _ = run(folder, model, network, tmp_path / "out", pixel_size_nm=2.0)
    assert found.unit == "nm"
    images = read_json(tmp_path / "out" / "measurement.json")["images"].values()
    assert {item["pixel_size_nm"] for item in images} == {2.0}


def test_nnunets_log_stays_with_the_measurement(folder, model, network, tmp_path):
    def logged(model, images, out, log_file, *, log):
        log_file.write_text("what nnU-Net said")
        network(model, images, out, log_file)

    run(folder, model, logged, tmp_path / "out")
    assert (tmp_path / "out" / "nnunet.log").read_text() == "what nnU-Net said"


def test_a_folder_of_something_else_is_left_alone(folder, model, network, tmp_path):
    with pytest.raises(MeasureError, match="exists and holds no measurement"):
        run(folder, model, network, folder)
    (tmp_path / "file").write_text("")
    with pytest.raises(MeasureError, match="exists and holds no measurement"):
        run(folder, model, network, tmp_path / "file")
    assert sorted(path.name for path in folder.iterdir()) == ["a.png", "a_particle.tif"]
    (tmp_path / "empty").mkdir()
    run(folder, model, network, tmp_path / "empty")


def test_names_of_pooled_results_are_reserved(folder, model, network, tmp_path):
    (folder / "a.png").rename(folder / "particles.csv.png")
    with pytest.raises(MeasureError, match=r"particles\.csv: .*rename the image"):
        run(folder, model, network, tmp_path / "out")


def test_the_record_says_what_was_done(folder, model, network, tmp_path):
    run(folder, model, network, tmp_path / "out", pixel_size_nm=2.5)
    record = read_json(tmp_path / "out" / "measurement.json")
    assert record["images"]["a"]["pixel_size_nm"] == 2.5
    assert record["images"]["a"]["shape"] == [120, 110]
    assert record["model"]["arm"] == "synthetic"
    assert len(record["model"]["weights"]) == 1


def test_the_default_folder_is_named_after_what_is_measured(tmp_path):
    assert str(default_out(tmp_path / "my image.tif")) == "my image_measured"
    assert str(default_out([tmp_path / "b", tmp_path / "c"])) == "b_measured"


def test_a_large_image_has_a_picture_of_its_middle(model, network, tmp_path):
    labels = draw((1100, 2100), [(550, 1050, 40), (30, 30, 20)])
    Image.fromarray(as_image(labels)).save(tmp_path / "wide.png")
    run(tmp_path / "wide.png", model, network, tmp_path / "out")
    picture = np.asarray(Image.open(tmp_path / "out" / "wide" / "overlay_middle.png").convert("RGB")).astype(int)
    assert (np.ptp(picture, axis=2) > 60).mean() > 0.002, "the particle in the middle has its colour"
    assert (tmp_path / "out" / "wide" / "overlay.png").is_file()
