"""The models of a run, one after the other, with a network that is played by Otsu's threshold."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from skimage.io import imread

from drgan_lib.files import read_json, write_json
from drgan_lib.segmentation import SegmentationError, load_model, nnunet, segment
from drgan_lib.segmentation.classical import otsu_watershed
from drgan_lib.segmentation.predictions import predicted_names, write_class_map
from drgan_lib.segmentation.segment import model_folders, write_test_images


@pytest.fixture
def calls(monkeypatch) -> list[str]:
    """What nnU-Net was asked for: it "trains" at once, and predicts by a threshold."""
    asked = []

    def train(exp, raw, folder, *, seed, log):
        if not nnunet.is_trained(folder):
            asked.append(f"train {folder.parent.name} {seed} {len(list((raw / 'imagesTr').iterdir()))}")
        write_json(folder / "trained_on.json", {"sha256": f"{seed}", "complete": True})

    def predict(folder, places, log_file, *, log):
        asked.append(f"predict {folder.parent.name} {folder.name}")
        for images, out in places:
            for path in images.glob("*.png"):
                write_class_map(out, path.stem, otsu_watershed(imread(path) / 65535))

    monkeypatch.setattr(nnunet, "train", train)
    monkeypatch.setattr(nnunet, "predict", predict)
    return asked


def test_test_images_are_cropped_to_the_sample_rows(fabricate, folder):
    images = write_test_images(fabricate(), folder)
    assert sorted(path.name for path in images.iterdir()) == ["sem0.png", "sem1.png"]
    image = imread(images / "sem0.png")
    assert (image.shape, image.dtype) == ((72, 80), np.uint16)


def test_every_model_is_made_tuned_and_shown_the_test_images_once(fabricate, folder, calls):
    exp, lines = fabricate(n_train=60, segmentation__arms="synthetic:2,otsu,real", seed=5), []
    stage = segment(exp, folder, log=lines.append)
    assert calls == [
        "train synthetic 5 70",
        "predict synthetic seed5",
        "train synthetic 6 70",
        "predict synthetic seed6",
        "train real 5 4",
        "predict real seed5",
    ]
    assert [(arm, seed) for arm, seed, _ in model_folders(exp)] == [
        ("synthetic", 5),
        ("synthetic", 6),
        ("otsu", 5),
        ("real", 5),
    ]
    for _, _, place in model_folders(exp):
        assert predicted_names(place / "predictions") == {"sem0", "sem1"}
    tuned = stage / "arms" / "synthetic" / "seed5"
    assert (tuned / "border_core.csv").is_file()
    assert len(predicted_names(tuned / "tuning")) == 10
    assert not (stage / "arms" / "real" / "seed5" / "border_core.csv").exists()
    assert "too few images" in lines[-1]
    calls.clear()
    segment(exp, folder, log=lines.append)
    assert calls == []
    (tuned / "trained_on.json").unlink()
    segment(exp, folder, log=lines.append)
    assert calls == ["train synthetic 5 70"]


@pytest.mark.parametrize("part", ["predictions", "tuning"])
def test_predictions_that_were_removed_are_made_again(fabricate, folder, calls, part):
    exp = fabricate(n_train=60, segmentation__arms="synthetic")
    place = segment(exp, folder, log=print) / "arms" / "synthetic" / "seed0"
    shutil.rmtree(place / part / "particle")
    segment(exp, folder, log=print)
    assert calls == ["train synthetic 0 70", "predict synthetic seed0", "predict synthetic seed0"]
    assert predicted_names(place / part)


def test_other_test_images_are_predicted_again(fabricate, folder, calls):
    exp = fabricate(segmentation__arms="synthetic")
    segment(exp, folder, log=print)
    image = folder / "images" / "sem1.png"
    image.write_bytes((folder / "images" / "sem0.png").read_bytes())
    segment(exp, folder, log=print)
    assert calls == ["train synthetic 0 6", "predict synthetic seed0", "predict synthetic seed0"]


def test_a_model_is_found_by_its_arm_and_seed(fabricate, folder, calls):
    exp = fabricate(n_train=60, segmentation__arms="otsu,synthetic:2,real")
    segment(exp, folder, log=print)
    first = load_model(exp.run_dir)
    assert (first.arm, first.seed, first.patch_px, first.shape) == ("synthetic", 0, 64, "cube")
    assert first.border_core == load_model(exp.run_dir, seed=0).border_core
    assert load_model(exp.run_dir, arm="real").folder == exp.run_dir / "segmentation/arms/real/seed0"
    assert load_model(exp.run_dir, seed=1).arm == "synthetic"
    with pytest.raises(SegmentationError, match="no network of arm real and seed 1; expected one of synthetic with"):
        load_model(exp.run_dir, arm="real", seed=1)
    with pytest.raises(SegmentationError, match=r"found none in .*make one with `drgan run"):
        load_model(exp.run_dir.parent)
    assert read_json(first.folder / "model.json")["pixel_size_nm"] is None
