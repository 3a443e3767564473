"""Burnt-in text: the table of its rectangles, and that none of it is learned from."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from drgan_lib.config import ROOT, DatasetSettings, PatchSettings, load_experiment
from drgan_lib.data import DataError, open_micrographs, read_registry, rescaled, select_patches
from drgan_lib.data.overlays import covered, read_overlays, touches
from drgan_lib.samples import SampleSet

HEAD = "path\ttop\tleft\tbottom\tright\n"


def boxes(size=20):
    edge = st.tuples(st.integers(0, size - 1), st.integers(1, size)).map(lambda pair: (pair[0], pair[0] + pair[1]))
    return st.lists(st.tuples(edge, edge).map(lambda e: (e[0][0], e[1][0], e[0][1], e[1][1])), max_size=3)


@settings(max_examples=60, deadline=None)
@given(boxes(), st.integers(0, 14), st.integers(0, 14), st.integers(1, 6))
def test_a_window_touches_what_covers_one_of_its_pixels(rectangles, row, column, size):
    shown = covered(rectangles, (20, 20))
    assert touches(rectangles, row, column, size) == shown[row : row + size, column : column + size].any()


def test_the_table_gives_the_rectangles_of_each_image(tmp_path):
    images = [tmp_path / "images" / name for name in ("a.png", "b.png")]
    table = tmp_path / "overlays.tsv"
    assert read_overlays(table, images) == {}
    table.write_text(HEAD + "images/a.png\t0\t1\t2\t3\nimages/a.png\t4\t5\t6\t7\n")
    assert read_overlays(table, images) == {images[0]: ((0, 1, 2, 3), (4, 5, 6, 7))}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path\ttop\tleft\nimages/a.png\t0\t0\n", "columns bottom, right are missing"),
        (HEAD.replace("\t", ","), "with tabs between them"),
        (HEAD + "images/a.png\t0\t0\t2\t2\nimages/z.png\t0\t0\t2\t2\n", r"overlays\.tsv, line 3: .*'images/z\.png'"),
        (HEAD + "images/a.png\t5\t0\t5\t2\n", r"line 2: expected whole numbers .* got top '5'.* bottom '5'"),
        (HEAD + "images/a.png\t0\t4\t5\t2\n", "line 2: expected whole numbers"),
        (HEAD + "images/a.png\t-1\t0\t5\t2\n", "line 2: expected whole numbers"),
        (HEAD + "images/a.png\t0.5\t0\t5\t2\n", "line 2: expected whole numbers"),
        (HEAD + "images/a.png\t0\t0\t5\n", "line 2: expected whole numbers .* right ''"),
    ],
)
def test_a_malformed_table_is_refused_with_its_line(tmp_path, text, message):
    (tmp_path / "overlays.tsv").write_text(text)
    with pytest.raises(DataError, match=message):
        read_overlays(tmp_path / "overlays.tsv", [tmp_path / "images" / "a.png"])


def test_a_rectangle_beyond_the_image_is_refused(user_folder):
    (user_folder / "overlays.tsv").write_text(HEAD + "sample_0.tif\t180\t0\t201\t9\n")
    with pytest.raises(DataError, match=r"sample_0\.tif: .* rows 180 to 201 .* 200 x 240 px"):
        open_micrographs(DatasetSettings(path=user_folder), user_folder)[0]
    cropped = DatasetSettings(path=user_folder, sample_rows=170)  # the rectangle lies in the data bar
    read = open_micrographs(cropped, user_folder)[0]
    assert read.provenance["overlays"] == [[180, 0, 201, 9]]
    assert not covered(read.provenance["overlays"], read.image.shape).any()


def test_bright_text_never_enters_a_patch(user_folder):
    for path in user_folder.glob("*.tif"):
        pixels = np.minimum(tifffile.imread(path), 250)
        pixels[150:162, 20:60:3] = 255  # strokes, of a kind that particles are not
        tifffile.imwrite(path, pixels)
    choice = PatchSettings(size_px=64, stride_px=16, min_particles=1, max_train=60, n_background=60)

    def select():
        return select_patches(open_micrographs(DatasetSettings(path=user_folder), user_folder), choice, seed=0)

    def brightest(selection):
        return max(patch.image.max() for patch in (*selection.train, *selection.background))

    before = select()
    assert before.counts["refused_for_overlays"] == 0
    assert brightest(before) == 1
    rows = [f"sample_{k}.tif\t150\t20\t162\t60\n" for k in range(6)]
    (user_folder / "overlays.tsv").write_text(HEAD + "".join(rows))
    after = select()
    assert len(after.train) > 0
    assert len(after.background) > 0
    assert brightest(after) < 1
    assert after.counts["windows"] == before.counts["windows"]
    n_rows, n_columns = (sum(low < s + 64 and s < high for s in g) for g, low, high in _grids(150, 162, 20, 60))
    assert after.counts["refused_for_overlays"] == 5 * n_rows * n_columns  # of the five training images
    assert after.counts["particles_found"] == 30  # six discs in each; text is none


def _grids(top, bottom, left, right):
    yield sorted({*range(0, 137, 16), 136}), top, bottom
    yield sorted({*range(0, 177, 16), 176}), left, right


@pytest.mark.parametrize(
    ("name", "n_images", "n_train"),
    [("spheres_sem", 5, 30), ("rods_sem", 5, 30), ("microspheres_sem", 4, 15), ("ellipsoids_sem", 3, 25)],
)
def test_no_patch_of_emps_overlaps_burnt_in_text(name, n_images, n_train, datasets):
    material = load_experiment(name).material
    dataset, size = material.dataset, material.patches.size_px
    micrographs = SampleSet.of(rescaled(open_micrographs(dataset, datasets / "emps"), dataset.working_scale))
    selection = select_patches(micrographs, material.patches, seed=0)
    hidden = {m.name: covered(m.provenance["overlays"], m.image.shape) for m in micrographs}
    assert sum(mask.any() for mask in hidden.values()) >= n_images
    for row in selection.table.itertuples():
        assert not hidden[row.micrograph][row.row : row.row + size, row.column : row.column + size].any()
    assert selection.counts["refused_for_overlays"] > 0
    assert len(selection.train) >= n_train


def test_overlays_of_emps_are_those_of_training_images_and_of_two_subsets():
    folder = ROOT / "data" / "emps"
    table = read_registry(folder / "registry.tsv")
    images = table[table["kind"] == "image"].set_index("path")
    drawn = read_overlays(folder / "overlays.tsv", [folder / path for path in images.index])
    named = images.loc[[path.relative_to(folder).as_posix() for path in drawn]]
    assert named.groupby("split").size().to_dict() == {"train": 18, "test": 3}  # three training images have no text
    assert set(named.loc[named["split"] == "test", "material"]) == {"microspheres_sem", "ellipsoids_sem"}
