from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from drgan_lib.config import PatchSettings
from drgan_lib.data import (
    DataError,
    Micrograph,
    detect_particles,
    read_mask,
    read_micrographs,
    select_patches,
)

SETTINGS = PatchSettings(size_px=96, stride_px=24, min_particles=3, max_train=20, n_background=20)
CENTRES = [(25, 30), (25, 80), (70, 30), (70, 80), (45, 55)]


def micrograph(pixels, name="a"):
    return Micrograph(name, pixels.astype(np.float32) / 255, None, Path(f"{name}.tif"))


def test_all_particles_are_found_where_they_are(paint):
    detection = detect_particles([micrograph(paint(CENTRES)).image])[0]
    assert len(detection.boxes) == len(CENTRES)
    found = (detection.boxes[:, :2] + detection.boxes[:, 2:] - 1) / 2
    distance = np.abs(found[:, None] - np.array(CENTRES)[None]).max(-1)
    assert distance.min(0).max() <= 1.5
    assert np.median(2 * np.sqrt(detection.areas_px / np.pi)) == pytest.approx(17, abs=2)


def test_agglomerate_is_counted(paint):
    detection = detect_particles([micrograph(paint([(60, 60), (60, 77), (75, 68)])).image])[0]
    assert len(detection.boxes) == 3


@pytest.mark.parametrize("noise", [0.0, 0.05])
def test_empty_micrograph_has_no_particles(paint, noise):
    empty, full = paint([], noise=noise, seed=1), paint(CENTRES, seed=2)
    for images in ([empty], [empty, full]):
        assert len(detect_particles([micrograph(i).image for i in images])[0].boxes) == 0


def test_a_crowd_that_hides_the_background_is_found(paint):
    centres = [(r, c) for r in range(12, 200, 20) for c in range(12, 240, 20)]
    crowd, alone = paint(centres, radius=10), paint(CENTRES, radius=10, seed=1)
    detections = detect_particles([micrograph(image).image for image in (crowd, alone)])
    assert len(detections[0].boxes) == pytest.approx(len(centres), rel=0.05)
    assert len(detections[1].boxes) == len(CENTRES)


def test_a_faint_image_among_bright_ones_is_not_empty(paint):
    bright = micrograph(paint(CENTRES)).image
    faint = 0.3 * micrograph(paint(CENTRES, noise=0.005, seed=1)).image
    found = detect_particles([bright, bright, bright, faint])
    assert [len(d.boxes) for d in found] == 4 * [len(CENTRES)]


def test_burnt_in_text_does_not_change_what_is_found(paint):
    clean = micrograph(paint(CENTRES)).image
    box = (150, 10, 170, 120)
    written = clean.copy()
    written[box[0] : box[2], box[1] : box[3] : 2] = 1
    (expected,), (found,) = (detect_particles([image], [[box]]) for image in (clean, written))
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_array_equal(found.suspect, expected.suspect)
    assert len(found.boxes) == len(CENTRES)


def test_a_particle_that_text_cuts_is_suspect_but_not_counted(paint):
    image = micrograph(paint([*CENTRES, (150, 100)])).image
    detection = detect_particles([image], [[(150, 80, 170, 120)]])[0]
    assert len(detection.boxes) == len(CENTRES)
    assert detection.suspect[145, 100]
    assert not detection.suspect[150:170, 80:120].any()


def test_training_patches_hold_whole_particles_and_background_none(paint):
    image = paint(CENTRES, shape=(200, 300))
    selection = select_patches([micrograph(image)], SETTINGS, seed=0)
    train = selection.table[selection.table["kind"] == "train"]
    assert len(train) == len(selection.train) > 0
    for patch, row in zip(selection.train, train.itertuples(), strict=True):
        np.testing.assert_allclose(patch, image[row.row : row.row + 96, row.column : row.column + 96] / 255, 1e-6)
        inside = [
            8 < r - row.row < 96 - 9 and 8 < c - row.column < 96 - 9  # the discs have a radius of 8 px
            for r, c in CENTRES
        ]
        assert 3 <= row.whole_particles <= 5
        assert abs(sum(inside) - row.whole_particles) <= 1  # edges are blurred by a pixel
    assert len(selection.background) == selection.counts["background"] > 0
    assert selection.background.max() < 0.5


def test_chosen_patches_do_not_repeat(paint):
    rng = np.random.default_rng(3)
    first = paint(rng.integers(15, 185, (25, 2)), shape=(200, 200))
    alone = select_patches([micrograph(first)], SETTINGS, seed=0)
    shifted = np.roll(first, (4, 3), axis=(0, 1))
    noisy = np.clip(shifted + rng.normal(0, 2, first.shape), 0, 255)
    both = select_patches([micrograph(first), micrograph(noisy, "b")], SETTINGS, seed=0)
    assert both.counts["refused_as_repeats"] > 0
    assert len(both.train) <= len(alone.train) + 2
    assert (both.table[both.table["kind"] == "train"]["overlap"] <= 0.5).all()
    for i, a in enumerate(both.train):
        for b in both.train[:i]:
            assert np.corrcoef(a.ravel(), b.ravel())[0, 1] <= SETTINGS.max_similarity


def test_choice_is_spread_and_repeatable(paint):
    rng = np.random.default_rng(0)
    images = [micrograph(paint(rng.integers(15, 185, (15, 2)), seed=k), f"m{k}") for k in range(4)]
    few = SETTINGS.model_copy(update={"max_train": 4})
    selection, again = (select_patches(images, few, seed=5) for _ in range(2))
    assert set(selection.table[selection.table["kind"] == "train"]["micrograph"]) == {"m0", "m1", "m2", "m3"}
    np.testing.assert_array_equal(selection.train, again.train)
    np.testing.assert_array_equal(selection.background, again.background)


def test_no_particles_too_small_and_no_images_are_refused(paint):
    with pytest.raises(DataError, match=r"0 particles were found in 1 micrographs.*\(best: 0\)"):
        select_patches([micrograph(paint([]))], SETTINGS, seed=0)
    small = replace(micrograph(paint(CENTRES)[:90]), path=Path("images/small.tif"))
    with pytest.raises(DataError, match=r"small\.tif: the image is 90 x 240 px .* patch of 96 x 96 px"):
        select_patches([small], SETTINGS, seed=0)
    with pytest.raises(DataError, match="no micrographs"):
        select_patches([], SETTINGS, seed=0)


def test_without_background_the_array_is_empty(paint):
    centres = [(r, c) for r in range(15, 200, 25) for c in range(15, 240, 25)]
    selection = select_patches([micrograph(paint(centres))], SETTINGS, seed=0)
    assert selection.background.shape == (0, 96, 96)


def test_background_of_real_micrographs_holds_no_annotated_particle(datasets):
    paths = sorted((datasets / "tio2_sem" / "images").glob("*.tif"))[:4]
    micrographs = read_micrographs(paths, sample_rows=712)
    selection = select_patches(micrographs, PatchSettings(n_background=30), seed=0)
    masks = {p.stem: read_mask(p.parents[1] / "masks" / f"{p.stem}_m.tif", sample_rows=712) for p in paths}
    background = selection.table[selection.table["kind"] == "background"]
    assert len(background) == 30
    for row in background.itertuples():
        assert masks[row.micrograph][row.row : row.row + 256, row.column : row.column + 256].max() == 0
    assert len(selection.train) >= 15
