"""Means, spreads and intervals against closed forms and SciPy, and the paper's table."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import bootstrap

from drgan_lib.segmentation.metrics import DEFINITIONS, score
from drgan_lib.segmentation.summary import GAPS, PUBLISHED, SUMMARY, gaps, paper_table, summarise

UNIT = st.floats(0, 1)


def scores(values: dict[str, list[list[float]]], *, instances: str = "plain", metric: str = "pq") -> pd.DataFrame:
    """A scores table of `values[arm][seed][image]`."""
    rows = [
        {"arm": arm, "seed": seed, "instances": instances, "name": f"image{image}", metric: value}
        for arm, seeds in values.items()
        for seed, images in enumerate(seeds)
        for image, value in enumerate(images)
    ]
    return pd.DataFrame(rows)


def test_mean_over_all_and_spread_of_the_seeds():
    (row,) = summarise(scores({"real": [[0.5, 0.7], [0.6, 1.0]]})).itertuples()
    assert (row.arm, row.instances, row.metric, row.n_seeds, row.n_images) == ("real", "plain", "pq", 2, 2)
    assert row.mean == pytest.approx(0.7)
    assert row.std == pytest.approx(0.2 / np.sqrt(2))  # of 0.6 and 0.8


def test_interval_of_two_images_are_the_images():
    # Resampled, their mean is the lower one, the middle or the upper one, in 1, 2 and 1 of 4 cases.
    (row,) = summarise(scores({"real": [[0.2, 0.5], [0.4, 0.9]]})).itertuples()
    assert (row.low, row.high) == pytest.approx((0.3, 0.7))


def test_interval_agrees_with_scipy():
    values = np.random.default_rng(1).beta(5, 2, size=30)
    (row,) = summarise(scores({"real": [values.tolist()]}), n_bootstrap=20_000).itertuples()
    theirs = bootstrap((values,), np.mean, n_resamples=20_000, method="percentile", rng=2).confidence_interval
    assert (row.low, row.high) == pytest.approx(tuple(theirs), abs=0.02 * (theirs.high - theirs.low))


def test_more_seeds_of_the_same_images_do_not_narrow_the_interval():
    images = [0.3, 0.5, 0.8, 0.9, 0.95]
    one, three = (summarise(scores({"real": [images] * n})).iloc[0] for n in (1, 3))
    assert (three["low"], three["high"]) == pytest.approx((one["low"], one["high"]))
    assert np.isnan(one["std"])
    assert three["std"] == 0


@given(st.lists(st.lists(UNIT, min_size=3, max_size=3), min_size=1, max_size=3), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_the_order_of_the_rows_does_not_matter(values: list, random):
    table = scores({"real": values})
    mixed = table.iloc[random.sample(range(len(table)), len(table))]
    ours = summarise(table, n_bootstrap=50)
    pd.testing.assert_frame_equal(ours, summarise(mixed, n_bootstrap=50))
    lowest, highest = np.min(np.mean(values, axis=0)), np.max(np.mean(values, axis=0))
    assert ((ours[["low", "mean", "high"]] >= lowest - 1e-12) & (ours[["low", "mean", "high"]] <= highest + 1e-12)).all(
        axis=None
    )


def test_the_seed_decides_the_resamples():
    table = scores({"real": [np.linspace(0.1, 0.9, 7).tolist()]})
    one, same, other = (summarise(table, n_bootstrap=40, seed=seed) for seed in (0, 0, 1))
    pd.testing.assert_frame_equal(one, same)
    assert (one["low"] != other["low"]).any()


def test_a_single_image_has_no_interval():
    (row,) = summarise(scores({"real": [[0.4], [0.6]]})).itertuples()
    assert row.mean == pytest.approx(0.5)
    assert np.isnan([row.low, row.high]).all()


@pytest.mark.parametrize("table", [pd.DataFrame(), scores({"real": [[0.5]]}).iloc[:0]])
def test_no_scores_make_empty_tables(table: pd.DataFrame):
    summary = summarise(table)
    assert (len(summary), tuple(summary.columns)) == (0, SUMMARY)
    assert (len(gaps(table)), tuple(gaps(table).columns)) == (0, GAPS)
    assert paper_table(summary).empty
    assert len(paper_table(summary, published=PUBLISHED["tio2_sem"])) == 3


@pytest.mark.parametrize("change", [lambda t: t.iloc[:-1], lambda t: pd.concat([t, t.iloc[-1:]])])
def test_every_seed_must_be_scored_once_on_every_image(change: Callable[[pd.DataFrame], pd.DataFrame]):
    table = scores({"real": [[0.5, 0.7], [0.6, 1.0]]})
    for function in (summarise, gaps):
        with pytest.raises(ValueError, match="real, seed 1, plain: expected one row for each of the 2 images"):
            function(change(table))


def test_what_score_returns_is_summarised():
    image = np.kron(np.arange(6).reshape(2, 3), np.ones((5, 5), int))
    table = pd.DataFrame(
        {"arm": "real", "seed": 0, "instances": "plain", "name": name, **score(image, predicted)}
        for name, predicted in (("a", image), ("b", np.zeros_like(image)))
    )
    summary = summarise(table).set_index("metric")
    assert list(summary.index) == [name for name in DEFINITIONS if not name.startswith("coco")]
    never = ["merged", "split", "imprecise"]
    assert summary["mean"].drop(["count_error", *never]).to_numpy() == pytest.approx(0.5)
    assert (summary["mean"][never] == 0).all()


def test_a_constant_gap_is_certain_though_the_images_differ():
    hard = np.array([0.2, 0.5, 0.6, 0.9, 0.95])
    table = scores({"real": [hard.tolist()], "synthetic": [(hard - 0.1).tolist()] * 2})
    (row,) = gaps(table).itertuples()
    assert (row.arm, row.metric, row.n_images) == ("synthetic", "pq", 5)
    assert (row.mean, row.low, row.high) == pytest.approx((-0.1, -0.1, -0.1))
    assert np.ptp(summarise(table).loc[0, ["low", "high"]].astype(float)) > 0.3


def test_a_gap_needs_its_reference():
    plain, cored = (
        scores({"real": [[0.5, 0.7]], "otsu": [[0.1, 0.2]]}, instances=name) for name in ("plain", "border_core")
    )
    table = pd.concat([plain, cored[cored["arm"] == "otsu"]])
    assert gaps(table)["instances"].tolist() == ["plain"]
    with pytest.raises(ValueError, match=r"expected one of the arms \['otsu', 'real'\] as reference, got 'best'"):
        gaps(table, reference="best")


def test_paper_table_has_spreads_gaps_and_the_published_rows():
    table = pd.concat(
        [
            scores({"otsu": [[0.3, 0.5]], "real": [[0.5, 0.7], [0.6, 1.0]]}, metric="ap50"),
            scores({"real": [[0.5, 0.7], [0.5, 0.7]]}, instances="border_core", metric="ap50"),
        ]
    )
    rows = paper_table(
        summarise(table),
        arms=["real", "otsu", "lost"],
        words={"real": "micrographs", "otsu": "nothing", "lost": "lost"}.get,
        published=PUBLISHED["tio2_sem"],
    ).set_index("trained on")
    assert list(rows.index[:2]) == ["micrographs", "nothing"]
    assert rows["AP50, plain"].iloc[:3].tolist() == ["0.700 ± 0.141", "0.400", "-"]
    assert rows["AP50, border-core"].iloc[:3].tolist() == ["0.600 ± 0.000", "-", "-"]
    assert rows["runs"].iloc[:3].tolist() == ["2", "1", "-"]
    published = rows.loc["real, published"]
    assert published[["DSC", "PQ as published", "AP50, plain", "PQ, plain"]].tolist() == [
        "0.964",
        "0.930",
        "0.567",
        "-",
    ]


def test_published_pq_is_the_iou_of_the_mask_but_for_one_row():
    rows = [line for lines in PUBLISHED.values() for line in lines]
    off = [line for line in rows if abs(line.dsc / (2 - line.dsc) - line.pq_semantic) > 0.0015]
    assert [(line.trained_on, line.pq_semantic) for line in off] == [("synthetic of Mill et al.", 0.659)]
    assert len(rows) == 9
