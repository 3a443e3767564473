"""Figures, tables and pictures from predictions put in place by hand."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from skimage.io import imread

from drgan_lib.files import write_json
from drgan_lib.segmentation import (
    ClassMap,
    SegmentationError,
    comparison,
    differences,
    evaluate,
    figures_of_sets,
    load_predictions,
    scores_of_images,
)
from drgan_lib.segmentation.predictions import write_class_map
from drgan_lib.segmentation.segment import model_folders, write_test_images


def predict_by_hand(exp, dataset, *, shape: tuple[int, int] | None = None, perfect: str = "") -> None:
    """The truth as prediction for the first micrograph, nothing for the second, except from the arm `perfect`."""
    images = write_test_images(exp, dataset)
    for arm, _, place in model_folders(exp):
        for number, path in enumerate(sorted(images.glob("*.png"))):
            classes = imread(dataset / "masks" / path.name)[:72] > 0
            classes = (classes * (number == 0 or arm == perfect)).astype(np.uint8)
            classes = classes if shape is None else np.zeros(shape, np.uint8)
            found = ClassMap(classes, classes.astype(np.float32), np.zeros(classes.shape, np.float32))
            write_class_map(place / "predictions", path.stem, found)
        if arm != "otsu":
            write_json(place / "model.json", {"border_core": {"level": 0.5, "neck": 0.0}})


def test_perfect_and_empty_prediction_average_to_one_half(fabricate, folder):
    exp, lines = fabricate(), []
    predict_by_hand(exp, folder)
    figures = evaluate(exp, folder, log=lines.append)
    for name in ("dsc", "ap50", "pq_semantic", "pq", "sq", "rq", "border_core_pq", "border_core_ap50", "aji"):
        assert (figures[name]["value"], figures[name]["std"]) == (0.5, 0.5)
        assert (figures[name]["low"], figures[name]["high"]) == (0, 1)
        assert (figures[name]["split"], figures[name]["n_images"], figures[name]["n_seeds"]) == ("test", 2, 1)
    assert "min_area_px" not in figures["dsc"]
    assert figures["ap50"]["min_area_px"] == 20
    assert 0.3 < figures["coco_ap50"]["value"] < 0.7
    stage = exp.stage_dir("segmentation")
    assert json.loads((stage / "figures.json").read_text()) == figures
    scores = pd.read_csv(stage / "scores.csv")
    assert list(zip(scores["instances"], scores["name"], strict=True)) == [
        (method, name) for method in ("plain", "border_core") for name in ("sem0", "sem1")
    ]
    for picture in ("overlays", "gallery", "arms"):
        assert min(imread(stage / f"{picture}.png").shape[:2]) > 100
    assert "dsc 0.500" in lines[0]


@pytest.mark.parametrize("name", ["NA", "007"])
def test_an_image_may_have_any_name(fabricate, folder, name):
    exp = fabricate(segmentation__arms="synthetic,otsu")
    for part in ("images", "masks"):
        (folder / part / "sem0.png").rename(folder / part / f"{name}.png")
    registry = folder / "registry.tsv"
    registry.write_text(registry.read_text().replace("sem0.png", f"{name}.png"))
    predict_by_hand(exp, folder)
    evaluate(exp, folder, log=print)
    assert set(scores_of_images(exp)["name"]) == {name, "sem1"}
    assert len(differences(exp, reference="otsu"))


def test_without_masks_nothing_is_scored_and_that_is_said(fabricate, folder):
    exp, lines = fabricate(with_masks=False), []
    predict_by_hand(exp, folder)
    assert evaluate(exp, folder, log=lines.append) == {}
    assert json.loads((exp.stage_dir("segmentation") / "figures.json").read_text()) == {}
    assert (exp.stage_dir("segmentation") / "overlays.png").is_file()
    assert "no mask" in lines[0]


def test_arms_and_seeds_stand_side_by_side(fabricate, folder):
    exp = fabricate(segmentation__arms="synthetic:2,real,otsu")
    predict_by_hand(exp, folder, perfect="real")
    figures = evaluate(exp, folder, log=[].append)
    assert (figures["dsc"]["value"], figures["dsc"]["n_seeds"]) == (0.5, 2)
    assert (figures["real/dsc"]["value"], figures["real/border_core_pq"]["value"]) == (1, 1)
    assert "otsu/border_core_pq" not in figures
    pooled = pd.read_csv(exp.stage_dir("segmentation") / "pooled.csv")
    assert len(pooled) == 2 * 2 + 2 + 1
    shown = comparison(exp)
    assert shown["trained on"][:3].tolist() == [
        "synthetic images",
        "training micrographs with their masks",
        "nothing: Otsu threshold and watershed",
    ]
    assert shown["DSC"][:3].tolist() == ["0.500 ± 0.000", "1.000", "0.500"]
    assert "0.916" in shown["DSC"].tolist()
    gap = differences(exp).set_index(["arm", "instances", "metric"])["mean"]
    assert gap["synthetic", "plain", "dsc"] == -0.5
    sets = figures_of_sets(exp)
    assert sets.index.unique("arm").tolist() == ["synthetic", "real", "otsu"]
    assert sets.loc[("real", "border_core"), "COCO AP50"] == "1.000"
    assert sets.loc[("synthetic", "plain"), "PQ, pooled"].endswith(" ± 0.000")


def test_what_was_published_stands_only_beside_the_micrographs_that_it_is_of(fabricate, folder):
    exp = fabricate(segmentation__arms="synthetic,real")
    predict_by_hand(exp, folder)
    evaluate(exp, folder, log=[].append)
    other = exp.material.dataset.model_copy(update={"registry": None, "path": folder})
    own = exp.model_copy(update={"material": exp.material.model_copy(update={"dataset": other})})
    assert [("0.916" in comparison(e)["DSC"].tolist()) for e in (exp, own)] == [True, False]


def test_prediction_must_be_there(fabricate, folder):
    with pytest.raises(SegmentationError, match=r"run segment\(exp, folder\) first"):
        load_predictions(fabricate(), folder)


def test_mask_of_another_image_is_refused(fabricate, folder):
    exp = fabricate()
    predict_by_hand(exp, folder, shape=(72, 81))
    with pytest.raises(SegmentationError, match="sem0: expected a mask"):
        load_predictions(exp, folder)
