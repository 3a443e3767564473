"""Plots of chapter 05: trainings, predictions with their errors, and the table of arms."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from scipy.ndimage import find_objects
from skimage.measure import find_contours
from skimage.segmentation import find_boundaries

from drgan_lib.samples import Sample, SampleSet
from drgan_lib.segmentation.metrics import match, remove_small
from drgan_lib.segmentation.summary import Published

CROP_PX, DETAIL, SMALLEST_SPAN = 512, 0.4, 0.1
GREEN, RED, BLUE = (0.1, 0.85, 0.2), (0.95, 0.15, 0.15), (0.25, 0.5, 1.0)
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")  # Okabe and Ito
METHODS = {"plain": ("o", SERIES[0], "connected components"), "border_core": ("s", SERIES[1], "border-core")}
DASHES = {"particle": "-", "contour": "--", "particle_at_seam": ":", "contour_at_seam": "-."}
PANELS = {"dsc": "DSC", "ap50": "AP50, TP / (TP + FP + FN)", "pq": "instance PQ"}


Layers = list[tuple[np.ndarray, tuple[float, ...]]]


def overlays(truth: SampleSet, predicted: SampleSet, *, min_area: int, n_max: int = 8) -> Figure:
    """Up to `n_max` micrographs: image, truth, prediction. `predicted` holds the same images as `truth`, in its order.

    Shown are at most the central 512 x 512 pixels of each. Outlines of the prediction are green where an instance
    is matched (IoU > 0.5) and red where not; true instances that nothing matched are blue.
    """
    shown = list(zip(truth[:n_max], predicted[:n_max], strict=True))
    figure = Figure(figsize=(12, 4.2 * len(shown)), layout="constrained")
    axes = figure.subplots(len(shown), 3, squeeze=False)
    for row, (true, found) in zip(axes, shown, strict=True):
        window = tuple(slice((n - min(n, CROP_PX)) // 2, (n + min(n, CROP_PX)) // 2) for n in true.image.shape)
        panels = (
            (true.name, []),
            ("no mask given", []) if true.instances is None else ("truth", [(true.instances, GREEN)]),
            ("prediction: found green, wrong red, missed blue", judged(true, found, min_area)),
        )
        for axis, (title, layers) in zip(row, panels, strict=True):
            axis.imshow(_outlined(true.image, layers)[window], interpolation="nearest")
            axis.set_title(title, fontsize=10)
            axis.set_axis_off()
    return figure


def gallery(truth: SampleSet, predicted: SampleSet, scores: pd.DataFrame, *, min_area: int) -> Figure:
    """The best, the median and the worst image by instance PQ with their errors: found green, wrong red, missed blue.

    Beside each whole image stands, enlarged, the part of it (white frame) with the most pixels in errors.
    `predicted` holds the same images as `truth`, in its order; `scores` what `score` says of them, a row per image
    (`name`): the rows of one arm, seed and instance method. Of an even number the lower median is shown; fewer than
    three images appear once each. Raises `ValueError` without scores, for several rows of an image, and for images
    without prediction.
    """
    places = {name: k for k, name in enumerate(predicted.table()["name"])}
    if scores.empty or scores["name"].duplicated().any() or not set(scores["name"]) <= set(places):
        raise ValueError(
            f"expected scores of the images {sorted(places)}, one row each, got {scores['name'].tolist()}; "
            "select one arm, seed and instance method"
        )
    ordered = scores.sort_values("pq", ascending=False, kind="stable")
    titles = {len(ordered) // 2: "median", len(ordered) - 1: "worst", 0: "best"}
    rows = [(title, ordered.iloc[place]) for place, title in sorted(titles.items())]
    height, width = truth[places[rows[0][1]["name"]]].image.shape
    figure = Figure(figsize=(12, (6 * height / width + 0.4) * len(rows) + 0.4), layout="constrained")
    for (whole, detail), (title, row) in zip(figure.subplots(len(rows), 2, squeeze=False), rows, strict=True):
        true, found = (samples[places[row["name"]]] for samples in (truth, predicted))
        layers = judged(true, found, min_area)
        top, left, height, width = _most_errors(layers)
        for axes in (whole, detail):
            _draw(axes, true.image, layers)
        whole.add_patch(Rectangle((left - 0.5, top - 0.5), width, height, fill=False, edgecolor="white", lw=1.2))
        detail.set(xlim=(left - 0.5, left + width - 0.5), ylim=(top + height - 0.5, top - 0.5))
        whole.set_title(f"{title}: {true.name}, PQ {row['pq']:.3f}, AP50 {row['ap50']:.3f}", fontsize=11, loc="left")
        detail.set_title(f"{row['tp']} found, {row['fp']} wrong, {row['fn']} missed", fontsize=11, loc="left")
    handles = [Line2D([], [], color=colour, lw=3) for colour in (GREEN, RED, BLUE)]
    labels = ("found (IoU > 0.5)", "wrong", "missed")
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    return figure


def plot_table(summary: pd.DataFrame, *, published: Sequence[Published] = ()) -> Figure:
    """DSC, AP50 and instance PQ of each arm with the 95 % intervals over images, from `summarise`.

    Diamonds are `published` metrics (an entry of `PUBLISHED`), in the row of their arm or a row of their own; there
    are none of the instance PQ, and which AP50 was published is not stated.
    """
    rows = [*summary["arm"].unique(), *(line.trained_on for line in published if line.arm is None)]
    rows += [line.arm for line in published if line.arm is not None and line.arm not in rows]
    place = {name: -number for number, name in enumerate(rows)}
    figure = Figure(figsize=(12, 1.5 + 0.55 * max(1, len(rows))), layout="constrained")
    for axes, (metric, title) in zip(figure.subplots(1, len(PANELS), sharey=True), PANELS.items(), strict=True):
        for offset, (method, (marker, colour, _)) in zip((0.13, -0.13), METHODS.items(), strict=True):
            if metric == "dsc" and method != "plain":
                continue  # the pixels of class 1 have no instances
            part = summary[(summary["metric"] == metric) & (summary["instances"] == method)]
            height = part["arm"].map(place) + offset
            axes.hlines(height, part["low"], part["high"], color=colour, lw=3, alpha=0.45)
            axes.plot(part["mean"], height, marker, color=colour, ms=6, mec="white", mew=0.8)
        if metric != "pq":
            for line in published:
                axes.plot(getattr(line, metric), place[line.arm or line.trained_on], "D", ms=6, mfc="none", mec="black")
        axes.set_title(title, fontsize=11)
        axes.set_yticks(list(place.values()), list(place))
        axes.set_ylim(-max(1, len(rows)) + 0.5, 0.5)
        low, high = axes.get_xlim()
        half = max(high - low, SMALLEST_SPAN) / 2
        axes.set_xlim((low + high) / 2 - half, (low + high) / 2 + half)
        axes.xaxis.get_major_locator().set_params(nbins=6)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", alpha=0.3)
        axes.spines[["top", "right", "left"]].set_visible(False)
    handles = [Line2D([], [], ls="", marker=m, color=c, label=label) for m, c, label in METHODS.values()]
    handles.append(Line2D([], [], color="0.5", lw=3, alpha=0.6, label="95 % interval over images"))
    if published:
        handles.append(Line2D([], [], ls="", marker="D", mfc="none", mec="black", label="published"))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False)
    return figure


def plot_training(trainings: Mapping[str, Sequence[pd.DataFrame]]) -> Figure:
    """Training loss and pseudo-Dice by epoch from `Network.training`: a colour per name (an arm), a line per training.

    A table (of a seed) holds one training, or one per fold. Of the pseudo-Dice the particles are drawn solid, the
    contour dashed, and what of both lies at seams, if the network learned it apart, dotted and dash-dotted.
    """
    figure = Figure(figsize=(11, 4), layout="constrained")
    loss, dice = figure.subplots(1, 2)
    drawn: dict[str, Line2D] = {}
    for number, (name, tables) in enumerate(trainings.items()):
        colour = SERIES[number % len(SERIES)]
        for of_seed in tables:
            for _, table in of_seed.groupby("fold"):
                style = {"color": colour, "lw": 1.4, "alpha": 0.8, "marker": "o" if len(table) < 2 else None}
                loss.plot(table["epoch"], table["train_loss"], **style)
                for name_of_class, dashes in DASHES.items():
                    if (column := f"dice_{name_of_class}") in table:
                        dice.plot(table["epoch"], table[column], ls=dashes, **style)
                        drawn[name_of_class.replace("_", " ")] = Line2D([], [], color="0.3", ls=dashes)
        loss.plot([], color=colour, label=f"{name} ({len(tables)} {'seed' if len(tables) == 1 else 'seeds'})")
    loss.set_ylabel("training loss (cross-entropy - Dice)")
    dice.set_ylabel("pseudo-Dice")
    dice.set_ylim(0, 1)
    dice.legend(drawn.values(), drawn.keys(), frameon=False)
    for axes in (loss, dice):
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.spines[["top", "right"]].set_visible(False)
    if trainings:
        loss.legend(frameon=False)
    return figure


def judged(true: Sample, found: Sample, min_area: int) -> Layers:
    """The missed, the wrong and the found instances as label images with their colours; without mask all are green."""
    predicted = remove_small(found.instances, min_area)
    if true.instances is None:
        return [(predicted, GREEN)]
    truth = remove_small(true.instances, min_area)
    matching = match(truth, predicted)
    missed = np.where(np.isin(truth, matching.true_ids), 0, truth)
    matched = np.where(np.isin(predicted, matching.predicted_ids), predicted, 0)
    return [(missed, BLUE), (predicted - matched, RED), (matched, GREEN)]


def _most_errors(layers: Layers) -> tuple[int, int, int, int]:
    """Top, left, height and width of the part of an image that holds the most wrong and missed pixels.

    Of equal ones it is the one with the most instances. It measures `DETAIL` of the image each way.
    """
    *errors, (found, _) = layers
    weight = (found > 0) * 1e-3 + sum((labels > 0).astype(float) for labels, _ in errors)
    height, width = (max(1, round(DETAIL * n)) for n in found.shape)
    sums = np.pad(weight, ((1, 0), (1, 0))).cumsum(axis=0).cumsum(axis=1)
    inside = sums[height:, width:] - sums[:-height, width:] - sums[height:, :-width] + sums[:-height, :-width]
    top, left = np.unravel_index(inside.argmax(), inside.shape)
    return int(top), int(left), height, width


def _draw(axes: Axes, image: np.ndarray, layers: Layers) -> None:
    """The image in gray with each layer's instances as lines in its colour, filled where they are errors."""
    axes.imshow(image, cmap="gray", vmin=0, vmax=1)
    for labels, colour in layers:
        if colour != GREEN:
            axes.imshow(np.where(labels[..., None] > 0, (*colour, 0.3), 0.0), interpolation="nearest")
        lines = []
        for label, box in enumerate(find_objects(labels), start=1):
            if box is not None:
                corner = box[1].start - 1, box[0].start - 1
                lines += [line[:, ::-1] + corner for line in find_contours(np.pad(labels[box] == label, 1), 0.5)]
        axes.add_collection(LineCollection(lines, colors=[colour], linewidths=1.1))
    axes.set_axis_off()


def _outlined(image: np.ndarray, layers: Layers) -> np.ndarray:
    """RGB [h, w, 3] with the inner outlines of each layer's instances in its colour."""
    picture = np.repeat(image[..., None], 3, axis=2)
    for labels, colour in layers:
        picture[find_boundaries(labels, mode="inner")] = colour
    return picture
