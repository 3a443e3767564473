"""Dirt, blur and noise by their closed forms."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import label

from drgan_lib.config import load_experiment
from drgan_lib.scene.detector import detect
from drgan_lib.scene.microscope import blur, detector_noise, dirt, draw_conditions, expose, line_noise, shot_noise

IDEAL = {"blur_px": 0.0, "dose": np.nan, "line_noise": 0.0, "noise_sigma": 0.0}


def generator(seed=0):
    return np.random.default_rng(seed)


def test_the_blur_keeps_a_constant_and_spreads_a_point_as_a_gaussian():
    np.testing.assert_allclose(blur(np.full((20, 30), 0.3), 2.0), 0.3)
    point = np.zeros((41, 41))
    point[20, 20] = 1
    spread = blur(point, 1.5)
    offset = np.arange(41) - 20
    assert spread.sum() == pytest.approx(1)
    assert (spread.sum(axis=0) * offset**2).sum() == pytest.approx(1.5**2, rel=0.02)
    np.testing.assert_array_equal(blur(point, 0.0), point)


@pytest.mark.parametrize(("level", "dose"), [(0.2, 50), (0.9, 400)])
def test_the_variance_of_shot_noise_is_the_level_over_the_dose(level, dose):
    image = shot_noise(np.full((300, 300), level), dose, rng=generator())
    assert image.mean() == pytest.approx(level, rel=0.01)
    assert image.var() == pytest.approx(level / dose, rel=0.03)
    np.testing.assert_allclose(image * dose, np.round(image * dose), atol=1e-9, err_msg="electrons are counted")


def test_no_dose_and_black_have_no_shot_noise():
    image = np.linspace(0, 1, 12).reshape(3, 4)
    np.testing.assert_array_equal(shot_noise(image, np.nan, rng=generator()), image)
    assert not shot_noise(np.zeros((5, 5)), 10, rng=generator()).any()


def test_lines_are_offset_as_a_whole():
    offsets = line_noise(np.full((4000, 5), 0.5), 0.02, rng=generator()) - 0.5
    assert np.ptp(offsets, axis=1).max() < 1e-12
    assert offsets[:, 0].std() == pytest.approx(0.02, rel=0.05)
    assert abs(np.corrcoef(offsets[:-1, 0], offsets[1:, 0])[0, 1]) < 0.06


def test_without_what_training_does_not_model_it_is_the_detector_of_training():
    light = np.random.default_rng(3).uniform(-0.1, 1.4, size=(200, 200))
    ideal = expose(light, IDEAL, rng=generator())
    np.testing.assert_array_equal(ideal, np.round(255 * light.clip(0, 1)))
    ours = expose(light, {**IDEAL, "noise_sigma": 0.05}, rng=generator()) / 255
    theirs = detect(torch.from_numpy(light)[None], {"noise_sigma": torch.tensor([0.05])}, seeds=[0])[0].numpy()
    grid = np.linspace(0.02, 0.98, 9)
    np.testing.assert_allclose(np.quantile(ours, grid), np.quantile(theirs, grid), atol=0.01)
    assert detector_noise(np.zeros((300, 300)), 0.05, rng=generator()).std() == pytest.approx(0.05, rel=0.02)


def test_each_noise_has_its_own_random_numbers():
    light = np.full((40, 40), 0.5)
    quiet, loud = (
        expose(light, {**IDEAL, "line_noise": 0.05, "dose": dose}, rng=generator()) for dose in (np.nan, 1e9)
    )
    assert np.abs(quiet.astype(int) - loud).max() <= 1, "electrons in plenty leave the lines as they were"


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), n=st.integers(0, 12), share=st.floats(0.01, 0.99))
def test_specks_are_few_small_and_centred_on_the_stage(seed, n, share):
    stage = np.zeros((70, 90), dtype=bool)
    stage[:, : max(1, int(share * 90))] = True
    reflectance = dirt(stage, n, rng=generator(seed))
    dirty = reflectance != 1
    assert 0.2 < reflectance.min() <= 1 <= reflectance.max() < 4.1
    assert label(dirty, structure=np.ones((3, 3)))[1] <= n
    assert dirty.any() == (n > 0)
    assert dirty.sum() <= n * np.pi * 24**2
    if n == 1:
        near = np.argwhere(dirty)
        assert stage[near[:, 0], near[:, 1]].any()


def test_no_stage_no_specks():
    assert (dirt(np.zeros((9, 9), dtype=bool), 5, rng=generator()) == 1).all()


def test_conditions_are_uniform_in_their_ranges():
    twin = load_experiment("twin").material.twin
    table = draw_conditions(twin, 3000, rng=generator())
    assert list(table) == ["blur_px", "dose", "line_noise", "shot_noise", "specks"]
    np.testing.assert_allclose(table["dose"] * table["shot_noise"] ** 2, 1)
    for name in table.columns.drop("shot_noise"):
        low, high = getattr(twin, name)
        assert table[name].between(low, high).all()
        assert table[name].mean() == pytest.approx((low + high) / 2, rel=0.03)
    assert set(table["specks"]) == set(range(twin.specks[0], twin.specks[1] + 1))
    endless = draw_conditions(twin.model_copy(update={"dose": None}), 3, rng=generator())
    assert endless["dose"].isna().all()
    assert (endless["shot_noise"] == 0).all()
