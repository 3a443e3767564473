"""What the plots show: colours of the errors, the images chosen, curves of trainings, dots of the table."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pytest
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from drgan_lib.classes import SEAM_LABELS
from drgan_lib.samples import Sample, SampleSet
from drgan_lib.segmentation import gallery, overlays, plot_table, plot_training
from drgan_lib.segmentation.metrics import score
from drgan_lib.segmentation.plots import BLUE, GREEN, RED
from drgan_lib.segmentation.summary import PUBLISHED, summarise


def training(folds: tuple[str, ...] = ("all",), classes: tuple[str, ...] = ("particle", "contour")) -> pd.DataFrame:
    """What a network says of two epochs of its training, for each fold."""
    epochs = pd.DataFrame({"epoch": [0, 1], "train_loss": [0.2, -0.1]})
    epochs = epochs.assign(**{f"dice_{name}": [np.nan, 0.9] for name in classes})
    return pd.concat([epochs.assign(fold=fold) for fold in folds], ignore_index=True)


@dataclass
class Picture:
    """Four squares of 10 x 10 px, of which the last `n_missed` are not found, and a wrong one of 6 x 6 px."""

    name: str = "a"
    n_missed: int = 1
    masked: bool = True
    margin: int = 0

    def __post_init__(self):
        ids = np.zeros((60, 80), np.int32)
        for number in range(4):
            ids[5:15, 5 + 18 * number : 15 + 18 * number] = number + 1
        seen = np.where(ids > 4 - self.n_missed, 0, ids)
        seen[50:56, 60:66] = 9
        ids, seen = (np.pad(labels, self.margin) for labels in (ids, seen))
        gray = np.full(ids.shape, 0.5)
        self.true = Sample(self.name, gray, instances=ids if self.masked else None)
        self.predicted = Sample(self.name, gray, instances=seen)


def sets(pictures: list[Picture]) -> tuple[SampleSet, SampleSet]:
    return SampleSet.of(p.true for p in pictures), SampleSet.of(p.predicted for p in pictures)


def scored(pictures: list[Picture]) -> pd.DataFrame:
    pairs = [(p.name, score(p.true.instances, p.predicted.instances)) for p in pictures]
    return pd.DataFrame([{"name": name, **found} for name, found in pairs])


def painted(panel: np.ndarray, colour: tuple[float, ...]) -> np.ndarray:
    return np.isclose(panel, colour).all(axis=2)


def png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=30)
    return buffer.getvalue()


def test_overlays_outline_found_wrong_and_missed():
    p = Picture()
    figure = overlays(*sets([p]), min_area=0)
    plain, truth, judged = (axes.images[0].get_array() for axes in figure.axes)
    assert (plain == 0.5).all()
    assert painted(truth, GREEN).sum() == 4 * 36  # the outline of a square of 10 x 10 px
    assert painted(judged, GREEN).sum() == 3 * 36
    assert painted(judged, BLUE).sum() == 36
    assert painted(judged, RED).sum() == 20
    assert (p.predicted.instances[painted(judged, RED)] == 9).all()
    assert png(figure)


def test_overlays_leave_out_what_is_too_small_to_count():
    judged = overlays(*sets([Picture()]), min_area=37).axes[2].images[0].get_array()
    assert not painted(judged, RED).any()
    assert painted(judged, GREEN).any()


def test_overlays_without_mask_judge_nothing_and_stop_at_the_limit():
    figure = overlays(*sets([Picture(str(n), masked=False) for n in range(4)]), min_area=0, n_max=2)
    assert len(figure.axes) == 6
    assert figure.axes[1].get_title() == "no mask given"
    judged = figure.axes[2].images[0].get_array()
    assert painted(judged, GREEN).any()
    assert not (painted(judged, RED) | painted(judged, BLUE)).any()


def test_overlays_show_the_middle_of_large_images():
    figure = overlays(*sets([Picture(margin=300)]), min_area=0)
    assert figure.axes[0].images[0].get_array().shape[:2] == (512, 512)


def test_gallery_shows_best_median_and_worst():
    pictures = [Picture(name, n) for name, n in (("b", 2), ("a", 0), ("d", 4), ("c", 1), ("e", 3))]
    figure = gallery(*sets(pictures), scored(pictures), min_area=0)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert [title.split(",")[0] for title in titles[::2]] == ["best: a", "median: b", "worst: d"]
    assert titles[1::2] == ["4 found, 1 wrong, 0 missed", "2 found, 1 wrong, 2 missed", "0 found, 1 wrong, 4 missed"]
    assert png(figure)


@pytest.mark.parametrize(("n", "titles"), [(1, ["best"]), (2, ["best", "worst"]), (4, ["best", "median", "worst"])])
def test_gallery_of_few_images_shows_each_once(n: int, titles: list[str]):
    pictures = [Picture(str(k), k) for k in range(n)]
    figure = gallery(*sets(pictures), scored(pictures), min_area=0)
    shown = [axes.get_title(loc="left").split(":") for axes in figure.axes[::2]]
    assert [title for title, _ in shown] == titles
    assert len({name.split(",")[0] for _, name in shown}) == len(titles)


def test_gallery_draws_every_instance_once_and_frames_the_most_errors():
    pictures = [Picture(n_missed=2)]
    whole, detail = gallery(*sets(pictures), scored(pictures), min_area=0).axes
    lines = {tuple(c.get_color()[0][:3]): c.get_segments() for c in whole.collections if isinstance(c, LineCollection)}
    assert {colour: len(segments) for colour, segments in lines.items()} == {BLUE: 2, RED: 1, GREEN: 2}
    (square,) = lines[RED]
    assert (square.min(axis=0).tolist(), square.max(axis=0).tolist()) == ([59.5, 49.5], [65.5, 55.5])
    (frame,) = whole.patches
    assert (frame.get_width(), frame.get_height()) == (32, 24)
    left, right = detail.get_xlim()
    bottom, top = detail.get_ylim()
    assert (left, right) == (frame.get_x(), frame.get_x() + 32)
    assert (top, bottom) == (frame.get_y(), frame.get_y() + 24)
    assert top < 5 < 14 < bottom  # rows of the missed squares, columns 41 to 68
    assert left < 41 < 68 < right


@pytest.mark.parametrize("change", [lambda t: t.iloc[:0], lambda t: pd.concat([t, t]), lambda t: t.assign(name="x")])
def test_gallery_refuses_scores_of_other_or_several_predictions(change):
    pictures = [Picture()]
    with pytest.raises(ValueError, match="select one arm, seed and instance method"):
        gallery(*sets(pictures), change(scored(pictures)), min_area=0)


def test_seams_have_curves_of_their_own():
    dice = plot_training({"real": [training(classes=tuple(list(SEAM_LABELS)[1:]))]}).axes[1]
    assert [text.get_text() for text in dice.get_legend().get_texts()][2:] == ["particle at seam", "contour at seam"]
    assert len(dice.lines) == 4


def test_training_curves_have_a_colour_per_arm_and_a_line_per_seed_and_fold():
    figure = plot_training({"real": [training()] * 3, "synthetic": [training(tuple("01234"))]})
    loss, dice = figure.axes
    drawn = [line for line in loss.lines if len(line.get_xdata()) > 0]
    assert [line.get_color() for line in drawn] == [drawn[0].get_color()] * 3 + [drawn[3].get_color()] * 5
    assert drawn[0].get_color() != drawn[3].get_color()
    assert [line.get_linestyle() for line in dice.lines[:2]] == ["-", "--"]
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["real (3 seeds)", "synthetic (1 seed)"]
    assert png(figure)
    assert png(plot_training({}))


def table_of(arms: tuple[str, ...]) -> pd.DataFrame:
    rows = [
        {"arm": arm, "seed": 0, "instances": instances, "name": f"{k}", **dict.fromkeys(("dsc", "ap50", "pq"), value)}
        for number, arm in enumerate(arms)
        for instances in ("plain", "border_core")
        for k, value in enumerate(0.1 * number + np.array([0.4, 0.5, 0.6]) + 0.05 * (instances == "plain"))
    ]
    return summarise(pd.DataFrame(rows))


def test_table_is_drawn_with_its_intervals_and_the_published_figures():
    summary = table_of(("real", "synthetic"))
    figure = plot_table(summary, published=PUBLISHED["tio2_sem"])
    dsc, ap50, pq = figure.axes
    names = [label.get_text() for label in dsc.get_yticklabels()]
    assert names == ["real", "synthetic", "synthetic of Rühle et al.", "synthetic+background"]
    assert dsc.lines[0].get_xdata() == pytest.approx([0.55, 0.65])
    assert not [line for line in dsc.lines[1:] if line.get_marker() != "D"], "the DSC knows no instances"
    assert [len(ap50.lines[k].get_xdata()) for k in (0, 1)] == [2, 2]
    bars = dsc.collections[0].get_segments()
    plain = summary[(summary["metric"] == "dsc") & (summary["instances"] == "plain")]
    assert np.array(bars)[:, :, 0] == pytest.approx(plain[["low", "high"]].to_numpy())
    marks = [(line.get_xdata()[0], -line.get_ydata()[0]) for line in dsc.lines if line.get_marker() == "D"]
    assert marks == [(0.964, 0), (0.911, 2), (0.916, 3)]
    assert sum(line.get_marker() == "D" for line in ap50.lines) == 3
    assert not any(line.get_marker() == "D" for line in pq.lines)
    assert png(figure)


def test_an_empty_table_and_one_row_are_drawn():
    assert png(plot_table(summarise(pd.DataFrame())))
    assert png(plot_table(table_of(("real",))))
    low, high = plot_table(table_of(("real",))).axes[0].get_xlim()
    assert high - low >= 0.1
