"""Tuning on class maps for which the best settings are known."""

import numpy as np
import pytest

from drgan_lib.classes import three_class
from drgan_lib.segmentation import instances
from drgan_lib.segmentation.instances import GRID, BorderCore, ClassMap, border_core, plain, tune_border_core
from drgan_lib.segmentation.metrics import score


def squares(contour_probability: float) -> tuple[ClassMap, np.ndarray]:
    """Four touching squares of which class 1 shows one, the contour between them being as probable as given."""
    truth = np.pad(np.kron(np.array([[1, 2], [3, 4]]), np.ones((12, 12), int)), 2)
    contour = np.where(three_class(truth, 1) == 2, contour_probability, 0.0)
    return ClassMap((truth > 0).astype(np.uint8), 1 - contour, contour), truth


def dumbbells() -> tuple[ClassMap, np.ndarray]:
    """Two squares of 17 pixels, joined by a neck of 9 without any contour."""
    truth = np.zeros((30, 60), int)
    truth[5:22, 5:22], truth[5:22, 30:47], truth[9:18, 22:26], truth[9:18, 26:30] = 1, 2, 1, 2
    return ClassMap((truth > 0).astype(np.uint8), (truth > 0).astype(float), np.zeros(truth.shape)), truth


def test_a_faint_contour_asks_for_a_level_and_no_neck():
    chosen, table = tune_border_core(*zip(squares(0.2), strict=True), min_area=5)
    assert chosen == BorderCore(level=0.7, neck=0)
    assert table.loc[table["chosen"], "pq"].item() > 0.9
    assert table.loc[table["level"] == 0.5, "pq"].max() == 0


def test_a_neck_without_contour_asks_for_a_cut_and_no_level():
    chosen, table = tune_border_core(*zip(dumbbells(), strict=True), min_area=5)
    assert chosen == BorderCore(level=0, neck=0.6)
    assert table.loc[table["neck"] == 0.4, "count_ratio"].tolist() == [0.5] * 6


def test_the_simplest_of_equal_settings_is_chosen():
    classes = np.zeros((20, 20), np.uint8)
    classes[4:12, 4:12] = 1
    certain = ClassMap(classes, classes.astype(float), np.zeros(classes.shape))
    assert tune_border_core([certain], [classes.astype(int)], min_area=5)[0] == BorderCore(level=0, neck=0)


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ([([0.61, 0.98], 1.2), ([0.58, 0.98], 1.0)], 1),  # the last has a lower PQ, if by little, in each image
        ([([0.61, 0.97], 1.0), ([0.62, 0.97], 0.985)], 2),  # counts that are as right as each other
    ],
)
def test_of_settings_as_good_as_the_best_the_right_number_counts(monkeypatch, others, expected):
    """The first has the best PQ and .7 of the particles."""
    grid = (BorderCore(0.5, 0.4), BorderCore(0.7, 0.4), BorderCore(0.7, 0.6))
    rows = [([0.6, 1.0], 0.7), *others]
    monkeypatch.setattr(instances, "GRID", grid)
    monkeypatch.setattr(instances, "quality_of", lambda settings, *_: rows[grid.index(settings)])
    maps, truths = zip(squares(0.2), squares(0.2), strict=True)
    assert tune_border_core(maps, truths, min_area=5)[0] == grid[expected]


def test_the_table_holds_the_mean_over_images_of_every_setting():
    maps, truths = zip(squares(0.3), dumbbells(), strict=True)
    chosen, table = tune_border_core(maps, truths, min_area=5)
    assert len(table) == len(GRID) <= 60
    assert table["chosen"].sum() == 1

    def qualities(settings):
        return np.array(
            [score(t, border_core(m, settings), min_area=5)["pq"] for m, t in zip(maps, truths, strict=True)]
        )

    best = qualities(GRID[table["pq"].argmax()])
    for settings, row in list(zip(GRID, table.itertuples(), strict=True))[::7]:
        expected = qualities(settings)
        assert row.pq == pytest.approx(np.mean(expected), abs=1e-12)
        assert row.standard_error == pytest.approx(abs(np.subtract(*(best - expected))) / 2)
    best = [score(t, plain(m.classes), min_area=5)["pq"] for m, t in zip(maps, truths, strict=True)]
    assert table["pq"].max() > np.mean(best)
    assert (chosen.level, chosen.neck) == tuple(table.loc[table["chosen"], ["level", "neck"]].iloc[0])


def test_the_minimum_area_is_applied_to_both_sides():
    class_map, truth = squares(0.2)
    truth[0, 0] = 9
    without, with_speck = (tune_border_core([class_map], [truth], min_area=n)[1]["pq"].max() for n in (5, 1))
    assert with_speck == pytest.approx(without * 4 / 4.5)


def test_images_without_particles_agree():
    nothing = ClassMap(*(np.zeros((9, 9), dtype) for dtype in (np.uint8, float, float)))
    chosen, table = tune_border_core([nothing], [np.zeros((9, 9), int)], min_area=5)
    assert chosen == BorderCore(level=0, neck=0)
    assert (table["pq"] == 1).all()
    assert table["count_ratio"].isna().all()


def test_bad_input_is_refused():
    class_map, truth = squares(0.3)
    with pytest.raises(ValueError, match="at least one, got 0 and 0"):
        tune_border_core([], [], min_area=5)
    with pytest.raises(ValueError, match="got 1 and 2"):
        tune_border_core([class_map], [truth, truth], min_area=5)
