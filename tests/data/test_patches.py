import numpy as np
import pytest

from drgan_lib.config import DatasetSettings, PatchSettings
from drgan_lib.data import DataError, detect_particles, open_micrographs, select_patches
from drgan_lib.samples import Sample, SampleSet

SETTINGS = PatchSettings(size_px=96, stride_px=24, min_particles=3, max_train=20, n_background=20)
CENTRES = [(25, 30), (25, 80), (70, 30), (70, 80), (45, 55)]


def micrograph(pixels, name="a", size_nm=None):
    return Sample(name, pixels / np.float32(255), size_nm, provenance={"file": f"images/{name}.tif"})


def select(*micrographs, settings=SETTINGS, seed=0):
    return select_patches(SampleSet.of(micrographs), settings, seed=seed)


def of_kind(selection, kind):
    return selection.table[selection.table["kind"] == kind]


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
    selection = select(micrograph(image, size_nm=2.5))
    train = of_kind(selection, "train")
    assert len(train) == len(selection.train) > 0
    for patch, row in zip(selection.train, train.itertuples(), strict=True):
        assert (patch.name, patch.pixel_size_nm) == (f"{row.index:03d}", 2.5)
        expected = image[row.row : row.row + 96, row.column : row.column + 96] / 255
        np.testing.assert_allclose(patch.image, expected, 1e-6)
        inside = [
            8 < r - row.row < 96 - 9 and 8 < c - row.column < 96 - 9  # the discs have a radius of 8 px
            for r, c in CENTRES
        ]
        assert 3 <= row.whole_particles <= 5
        assert abs(sum(inside) - row.whole_particles) <= 1  # edges are blurred by a pixel
    assert len(selection.background) == selection.counts["background"] > 0
    assert selection.background.images().max() < 0.5


def test_chosen_patches_do_not_repeat(paint):
    rng = np.random.default_rng(3)
    first = paint(rng.integers(15, 185, (25, 2)), shape=(200, 200))
    alone = select(micrograph(first))
    shifted = np.roll(first, (4, 3), axis=(0, 1))
    noisy = np.clip(shifted + rng.normal(0, 2, first.shape), 0, 255)
    both = select(micrograph(first), micrograph(noisy, "b"))
    assert both.counts["refused_as_repeats"] > 0
    assert len(both.train) <= len(alone.train) + 2
    assert (of_kind(both, "train")["overlap"] <= 0.5).all()
    correlations = np.corrcoef(both.train.images().reshape(len(both.train), -1))
    assert np.tril(correlations, -1).max() <= SETTINGS.max_similarity


def test_the_choice_is_spread_and_repeatable(paint):
    rng = np.random.default_rng(0)
    images = [micrograph(paint(rng.integers(15, 185, (15, 2)), seed=k), f"m{k}") for k in range(4)]
    few = SETTINGS.model_copy(update={"max_train": 4})
    selection, again = (select(*images, settings=few, seed=5) for _ in range(2))
    assert set(of_kind(selection, "train")["micrograph"]) == {"m0", "m1", "m2", "m3"}
    for kind in ("train", "background"):
        np.testing.assert_array_equal(getattr(selection, kind).images(), getattr(again, kind).images())


def test_micrographs_that_give_no_patches_are_refused(paint):
    with pytest.raises(DataError, match=r"0 particles were found in 1 micrographs.*\(best: 0\)"):
        select(micrograph(paint([])))
    with pytest.raises(DataError, match=r"images/small\.tif: the image is 90 x 240 px .* patch of 96 x 96 px"):
        select(micrograph(paint(CENTRES)[:90], "small"))
    with pytest.raises(DataError, match="no micrographs"):
        select()
    with pytest.raises(DataError, match=r"2 nm in .*a\.tif, 4 nm in .*b\.tif; use one magnification"):
        select(*(micrograph(paint(CENTRES), name, size) for name, size in (("a", 2.0), ("b", 4.0))))


def test_there_may_be_no_background(paint):
    centres = [(r, c) for r in range(15, 200, 25) for c in range(15, 240, 25)]
    assert len(select(micrograph(paint(centres))).background) == 0


def test_background_of_real_micrographs_holds_no_annotated_particle(datasets):
    settings = DatasetSettings(registry="tio2_sem", sample_rows=712)
    micrographs = SampleSet.of(open_micrographs(settings, datasets / "tio2_sem", masks=True)[:4])
    selection = select(*micrographs, settings=PatchSettings(n_background=30))
    masks = {m.name: m.instances for m in micrographs}
    background = of_kind(selection, "background")
    assert len(background) == 30
    for row in background.itertuples():
        assert masks[row.micrograph][row.row : row.row + 256, row.column : row.column + 256].max() == 0
    assert len(selection.train) >= 15
