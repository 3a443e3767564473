"""The models of a run, one after the other, with toys, and with a network that is played by Otsu's threshold."""

from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest

from drgan_lib.files import read_json
from drgan_lib.samples import Sample, SampleSet, open_samples
from drgan_lib.segmentation import SegmentationError, evaluate, list_models, load_model, load_predictions, segment
from drgan_lib.segmentation.model import Model
from drgan_lib.store import Store
from drgan_lib.synthesis.sources import Origin
from tests.segmentation.conftest import micrographs

NOTHING = SampleSet.of([])


@pytest.fixture
def make(tmp_path):
    """Function that runs the stage of an experiment on two micrographs, or others, in `tmp_path/segmentation`."""

    def made(exp, truth=None, log=[].append):
        origin = Origin(exp, micrographs(1, name="train"), NOTHING, NOTHING)
        truth = micrographs(2, 80, seed=1) if truth is None else truth
        return segment(exp, truth, origin, tmp_path / "segmentation", Store(tmp_path / "store"), log=log)

    return made


def test_a_toy_source_and_a_toy_segmenter_are_an_arm(experiment, make):
    """Both are a line of the registry: the source a function, the segmenter a class with `fit` and `segment`."""
    exp = experiment("discs@threshold")
    stage = make(exp)
    metrics = evaluate(exp, stage, log=[].append)
    assert metrics["dsc"].value > 0.9
    assert metrics["pq"].value > 0.8
    (predicted,) = load_predictions(stage).values()
    assert [sample.confidence for sample in predicted] == [None, None]
    with pytest.raises(SegmentationError, match="found none in"):
        load_model(stage.parent)


def test_truth_and_predictions_are_kept_with_their_pixel_sizes(experiment, make):
    given = SampleSet.of([*micrographs(1, 80, seed=1), Sample("a", np.full((30, 40), 0.123456, np.float32))])
    stage = make(experiment("otsu"), given)
    truth, predicted = open_samples(stage / "truth"), load_predictions(stage, "otsu", 0)["plain"]
    for samples in (truth, predicted):
        assert [(s.name, s.pixel_size_nm, s.image.shape) for s in samples] == [
            ("sem0", 2, (80, 80)),
            ("a", None, (30, 40)),
        ]
        assert np.abs(samples[1].image - given[1].image).max() < 1 / 65535
    np.testing.assert_array_equal(truth[0].instances, given[0].instances)
    assert truth[1].instances is None
    assert len(predicted[0].confidence) == predicted[0].n_particles > 3
    assert (predicted[0].confidence == 1).all()


def test_every_model_is_made_tuned_and_shown_the_test_images_once(experiment, make, calls):
    lines = []
    exp = experiment("discs:2,otsu", seed=5)
    stage = make(exp, log=lines.append)
    tuned = 10 * ["predict"]
    assert calls == [
        *("train 50 images, seed 5", *tuned, "predict", "predict"),
        *("train 50 images, seed 6", *tuned, "predict", "predict"),
    ]
    assert list_models(stage) == [("discs", 5), ("discs", 6), ("otsu", 5)]
    assert {rule: len(found) for rule, found in load_predictions(stage).items()} == {"plain": 2, "border_core": 2}
    assert list(load_predictions(stage, "otsu")) == ["plain"]
    with pytest.raises(SegmentationError, match="run segment first"):
        load_predictions(stage, "otsu", 6)
    calls.clear()
    make(exp)
    assert calls == [], "what was made stands"
    shutil.rmtree(stage / "predictions" / "discs" / "seed6")
    make(exp)
    assert calls == ["predict", "predict"]
    calls.clear()
    make(exp, micrographs(2, 80, seed=2))
    assert calls == 4 * ["predict"], "of other test images"


