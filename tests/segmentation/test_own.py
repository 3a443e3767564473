"""A network that goes on learning from its own segmentations: what it is shown, when it stops, and once in earnest."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from drgan_lib.classes import UNKNOWN
from drgan_lib.files import read_json
from drgan_lib.samples import SampleSet
from drgan_lib.segmentation import SegmentationError, own, plain, read_models, score, segment
from drgan_lib.store import Store
from drgan_lib.synthesis.sources import Origin
from tests.segmentation.conftest import micrographs

NOTHING = SampleSet.of([])


@pytest.fixture
def make(tmp_path, monkeypatch):
    """Function that runs the stage with `n` training micrographs of four patches each, in one view, and with `shares`.

    `shares` are those on which the views agree, one after the other.
    """
    monkeypatch.setattr(own, "views_of", lambda network, image: [network.segment(image)])

    def made(exp, n=4, shares=(), masks=False):
        left = list(shares)
        monkeypatch.setattr(own, "share_agreed", lambda samples: left.pop(0))
        micros = micrographs(n, 128, n_discs=20, name="train")
        origin = Origin(exp, micros if masks else micros.map(lambda s: replace(s, instances=None)), NOTHING, NOTHING)
        store = Store(tmp_path / "store")
        stage = segment(exp, NOTHING, origin, tmp_path / "segmentation", store, log=[].append)
        assert left == []
        return [model.network for model in read_models(stage)]

    return made


def weights_of(network) -> str:
    return next(network.folder.rglob("checkpoint_final.pth")).read_text()


@pytest.mark.parametrize(("shares", "weights"), [([0.5, 0.5], "500"), ([0.5, 0.6, 0.7], "500 + 1000 + 1500")])
def test_it_goes_on_while_views_of_what_was_held_back_agree_on_more(experiment, make, calls, shares, weights):
    first, second = make(experiment("discs,discs+self"), shares=shares)
    # 50 of 60 images are learned from, 10 tune; three of four micrographs give four patches each.
    further = ["train 62 images, seed 0"] * (len(shares) - 1)
    assert [call for call in calls if call != "predict"] == ["train 50 images, seed 0", *further]
    assert (weights_of(first), weights_of(second)) == ("500", weights)
    tuned = [read_json(network.folder / "border_core.json")["made_from"]["samples"] for network in (first, second)]
    assert tuned[0] == tuned[1], "on drawn images, not on its own segmentations"
    calls.clear()
    (again,) = make(experiment("discs+self"), shares=shares, masks=True)
    assert calls == [], "networks and segmentations stand, and masks make no difference"
    assert again.folder == second.folder


def test_without_a_micrograph_to_hold_back_it_is_refused(experiment, make, calls):
    with pytest.raises(SegmentationError, match=r"at least 2 training micrographs .* got 1"):
        make(experiment("discs,discs+self"), n=1)
    assert calls == []


def test_of_two_micrographs_one_is_learned_from(experiment, make, calls):
    make(experiment("discs+self"), n=2, shares=[0.5, 0.5])
    assert [call for call in calls if call != "predict"] == ["train 50 images, seed 0", "train 54 images, seed 0"]


@pytest.mark.slow
@pytest.mark.xdist_group("trained")
def test_a_network_goes_on_with_images_of_which_half_is_unknown(trained):
    half = micrographs(8, seed=3, name="self").map(
        lambda s: replace(s, instances=np.where(np.arange(64) < 32, s.instances, UNKNOWN))
    )
    further = trained.go_on(micrographs(48), half, iterations=40, seed=0)
    assert further.settings.iterations == 150
    assert further.training()["epoch"].tolist() == [0, 1, 2]
    labels = read_json(next(further.folder.rglob("dataset.json")))["labels"]
    assert labels["ignore"] == len(labels) - 1 == 5
    (sample,) = micrographs(1, 80, n_discs=8, seed=5)
    assert score(sample.instances, plain(further.class_map(sample.image).classes))["dsc"] > 0.6
    assert further.identity != trained.identity
