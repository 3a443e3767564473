"""Training sets of the arms: what is in them, what is set aside, and who may see the masks."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.io import imread, imsave
from skimage.segmentation import relabel_sequential

from drgan_lib import config
from drgan_lib.classes import three_class
from drgan_lib.config import ConfigError, load_experiment
from drgan_lib.files import read_json
from drgan_lib.samples import Sample
from drgan_lib.segmentation import SegmentationError, arms
from drgan_lib.segmentation.checks import check_raw
from drgan_lib.synthesis import SynthesisError, load_synthetic


def cases(raw) -> list[str]:
    images = sorted(path.name.removesuffix("_0000.png") for path in (raw / "imagesTr").iterdir())
    assert images == sorted(path.stem for path in (raw / "labelsTr").iterdir())
    return images


def test_every_name_that_the_settings_know_is_there():
    assert tuple(arms.CLASSICAL) == config.CLASSICAL
    assert set(arms.WORDS) == {*config.PARTS, *config.CLASSICAL}


@pytest.mark.parametrize(
    ("arm", "prefixes"),
    [
        ("synthetic", {"synthetic": 6}),  # four images and two bare supports
        ("synthetic+background", {"synthetic": 6, "background": 2}),
        ("real", {"real": 4}),
        ("real+synthetic", {"real": 4, "synthetic": 6}),
    ],
)
def test_an_arm_is_made_of_its_parts(fabricate, folder, tmp_path, arm, prefixes):
    raw = arms.write_training_set(fabricate(), folder, arm, tmp_path / "arm")
    names = [name.split("_")[0] for name in cases(raw)]
    assert {prefix: names.count(prefix) for prefix in set(names)} == prefixes
    assert read_json(raw / "dataset.json")["numTraining"] == sum(prefixes.values())


def test_a_sixth_is_set_aside_and_not_learned_from(fabricate, folder, tmp_path):
    exp = fabricate(n_train=65)
    raw = arms.write_training_set(exp, folder, "synthetic+background", tmp_path / "arm")
    aside = sorted(path.stem for path in (tmp_path / "arm" / "tuning" / "images").iterdir())
    assert len(aside) == 10
    assert (aside[0], aside[-1]) == ("synthetic_00000", "synthetic_00064")
    assert not set(aside) & set(cases(raw))
    for name in aside:
        made = load_synthetic(exp.stage_dir("synthetic"))[int(name[-5:])]
        image = imread(tmp_path / "arm/tuning/images" / f"{name}.png") / 257
        assert image.max() <= 255
        assert np.corrcoef(image.ravel(), made.image.ravel())[0, 1] > 0.9, "texture hides no particle"
        kept = imread(tmp_path / "arm/tuning/instances" / f"{name}.png")
        np.testing.assert_array_equal(kept, relabel_sequential(made.instances)[0])


def test_patches_of_a_micrograph_are_set_aside_together():
    patch, empty = np.ones((4, 4), int), np.zeros((4, 4), int)
    annotated = [
        (f"real_a_b_{m:02d}_{row:04d}_{column:04d}", patch, patch if row or column else empty)
        for m in range(24)
        for row in (0, 200)
        for column in (0, 100)
    ]
    aside = arms._set_aside(annotated)
    micrographs = {annotated[k][0].rsplit("_", 2)[0] for k in aside}
    assert len(micrographs) == 4  # 12 of 72 patches with particles
    assert aside == {k for k, (name, _, _) in enumerate(annotated) if name.rsplit("_", 2)[0] in micrographs}


def test_a_few_micrographs_are_still_enough_to_tune_on():
    """A twin has 12 micrographs of four patches: a sixth of them would be eight patches."""
    image, instances = np.zeros((2, 2), np.uint8), np.ones((2, 2), np.uint16)
    annotated = [(f"real_sem{k:02d}_0000_{place:04d}", image, instances) for k in range(12) for place in range(4)]
    assert len(arms._set_aside(annotated)) == 12
    assert arms._set_aside(annotated[: 4 * 9]) == set()


def test_large_ids_do_not_become_one_another(fabricate, folder, tmp_path, monkeypatch):
    instances = np.zeros((64, 64), np.int32)
    instances[5:20, 5:20], instances[30:50, 5:20], instances[5:20, 30:50] = 1, 65536, 65537
    patch = Sample("real_sem_0000_0000", np.zeros((64, 64)), None, instances)
    monkeypatch.setattr(arms, "samples_of", lambda *_: [patch])
    raw = arms.write_training_set(fabricate(), folder, "real", tmp_path / "arm")
    label = imread(raw / "labelsTr" / "real_sem_0000_0000.png")
    np.testing.assert_array_equal(label, three_class(instances, fabricate().material.contour_px))


@pytest.mark.parametrize(("seam_px", "values"), [(0, [0, 1, 2]), (2, [0, 1, 2, 3, 4])])
def test_seams_have_classes_of_their_own_where_asked(fabricate, folder, tmp_path, monkeypatch, seam_px, values):
    instances = np.zeros((64, 64), np.int32)
    instances[5:20, 5:20], instances[5:20, 20:50] = 1, 2
    patch = Sample("real_sem_0000_0000", np.zeros((64, 64)), None, instances)
    monkeypatch.setattr(arms, "samples_of", lambda *_: [patch])
    exp = fabricate(segmentation__seam_px=seam_px)
    raw = arms.write_training_set(exp, folder, "real", tmp_path / "arm")
    label = imread(raw / "labelsTr" / "real_sem_0000_0000.png")
    assert np.unique(label).tolist() == sorted(read_json(raw / "dataset.json")["labels"].values()) == values
    assert check_raw(raw, patch_px=64) == 1


def test_too_few_to_tune_on_are_all_learned_from(fabricate, folder, tmp_path):
    raw = arms.write_training_set(fabricate(n_train=39), folder, "synthetic", tmp_path / "arm")
    assert len(cases(raw)) == 39 + 13
    assert not (tmp_path / "arm" / "tuning").exists()


def test_real_patches_cover_the_training_micrograph_and_their_contour_spares_the_particles(fabricate, folder, tmp_path):
    exp = fabricate()
    raw = arms.write_training_set(exp, folder, "real", tmp_path / "arm")
    micrograph = imread(folder / "images" / "learned.png")[:72]
    truth = imread(folder / "masks" / "learned.png")[:72] > 0
    seen = np.zeros((72, 80), bool)
    for sample in arms.samples_of(exp, folder, "real"):
        instances = sample.instances
        row, column = (int(text) for text in sample.name.split("_")[-2:])
        window = np.s_[row : row + 64, column : column + 64]
        np.testing.assert_allclose(sample.image * 255, micrograph[window], atol=1e-4)
        np.testing.assert_array_equal(instances > 0, truth[window])
        label = imread(raw / "labelsTr" / f"{sample.name}.png")
        np.testing.assert_array_equal(label, three_class(instances, exp.material.contour_px))
        np.testing.assert_array_equal(label == 1, truth[window])
        seen[window] = True
    assert seen.all()


def test_burnt_in_text_is_no_training_patch(fabricate, folder):
    exp = fabricate()
    (folder / "overlays.tsv").write_text("path\ttop\tleft\tbottom\tright\nimages/learned.png\t0\t0\t5\t5\n")
    names = [sample.name for sample in arms.samples_of(exp, folder, "real")]
    assert names == ["real_learned_0000_0016", "real_learned_0008_0000", "real_learned_0008_0016"]


def test_masks_that_are_missing_or_of_another_image_are_refused(fabricate, folder, tmp_path):
    with pytest.raises(SynthesisError, match="masks of training micrographs for the arm 'real', found none"):
        arms.write_training_set(fabricate(with_masks=False), folder, "real", tmp_path / "arm")
    exp = fabricate()
    imsave(folder / "masks" / "learned.png", np.full((80, 81), 255, np.uint8), check_contrast=False)
    with pytest.raises(SegmentationError, match=r"of the shape \(72, 80\) of learned.png, got \(72, 81\)"):
        arms.write_training_set(exp, folder, "real", tmp_path / "arm")


def test_no_other_arm_opens_a_mask(fabricate, folder, tmp_path):
    exp = fabricate()
    for path in (folder / "masks").iterdir():
        path.write_bytes(b"no image")
    raw = arms.write_training_set(exp, folder, "synthetic+background", tmp_path / "arm")
    assert len(cases(raw)) == 8


@pytest.mark.parametrize(
    ("text", "arms"),
    [
        ("real:3, synthetic:3,otsu", {"real": 3, "synthetic": 3, "otsu": 1}),
        ("real+synthetic", {"real+synthetic": 1}),
        ({"synthetic": 2}, {"synthetic": 2}),
    ],
)
def test_arms_as_text_or_as_a_table(text, arms):
    assert load_experiment("twin", "demo", {"segmentation.arms": text}).profile.segmentation.arms == arms


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("real,ruehle", "unknown arm 'ruehle'; expected one of otsu, or different ones of real, synthetic, background"),
        ("real+real", "unknown arm 'real+real'"),
        ("synthetic+real", "expected the parts of 'synthetic+real' in the order real, synthetic, background"),
        ("real,real:2", "real stands there twice"),
        ("background", "no particles to learn from"),
        ("otsu:3", "otsu: expected 1 seed"),
        ("real:0", "real: expected at least 1 seed"),
        ("real:x", "arms.real"),
        ({}, "at least 1 item"),
    ],
)
def test_other_arms_are_refused(text, message):
    with pytest.raises(ConfigError) as caught:
        load_experiment("twin", "demo", {"segmentation.arms": text})
    assert message in str(caught.value)
