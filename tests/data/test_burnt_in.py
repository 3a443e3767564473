"""Text and scale bars in pictures that show where they are, and in micrographs where somebody drew rectangles."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage
from skimage.draw import disk

from drgan_lib.config import DatasetSettings, load_experiment
from drgan_lib.data import open_micrographs
from drgan_lib.data.burnt_in import ScaleBar, burnt_in, find_burnt_in
from drgan_lib.data.overlays import covered, read_overlays


def micrograph(seed: int = 0) -> np.ndarray:
    """uint8 [360, 480]: shaded discs on an uneven, grainy ground."""
    random = np.random.default_rng(seed)
    image = np.add.outer(np.linspace(50, 70, 360), np.linspace(0, 10, 480))
    for row, column, radius in zip(*random.uniform([[20], [20], [8]], [[280], [460], [20]], (3, 25)), strict=True):
        inside = disk((row, column), radius, shape=image.shape)
        image[inside] = 120 + 60 * np.hypot(inside[0] - row, inside[1] - column) / radius
    return (ndimage.gaussian_filter(image, 1) + random.normal(0, 6, image.shape)).clip(0, 240).astype(np.uint8)


def written(text: str, place=(330, 310), *, size=24, ink=255, panel=None, lines=()) -> tuple[np.ndarray, np.ndarray]:
    """The micrograph with `text` (centred on row, column) and `lines` (left, top, right, bottom); and what is ink."""
    picture = Image.fromarray(micrograph())
    draw = ImageDraw.Draw(picture)
    if panel is not None:
        draw.rectangle(panel, fill=0 if ink else 255)
    draw.text(place[::-1], text, fill=ink, font=ImageFont.load_default(size), anchor="mm")
    for line in lines:
        draw.rectangle(line, fill=ink)
    image = np.asarray(picture)
    return image, (image == ink) & (micrograph() != ink)


@pytest.mark.parametrize(
    ("text", "place", "more"),
    [
        ("200 nm", (330, 380), {}),
        ("200 nm", (330, 380), {"ink": 0, "panel": (320, 310, 440, 350)}),
        ("(a)", (22, 30), {"size": 36, "panel": (0, 0, 60, 44)}),
        ("EHT = 20.00 kV", (345, 120), {"size": 16}),
    ],
)
def test_text_is_covered_and_little_else(text, place, more):
    image, ink = written(text, place, **more)
    hidden = covered(burnt_in(image / 255).boxes, image.shape)
    assert hidden[ink].mean() > 0.98
    rows, columns = (
        ndimage.find_objects(ink)[0]
        if "panel" not in more
        else (slice(*more["panel"][1::2]), slice(*more["panel"][::2]))
    )
    hidden[max(0, rows.start - 8) : rows.stop + 8, max(0, columns.start - 8) : columns.stop + 8] = False
    assert not hidden.any()


@pytest.mark.parametrize("seed", range(4))
def test_particles_are_no_text(seed):
    assert burnt_in(micrograph(seed) / 255).boxes == ()
    assert burnt_in(np.full((64, 64), 0.5)).boxes == ()


@pytest.mark.parametrize(
    ("text", "lines", "length_px"),
    [
        ("200 nm", [(340, 346, 419, 350)], 80),  # below
        ("1 um", [(300, 310, 449, 314)], 150),  # above, longer than the text
        ("500 nm", [(340, 348, 440, 349), (340, 344, 341, 353), (439, 344, 440, 353)], 101),  # with ends
        ("200 nm", [(260, 329, 330, 331), (432, 329, 470, 331)], 211),  # in halves
        ("2.00um", [(290 + 12 * k, 310, 291 + 12 * k, 316) for k in range(11)], 120),  # a ruler
    ],
)
def test_a_scale_bar_gives_its_length(text, lines, length_px):
    image, ink = written(text, (330, 380), lines=lines)
    found = burnt_in(image / 255)
    assert found.scale_bar is not None
    assert found.scale_bar.length_px == pytest.approx(length_px, abs=2)
    assert covered(found.boxes, image.shape)[ink].mean() > 0.9
    assert found.scale_bar.pixel_nm == found.scale_bar.length_nm / found.scale_bar.length_px


@pytest.mark.parametrize(("text", "length_nm"), [("200 nm", 200), ("1 um", 1000), ("0.5 um", 500), ("2 mm", 2e6)])
def test_lengths_are_read_in_their_units(text, length_nm):
    found = burnt_in(written(text, (325, 380), lines=[(340, 346, 419, 350)])[0] / 255)
    assert found.scale_bar.length_nm == pytest.approx(length_nm)


def test_a_line_beside_other_text_is_no_scale():
    assert burnt_in(written("20 kV", (325, 380), lines=[(340, 346, 419, 350)])[0] / 255).scale_bar is None


def test_a_bar_without_text_is_covered():
    image, ink = written("", lines=[(300, 330, 420, 338)])
    assert covered(burnt_in(image / 255).boxes, image.shape)[ink].all()


@pytest.mark.parametrize(("size_nm", "said"), [(2.5, False), (2.6, False), (5.0, True), (1.25, True)])
def test_a_bar_contradicts_another_pixel_size(size_nm, said):
    bar = ScaleBar("200 nm", 200.0, 80)
    assert bool(bar.contradicts(size_nm)) == said
    assert not said or "200 nm over 80 px, makes pixels of 2.5 nm" in bar.contradicts(size_nm)
    assert not ScaleBar("200 nm", 200.0, 27).contradicts(6.9)  # a short bar is off by its last pixel


def test_text_of_deep_images_and_in_data_bars_is_found(tmp_path):
    image, _ = written("200 nm", (330, 380), lines=[(340, 346, 419, 350)])
    deep = image.astype(np.uint16) * 16
    deep[0, 0] = 65535  # a hot pixel
    tifffile.imwrite(tmp_path / "a.tif", deep)
    assert find_burnt_in(tmp_path / "a.tif").scale_bar == find_burnt_in(tmp_path / "a.tif").scale_bar is not None
    tifffile.imwrite(tmp_path / "a.tif", micrograph())
    assert find_burnt_in(tmp_path / "a.tif").boxes == ()


def test_a_dataset_is_searched_where_its_table_is_silent(tmp_path):
    image, ink = written("200 nm", (330, 380), lines=[(340, 346, 419, 350)])
    for name in "abc":
        tifffile.imwrite(tmp_path / f"{name}.tif", image)
    (tmp_path / "overlays.tsv").write_text("path\ttop\tleft\tbottom\tright\na.tif\t\t\t\t\n")
    opened = open_micrographs(DatasetSettings(path=tmp_path, pixel_size_nm=5.0), tmp_path)
    without, found = opened[0].provenance, opened[1].provenance
    assert without["overlays"] == []
    assert "note" not in without
    assert covered(found["overlays"], image.shape)[ink].mean() > 0.98
    assert "makes pixels of 2.5 nm, but its pixels are said to have 5 nm" in found["note"]
    cut = DatasetSettings(path=tmp_path, pixel_size_nm=2.5, sample_rows=280)
    assert open_micrographs(cut, tmp_path)[1].provenance["overlays"] == []


def test_the_scale_bar_of_a_data_bar_agrees_with_the_tags(datasets):
    micrographs = open_micrographs(load_experiment("tio2_sem").material.dataset, datasets / "tio2_sem")
    for micrograph in micrographs[::8]:
        bar = find_burnt_in(micrograph.provenance["file"]).scale_bar
        assert bar is not None
        assert not bar.contradicts(micrograph.pixel_size_nm)
        assert bar.contradicts(2 * micrograph.pixel_size_nm)
        assert micrograph.provenance["overlays"] == []


def test_what_is_found_in_emps_is_what_was_drawn_by_hand(datasets):
    drawn = read_overlays(datasets / "emps" / "overlays.tsv", list((datasets / "emps" / "images").glob("*.png")))
    hits, misses = 0, 0
    for path, boxes in drawn.items():
        found = find_burnt_in(path).boxes
        shape = np.asarray(Image.open(path)).shape[:2]
        by_hand = covered(boxes, shape)
        for box in boxes:
            inside = covered(found, shape)[box.top : box.bottom, box.left : box.right].any()
            hits, misses = hits + inside, misses + (not inside)
        assert (covered(found, shape) & ~by_hand).mean() < 0.02
    assert misses <= 0.1 * hits
