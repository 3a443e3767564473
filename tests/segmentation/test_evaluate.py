"""Metrics and tables from predictions put in place by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from drgan_lib.files import write_json
from drgan_lib.metric import read_metrics
from drgan_lib.registry import METRICS, Entry
from drgan_lib.samples import SampleSet, write_samples
from drgan_lib.segmentation import (
    SegmentationError,
    comparison,
    differences,
    evaluate,
    metrics_of_sets,
    scores_of_images,
)
from tests.segmentation.conftest import micrographs


@pytest.fixture
def predict(tmp_path):
    """Function that puts predictions in place: the truth for the first micrograph, nothing for the second.

    The arm `perfect` finds the second, too. Returns the folder of the stage.
    """

    def put(exp, truth: SampleSet | None = None, *, perfect: str = ""):
        truth = micrographs(2, 80, seed=1) if truth is None else truth
        arms = exp.profile.segmentation.arms
        models = [(arm, exp.seed + k) for arm, n in arms.items() for k in range(n)]
        write_json(tmp_path / "models.json", models)
        write_samples(tmp_path / "truth", truth, bits=16)
        for arm, seed in models:
            for rule in ("plain",) if arm == "otsu" else ("plain", "border_core"):
                found = [
                    replace(s, instances=seen, confidence=np.linspace(0.9, 0.5, len(np.unique(seen)) - 1))
                    for k, s in enumerate(truth)
                    for ids in [np.zeros(s.image.shape, int) if s.instances is None else s.instances]
                    for seen in [ids if k == 0 or arm == perfect else 0 * ids]
                ]
                write_samples(tmp_path / "predictions" / arm / f"seed{seed}" / rule, found, bits=16)
        return tmp_path

    return put


def test_perfect_and_empty_prediction_average_to_one_half(experiment, predict):
    exp, lines = experiment("synthetic"), []
    stage = predict(exp)
    metrics = evaluate(exp, stage, log=lines.append)
    for name in ("dsc", "ap50", "pq_semantic", "pq", "sq", "rq", "border_core_pq", "border_core_ap50", "aji"):
        metric = metrics[name]
        assert (metric.value, metric.low, metric.high, metric.more["std"]) == (0.5, 0, 1, 0.5)
        assert (metric.split, metric.n, metric.more["n_seeds"]) == ("test", 2, 1)
    assert "min_area_px" not in metrics["dsc"].more
    assert metrics["ap50"].more["min_area_px"] == 20
    assert 0.3 < metrics["coco_ap50"].value < 0.7
    assert read_metrics(stage / "metrics.json") == metrics
    scores = pd.read_csv(stage / "scores.csv")
    assert list(zip(scores["instances"], scores["name"], strict=True)) == [
        (method, name) for method in ("plain", "border_core") for name in ("sem0", "sem1")
    ]
    assert "dsc 0.500" in lines[0]


@pytest.mark.parametrize("name", ["NA", "007"])
def test_an_image_may_have_any_name(experiment, predict, name):
    exp = experiment("synthetic,otsu")
    one, other = micrographs(2, 80, seed=1)
    stage = predict(exp, SampleSet.of([replace(one, name=name), other]))
    evaluate(exp, stage, log=[].append)
    assert set(scores_of_images(stage)["name"]) == {name, "sem1"}
    assert len(differences(stage, reference="otsu"))


def test_without_masks_nothing_is_scored_and_that_is_said(experiment, predict):
    exp, lines = experiment("synthetic"), []
    stage = predict(exp, micrographs(2).map(lambda sample: replace(sample, instances=None)))
    assert evaluate(exp, stage, log=lines.append) == read_metrics(stage / "metrics.json") == {}
    assert lines == ["2 of 2 test micrographs have no mask: segmented, but not scored"]


def test_a_micrograph_without_mask_beside_others_is_left_out(experiment, predict):
    exp, (first, second) = experiment("synthetic"), micrographs(2, 80, seed=1)
    stage = predict(exp, SampleSet.of([first, replace(second, instances=None)]))
    assert evaluate(exp, stage, log=[].append)["dsc"].n == 1
    assert scores_of_images(stage)["name"].tolist() == ["sem0", "sem0"]


def test_arms_and_seeds_stand_side_by_side(experiment, predict):
    exp = experiment("synthetic:2,real,otsu")
    stage = predict(exp, perfect="real")
    metrics = evaluate(exp, stage, log=[].append)
    assert (metrics["dsc"].value, metrics["dsc"].more["n_seeds"]) == (0.5, 2)
    assert (metrics["real/dsc"].value, metrics["real/border_core_pq"].value) == (1, 1)
    assert "otsu/border_core_pq" not in metrics
    assert len(pd.read_csv(stage / "pooled.csv")) == 2 * 2 + 2 + 1
    shown = comparison(exp, stage)
    assert shown["trained on"][:3].tolist() == [
        "synthetic images",
        "training micrographs with their masks",
        "nothing: Otsu threshold and watershed",
    ]
    assert shown["DSC"][:3].tolist() == ["0.500 ± 0.000", "1.000", "0.500"]
    assert "0.916" in shown["DSC"].tolist()
    gap = differences(stage).set_index(["arm", "instances", "metric"])["mean"]
    assert gap["synthetic", "plain", "dsc"] == -0.5
    sets = metrics_of_sets(stage)
    assert sets.index.unique("arm").tolist() == ["synthetic", "real", "otsu"]
    assert sets.loc[("real", "border_core"), "COCO AP50"] == "1.000"
    assert sets.loc[("synthetic", "plain"), "PQ, pooled"].endswith(" ± 0.000")
    dataset = exp.material.dataset.model_copy(update={"registry": None, "path": stage})
    own = exp.model_copy(update={"material": exp.material.model_copy(update={"dataset": dataset})})
    assert "0.916" not in comparison(own, stage)["DSC"].tolist(), "what was published is of other micrographs"


def test_predictions_must_be_there(experiment, predict):
    exp = experiment("synthetic")
    stage = predict(exp)
    write_samples(stage / "truth", micrographs(1, name="other"), bits=16)
    with pytest.raises(SegmentationError, match="synthetic, seed 0: no prediction of other0; run segment again"):
        evaluate(exp, stage, log=[].append)
    write_json(stage / "models.json", [["real", 0]])
    with pytest.raises(SegmentationError, match=r"of real, seed 0, in .*, found none; run segment first"):
        evaluate(exp, stage, log=[].append)


def test_a_further_metric_takes_a_function_and_a_line(experiment, predict, monkeypatch):
    monkeypatch.setitem(METRICS, "surplus", Entry("tests.segmentation.conftest:surplus", "predicted minus true number"))
    exp = experiment("synthetic")
    truth = micrographs(2, 80, seed=1)
    stage = predict(exp, truth)
    metrics = evaluate(exp, stage)
    of_images = scores_of_images(stage).query("instances == 'plain'").set_index("name")["surplus"]
    assert of_images.tolist() == [0, -truth[1].n_particles]
    assert metrics["surplus"].value == metrics["border_core_surplus"].value == of_images.mean()
    assert metrics["surplus"].definition.startswith("predicted minus true number; instances under the minimum area")
    assert "surplus" in set(pd.read_csv(stage / "table.csv")["metric"])
