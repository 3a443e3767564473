"""Which particles several views agree on, what is left open, and that the loss does not see it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from nnunetv2.training.loss.compound_losses import DC_and_CE_loss
from nnunetv2.training.loss.dice import MemoryEfficientSoftDiceLoss

from drgan_lib.classes import CONTOUR, PARTICLE, SEAM, SEAM_LABELS, UNKNOWN, three_class, with_seams
from drgan_lib.samples import Sample, SampleSet
from drgan_lib.segmentation.agreement import Prior, View, agreed, share_agreed, views_of
from drgan_lib.segmentation.metrics import score
from drgan_lib.segmentation.raw import label_of
from tests.segmentation.conftest import draw

SHAPE = (60, 120)
PRIOR = Prior((100, 1000), 0.92)
DISC, LEFT, RIGHT = (20, 20, 10), (30, 60, 10), (30, 79, 10)
IGNORED = len(SEAM_LABELS)


def pair_as_one() -> np.ndarray:
    """The dumbbell of two discs, of one id."""
    return np.minimum(draw(SHAPE, [LEFT, RIGHT]), 1)


@pytest.mark.parametrize("view", [View(), View(quarters=1), View(quarters=2, mirrored=True), View(2.0, 3, True)])
def test_a_view_and_back_is_the_image(view):
    labels = draw(SHAPE, [DISC, LEFT])

    class Seen:
        def segment(self, image):
            assert image.shape == tuple(round(view.scale * n) for n in (SHAPE[::-1] if view.quarters % 2 else SHAPE))
            return np.where(image > 0.75, 2, np.where(image > 0.25, 1, 0))

    (found,) = views_of(Seen(), (labels / 2).astype(np.float32), [view])
    assert found.shape == SHAPE
    assert score(labels, found, min_area=50)["pq"] > 0.95
    if view.scale == 1:
        np.testing.assert_array_equal(found, labels)


def test_noise_is_a_share_of_the_contrast():
    image = np.repeat(np.float32([0.4, 0.6]), 5000).reshape(100, 100)
    seen = View(noise=0.2).of(image, generator=np.random.default_rng(0))
    assert (seen - image).std() == pytest.approx(0.2 * 0.1, rel=0.05)


def test_what_half_of_the_views_show_is_kept_and_the_rest_that_any_shows_is_unknown():
    both, one = draw(SHAPE, [DISC, LEFT]), draw(SHAPE, [DISC])
    half = agreed([both, both, one, one], PRIOR)
    np.testing.assert_array_equal(half > 0, both > 0)
    assert len(np.unique(half)) == 3
    less = agreed([both, one, one, one], PRIOR)
    np.testing.assert_array_equal(less > 0, one > 0)
    np.testing.assert_array_equal(less == UNKNOWN, both > one)


def test_an_outline_that_moves_by_a_pixel_is_no_doubt():
    views = [draw(SHAPE, [(20, 20 + shift, 10)]) for shift in (-1, 0, 1)]
    assert set(np.unique(agreed(views, PRIOR))) == {0, 1}


def test_a_dented_pair_is_unknown_in_however_many_views():
    assert set(np.unique(agreed(4 * [pair_as_one()], PRIOR))) == {0, UNKNOWN}


def test_parts_win_over_the_pair_that_as_many_views_take_for_one():
    parted, lenient = draw(SHAPE, [LEFT, RIGHT]), Prior((100, 1000), 0.5)
    found = agreed([parted, parted, pair_as_one(), pair_as_one()], lenient)
    np.testing.assert_array_equal(found > 0, parted > 0)
    assert len(np.unique(found)) == 3


@pytest.mark.parametrize("areas", [(400, 1000), (10, 200)])
def test_particles_of_another_size_than_those_learned_from_are_unknown(areas):
    assert set(np.unique(agreed(2 * [draw(SHAPE, [DISC])], Prior(areas, 0.9)))) == {0, UNKNOWN}


def test_the_prior_is_that_of_visible_particles():
    radii = np.linspace(6, 14, 41)
    images = [Sample("", np.zeros(SHAPE), instances=draw(SHAPE, [(30, 30, radius), (30, 80, 3)])) for radius in radii]
    prior = Prior.of(SampleSet.of(images), min_area=50)
    np.testing.assert_allclose(prior.areas, np.pi * np.quantile(radii, (0.05, 0.95)) ** 2, rtol=0.05)
    assert 0.88 < prior.solidity < 0.96


def test_the_share_that_is_agreed_on():
    def of(*ids: int) -> SampleSet:
        return SampleSet.of([Sample("", np.zeros((1, len(ids))), instances=np.array([ids]))])

    assert share_agreed(of(0, 3, 3, 2, UNKNOWN)) == 0.75
    assert share_agreed(of(0, 0)) == 1


def test_a_particle_has_a_seam_towards_what_is_unknown_which_is_ignored():
    parted = draw(SHAPE, [LEFT, RIGHT, DISC])
    known = with_seams(three_class(parted, 1), parted, 2)
    np.testing.assert_array_equal(label_of(parted, contour_px=1, seam_px=2), known)
    assert (known[parted == 1] == PARTICLE + SEAM).any()
    label = label_of(np.where(parted == 2, UNKNOWN, parted), contour_px=1, seam_px=2)
    assert (label[parted == 2] == IGNORED).all()
    for k in (1, 3):
        np.testing.assert_array_equal(label[parted == k], known[parted == k])
    assert set(np.unique(label[parted == 0])) == {0, CONTOUR, CONTOUR + SEAM, IGNORED}
    assert (label_of(np.full((4, 4), UNKNOWN), contour_px=1, seam_px=0) == 3).all()


def test_the_loss_has_no_gradient_where_the_label_is_ignored():
    """The loss is built as nnU-Net's trainer does."""
    instances = draw(SHAPE, [DISC, LEFT, RIGHT])
    label = label_of(np.where(instances == 3, UNKNOWN, instances), contour_px=1, seam_px=2)
    dice = {"batch_dice": True, "smooth": 1e-5, "do_bg": False, "ddp": False}
    loss = DC_and_CE_loss(dice, {}, ignore_label=IGNORED, dice_class=MemoryEfficientSoftDiceLoss)
    logits = torch.randn(1, IGNORED, *SHAPE, generator=torch.Generator().manual_seed(0), requires_grad=True)
    loss(logits, torch.from_numpy(label)[None, None].float()).backward()
    seen = logits.grad[0].abs().sum(0).numpy()
    assert (seen[label == IGNORED] == 0).all()
    assert (seen[label != IGNORED] > 0).all()
