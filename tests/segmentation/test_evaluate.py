"""Figures, table and gallery from predictions put in place by hand."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from skimage.io import imread, imsave

from drgan_lib.segmentation import SegmentationError, evaluate, load_predictions
from drgan_lib.segmentation.nnunet import write_test_images


def predict_by_hand(exp, dataset, *, shape: tuple[int, int] | None = None) -> None:
    """The truth as prediction for the first micrograph, nothing for the second."""
    folder = exp.stage_dir("segmentation") / "predictions"
    folder.mkdir()
    for number, path in enumerate(write_test_images(exp, dataset)):
        classes = (imread(dataset / "masks" / path.name)[:72] > 0).astype(np.uint8) * (number == 0)
        classes = classes if shape is None else np.zeros(shape, np.uint8)
        imsave(folder / path.name, classes, check_contrast=False)
        probability = classes.astype(np.uint16) * 65535
        imsave(folder / f"{path.stem}_probability.png", probability, check_contrast=False)


def test_perfect_and_empty_prediction_average_to_one_half(fabricate, folder):
    exp, lines = fabricate(), []
    predict_by_hand(exp, folder)
    figures = evaluate(exp, folder, log=lines.append)
    for name in ("dsc", "ap50", "pq_semantic", "pq", "sq", "rq"):
        assert (figures[name]["value"], figures[name]["std"]) == (0.5, 0.5)
        assert (figures[name]["split"], figures[name]["n_images"]) == ("test", 2)
    assert "min_area_px" not in figures["dsc"]
    assert figures["ap50"]["min_area_px"] == 20
    assert 0.3 < figures["coco_ap50"]["value"] < 0.7
    stage = exp.stage_dir("segmentation")
    assert json.loads((stage / "figures.json").read_text()) == figures
    assert pd.read_csv(stage / "scores.csv")["name"].tolist() == ["sem0", "sem1"]
    picture = imread(stage / "overlays.png")
    assert picture.shape[0] > 500
    assert "dsc 0.500" in lines[0]


def test_without_masks_nothing_is_scored_and_that_is_said(fabricate, folder):
    exp, lines = fabricate(with_masks=False), []
    predict_by_hand(exp, folder)
    assert evaluate(exp, folder, log=lines.append) == {}
    assert json.loads((exp.stage_dir("segmentation") / "figures.json").read_text()) == {}
    assert (exp.stage_dir("segmentation") / "overlays.png").is_file()
    assert "no mask" in lines[0]


def test_prediction_must_be_there(fabricate, folder):
    with pytest.raises(SegmentationError, match=r"run segment\(exp, folder\) first"):
        load_predictions(fabricate(), folder)


def test_mask_of_another_image_is_refused(fabricate, folder):
    exp = fabricate()
    predict_by_hand(exp, folder, shape=(72, 81))
    with pytest.raises(SegmentationError, match="sem0: expected a mask"):
        load_predictions(exp, folder)
