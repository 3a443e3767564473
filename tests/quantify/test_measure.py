"""From files to tables: discs of known diameter, resumption, and what must not happen to a folder."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image
from scipy import ndimage

from drgan_lib.data import DataError
from drgan_lib.files import read_json
from drgan_lib.quantify import Counting, MeasureError, measure_images, measure_particles, read_table
from tests.quantify.conftest import disc

RADII = (6.0, 9.0, 12.0)
DISCS = [(30, 30, RADII[0]), (30, 80, RADII[1]), (80, 50, RADII[2]), (0, 60, 8.0)]  # the last one is cut
DARK, BRIGHT = 51, 178


@dataclass
class Threshold:
    """A model that finds what `as_image` drew; it counts the images that it was shown, and may be stopped."""

    pixel_size_nm: float | None = 2.0
    shape: str = "sphere"
    min_area_px: int = 50
    weights: str = "first"
    stop_at: int | None = None
    shown: list[tuple[int, int]] = field(default_factory=list)

    def segment(self, image: np.ndarray) -> np.ndarray:
        assert image.dtype == np.float32
        if len(self.shown) == self.stop_at:
            raise KeyboardInterrupt
        self.shown.append(image.shape)
        return ndimage.label(image > (DARK + BRIGHT) / 2 / 255)[0].astype(np.int32)

    def describe(self) -> dict:
        return {"arm": "synthetic", "seed": 0, "weights": self.weights}


def as_image(labels: np.ndarray) -> np.ndarray:
    """8-bit micrograph of what is above 0 in `labels`."""
    return np.where(labels > 0, BRIGHT, DARK).astype(np.uint8)


def draw(shape: tuple[int, int], discs) -> np.ndarray:
    """Labels of discs (row, column, radius), which may be cut by the border."""
    (rows, columns), numbered = shape, enumerate(discs, 1)
    return sum(k * disc(r, centre=(y, x), side=max(shape)) for k, (y, x, r) in numbered)[:rows, :columns]


def run(place, model, out, **more):
    said = []
    return measure_images(place, model, out, log=said.append, **more), said


@pytest.fixture
def model() -> Threshold:
    return Threshold()


@pytest.fixture
def folder(tmp_path):
    """Two micrographs of four discs each, one 8 bit and one 16 bit."""
    where = tmp_path / "images"
    where.mkdir()
    image = as_image(draw((120, 110), DISCS))
    Image.fromarray(image).save(where / "a.png")
    tifffile.imwrite(where / "a_particle.tif", image.T.astype(np.uint16) * 257)
    return where


def test_discs_of_known_diameter_are_measured(folder, model, tmp_path):
    out = tmp_path / "out"
    found, said = run(folder, model, out, pixel_size_nm=2.0, counting=Counting(20))
    truth = measure_particles(draw((120, 110), DISCS), 2.0).sort_values("area_px2", ignore_index=True)
    for name in ("a", "a_particle"):
        table, record = read_table(out / name / "particles")
        table = table.sort_values("area_px2", ignore_index=True)
        np.testing.assert_allclose(table["equivalent_diameter_nm"], truth["equivalent_diameter_nm"])
        whole = table.loc[~table["touches_border"], "equivalent_diameter_nm"]
        np.testing.assert_allclose(whole, [4 * radius for radius in RADII], atol=1.5)
        assert table["touches_border"].sum() == 1
        assert (record["model"], record["pixel_size_nm"]) == (model.describe(), 2.0)
        labels = tifffile.imread(out / name / "labels.tif")
        assert (labels.dtype, labels.max()) == (np.uint16, 4)
        assert Image.open(out / name / "overlay.png").size[0] > 500
    assert len(found.table) == 8
    distribution = found.distributions["equivalent_diameter"]
    assert (distribution.n, distribution.n_border) == (6, 2)
    assert distribution.metrics["d50"].value == pytest.approx(4 * RADII[1], abs=1.5)
    rows = pd.read_csv(out / "distribution.csv").set_index(["size", "figure"])
    row = rows.loc[("equivalent_diameter_nm", "d50")]
    assert row["value"] == pytest.approx(distribution.metrics["d50"].value)
    assert not row["enough"]
    assert rows.loc[("feret_min_nm", "nano_fraction"), "value"] == 1
    assert (out / "distribution.png").is_file()
    lines = "\n".join(found.lines())
    for part in (
        "6 particles counted; left out: 2 on the border, 0 too small",
        "not enough for D50",
        "100 nm: 1 [0.61",
    ):
        assert part in lines
    assert "a: 4 particles" in said
    record = read_json(out / "measurement.json")
    image = record["images"]["a"]
    assert (image["height"], image["width"], image["pixel_size_nm"]) == (120, 110, 2.0)
    assert record["model"]["weights"] == "first"


def test_without_pixel_size_there_is_no_nanometre(folder, model, tmp_path):
    found, said = run(folder, model, tmp_path / "out")
    assert found.unit == "px"
    assert not [name for name in found.table if "_nm" in name]
    assert any("sizes are in px" in line for line in said)
    assert not any("nm" in line for line in found.lines())
    assert found.distributions["equivalent_diameter"].counting.min_area_px == model.min_area_px


def test_no_particle_is_no_error(model, tmp_path):
    ramp = np.tile(np.arange(60, dtype=np.uint8), (70, 1))
    Image.fromarray(ramp).save(tmp_path / "a.png")
    found, said = run(tmp_path / "a.png", model, tmp_path / "out", pixel_size_nm=2.0, thickness=True)
    assert found.table.empty
    assert "equivalent_diameter_nm" in read_table(tmp_path / "out" / "particles")[0]
    assert found.lines() == ["0 particles counted; left out: 0 on the border, 0 too small"]
    assert "a: no particle found" in said


def test_wires_have_a_local_thickness(tmp_path):
    labels = np.zeros((120, 150), np.int32)
    labels[50:58] = 1
    Image.fromarray(as_image(labels)).save(tmp_path / "wire.png")
    run(tmp_path / "wire.png", Threshold(shape="wire"), tmp_path / "out", pixel_size_nm=5.0)
    diameter = tifffile.imread(tmp_path / "out" / "wire" / "thickness.tif")
    assert np.median(diameter[diameter > 0]) == pytest.approx(8)
    shares = pd.read_csv(tmp_path / "out" / "wire" / "thickness.csv")
    assert shares["share_of_pixels"].sum() == pytest.approx(1)
    assert list(shares) == ["from_nm", "to_nm", "share_of_pixels"]
    assert (tmp_path / "out" / "wire" / "thickness.png").is_file()
    run(tmp_path / "wire.png", Threshold(shape="wire"), tmp_path / "not", thickness=False)
    assert not (tmp_path / "not" / "wire" / "thickness.tif").exists()


def test_what_has_no_thickness_is_named(model, tmp_path):
    full = as_image(np.ones((80, 90), int))
    full[0, 0] = BRIGHT + 1
    Image.fromarray(full).save(tmp_path / "full.png")
    said = run(tmp_path / "full.png", model, tmp_path / "out", thickness=True)[1]
    assert [line for line in said if line.startswith("full: no local thickness")]


def test_what_cannot_be_measured_is_left_out_and_may_be_mended(folder, model, tmp_path):
    image = (folder / "a.png").read_bytes()
    (folder / "z.png").write_bytes(b"broken")
    found, said = run(folder, model, tmp_path / "out")
    assert list(found.left_out) == [str(folder / "z.png")]
    assert "z.png" in found.lines()[0]
    assert [line for line in said if line.startswith("left out: ") and "z.png" in line]
    assert len(model.shown) == 2
    (folder / "z.png").write_bytes(image)
    mended, _ = run(folder, model, tmp_path / "out")
    assert len(model.shown) == 3
    assert not mended.left_out
    assert set(mended.table["image"]) == {"a", "a_particle", "z"}
    assert len(read_table(tmp_path / "out" / "particles")[0]) == len(mended.table) == 12


def test_if_no_image_can_be_measured_there_are_no_results(model, tmp_path):
    (tmp_path / "z.png").write_bytes(b"broken")
    with pytest.raises(DataError, match=r"z\.png"):
        run(tmp_path / "z.png", model, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_an_interrupted_measurement_goes_on(folder, model, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        run(folder, Threshold(stop_at=1), out)
    assert sorted(path.name for path in out.iterdir()) == [".lock", "a", "measurement.json", "overlays.tsv"]
    before = (out / "a" / "particles.parquet").stat().st_mtime_ns
    (out / ".a.killed").mkdir()  # as a killed process leaves it
    os.utime(out / ".a.killed", (0, 0))
    found, said = run(folder, model, out)
    assert "1 of 2 images were measured before and are kept" in said
    assert (out / "a" / "particles.parquet").stat().st_mtime_ns == before
    assert not (out / ".a.killed").exists()
    fresh, _ = run(folder, Threshold(), tmp_path / "fresh")
    pd.testing.assert_frame_equal(found.table, fresh.table)
    again, _ = run(folder, model, out)
    assert len(model.shown) == 1
    pd.testing.assert_frame_equal(again.table, fresh.table)


def test_another_measurement_is_not_overwritten(folder, model, tmp_path):
    run(folder, model, tmp_path / "out")
    for other, more, named in (
        (model, {"pixel_size_nm": 3.0}, "images"),
        (model, {"counting": Counting(9)}, "counting"),
        (model, {"sample_rows": 90}, "images, sample_rows"),
        (replace(model, weights="other"), {}, "model"),
        (model, {"thickness": True}, "thickness"),
    ):
        with pytest.raises(MeasureError, match=f"with other {named}; nothing is overwritten"):
            run(folder, other, tmp_path / "out", **more)
    Image.fromarray(as_image(draw((90, 90), DISCS))).save(folder / "c.png")
    with pytest.raises(MeasureError, match="with other images; nothing is overwritten"):
        run(folder, model, tmp_path / "out")
    assert len(model.shown) == 2


def test_a_measurement_without_results_may_change(folder, model, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run(folder, Threshold(stop_at=0), tmp_path / "out")
    found, _ = run(folder, model, tmp_path / "out", pixel_size_nm=2.0)
    assert found.unit == "nm"
    images = read_json(tmp_path / "out" / "measurement.json")["images"].values()
    assert {item["pixel_size_nm"] for item in images} == {2.0}


def test_a_folder_of_something_else_is_left_alone(folder, model, tmp_path):
    (tmp_path / "file").write_text("")
    for out in (folder, tmp_path / "file"):
        with pytest.raises(MeasureError, match="exists and holds no measurement"):
            run(folder, model, out)
    assert sorted(path.name for path in folder.iterdir()) == ["a.png", "a_particle.tif"]
    (tmp_path / "empty").mkdir()
    run(folder, model, tmp_path / "empty")


def test_names_of_pooled_results_are_reserved(folder, model, tmp_path):
    (folder / "a.png").rename(folder / "particles.csv.png")
    with pytest.raises(MeasureError, match=r"particles\.csv: .*rename the image"):
        run(folder, model, tmp_path / "out")


def test_a_large_image_has_a_picture_of_its_middle(model, tmp_path):
    labels = draw((1100, 2100), [(550, 1050, 40), (30, 30, 20)])
    Image.fromarray(as_image(labels)).save(tmp_path / "wide.png")
    run(tmp_path / "wide.png", model, tmp_path / "out")
    picture = np.asarray(Image.open(tmp_path / "out" / "wide" / "overlay_middle.png").convert("RGB")).astype(int)
    assert (np.ptp(picture, axis=2) > 60).mean() > 0.002, "the particle in the middle has its colour"
    assert (tmp_path / "out" / "wide" / "overlay.png").is_file()