def test_a_model_is_found_by_its_arm_and_seed_and_is_what_was_trained(experiment, make, calls, tmp_path):
    make(experiment("otsu,discs:2"))
    (tmp_path / "segmentation").rename(tmp_path / "run")
    (tmp_path / "elsewhere").mkdir()
    for part in ("run", "store"):
        shutil.move(tmp_path / part, tmp_path / "elsewhere" / part)
    run = tmp_path / "elsewhere"
    (run / "run").rename(run / "segmentation")
    first = load_model(run)
    assert (first.arm, first.seed, first.pixel_size_nm, first.shape, first.min_area_px) == ("discs", 0, 2, "grain", 20)
    assert load_model(run, seed=1).seed == 1
    (image,) = micrographs(1, 80, seed=1)
    found = load_predictions(run / "segmentation", "discs", 0)["border_core"]
    np.testing.assert_array_equal(first.segment(image.image), found[0].instances)
    assert len(first.describe()["weights"]) == 1
    with pytest.raises(SegmentationError, match="no network of arm real and seed 1; expected one of discs with seed 0"):
        load_model(run, arm="real", seed=1)
    with pytest.raises(SegmentationError, match=r"found none in .*run a material first"):
        load_model(run.parent)


def test_an_interrupted_stage_offers_no_model_of_other_settings(experiment, make, calls):
    stage = make(experiment("discs"))

    def cut(line: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make(experiment("discs", min_area_px=50), log=cut)
    assert read_json(stage / "models.json") == [["discs", 0]]
    with pytest.raises(SegmentationError, match="found none"):
        load_model(stage.parent)


def test_no_particle_is_where_text_is_burnt_in(experiment, make):
    (plain,) = micrographs(1, 80, seed=1)
    box = [20, 0, 50, 80]
    stage = make(experiment("otsu"), SampleSet.of([replace(plain, provenance={"overlays": [box]})]))
    truth, predicted = open_samples(stage / "truth")[0], load_predictions(stage, "otsu", 0)["plain"][0]
    for sample in (truth, predicted):
        assert sample.n_particles > 0
        assert not sample.instances[20:50].any()
    assert len(predicted.confidence) == predicted.n_particles


def test_a_true_particle_that_text_cuts_is_judged_on_neither_side(experiment, make):
    """Discs in a row, one of them under text: predicted with what is seen of it, it is neither found nor wrong."""
    y, x = np.indices((60, 160))
    near = [np.hypot(y - 30, x - centre) for centre in (30, 80, 130)]
    instances = sum((k + 1) * (r < 15) for k, r in enumerate(near))
    image = np.where(instances > 0, 0.8, 0.2).astype(np.float32)
    text = [[0, 76, 30, 90]]  # of the second disc a quarter
    stage = make(experiment("otsu"), SampleSet.of([Sample("a", image, 1.0, instances, provenance={"overlays": text})]))
    truth, predicted = open_samples(stage / "truth")[0], load_predictions(stage, "otsu", 0)["plain"][0]
    assert set(np.unique(truth.instances)) == {0, 1, 3}
    assert predicted.n_particles == 2
    assert not predicted.instances[:, 60:100].any()
    metrics = evaluate(experiment("otsu", min_area_px=20), stage, log=[].append)
    assert metrics["ap50"].value == 1
    assert metrics["dsc"].value > 0.95
    assert "burnt-in text" in metrics["ap50"].definition


def test_results_of_a_working_resolution_have_the_pixels_of_the_file(experiment, make):
    given = micrographs(2, 160, seed=1)
    stage = make(experiment("otsu", dataset__working_scale=0.5), given)
    truth, predicted = open_samples(stage / "truth"), load_predictions(stage, "otsu", 0)["plain"]
    for whole, true, found in zip(given, truth, predicted, strict=True):
        np.testing.assert_array_equal(true.instances, whole.instances)
        assert (found.instances.shape, found.pixel_size_nm) == (whole.image.shape, whole.pixel_size_nm)
        assert len(found.confidence) == found.n_particles
    assert evaluate(experiment("otsu"), stage, log=[].append)["dsc"].value > 0.9


def test_a_model_works_at_its_resolution_and_answers_in_the_pixels_of_the_image():
    seen = []

    class Quarters:
        def segment(self, image):
            seen.append(image.shape)
            return np.indices(image.shape)[0] // (image.shape[0] // 2) + 1

    model = Model(Quarters(), "synthetic", 0, 2.0, "sphere", 50, working_scale=0.4)
    labels = model.segment(np.zeros((100, 150), np.float32))
    assert seen == [(40, 60)]
    np.testing.assert_array_equal(labels, np.indices((100, 150))[0] // 50 + 1)
