"""Figures of the data stage: what was found, what was chosen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from skimage.segmentation import find_boundaries

from drgan_lib.data.patches import PatchSelection
from drgan_lib.data.read import Micrograph
from drgan_lib.files import atomic_path

TRAIN, BACKGROUND, OVERLAY, OUTLINE = "#2fb344", "#3b8eea", "#e03131", (255, 190, 25)


def plot_selection(micrographs: Sequence[Micrograph], selection: PatchSelection, path: str | Path) -> None:
    """Micrographs with outlines of the particles found (yellow) and boxes of training (green) and background
    (blue) patches, and of burnt-in text (red), as a PNG.
    """
    columns = min(4, len(micrographs))
    rows = -(-len(micrographs) // columns)
    height, width = micrographs[0].image.shape
    panel = 4 * height / width + 0.3
    figure = Figure(figsize=(4 * columns, panel * rows + 0.5))
    margin = 0.5 / (panel * rows + 0.5)
    figure.subplots_adjust(0.01, 0.005, 0.99, 1 - margin - 0.2 / (panel * rows), wspace=0.02, hspace=0.1)
    axes = np.atleast_1d(figure.subplots(rows, columns)).ravel()
    size = selection.train.shape[-1]
    for ax, micrograph, detection in zip(axes, micrographs, selection.detections, strict=False):
        boxes = selection.table[selection.table["micrograph"] == micrograph.name]
        ax.imshow(outlined(micrograph.image, detection.labels))
        for box in boxes.itertuples():
            colour, width_pt = (TRAIN, 1.6) if box.kind == "train" else (BACKGROUND, 0.7)
            corner = (box.column, box.row)
            ax.add_patch(Rectangle(corner, size - 1, size - 1, fill=False, edgecolor=colour, linewidth=width_pt))
        for top, left, bottom, right in micrograph.overlays:
            corner, width, height = (left, top), right - left - 1, bottom - top - 1
            ax.add_patch(Rectangle(corner, width, height, facecolor=OVERLAY, edgecolor=OVERLAY, alpha=0.4))
        n = boxes["kind"].value_counts()
        patches = f"{n.get('train', 0)} + {n.get('background', 0)} patches"
        ax.set_title(f"{micrograph.name}: {len(detection.boxes)} particles found, {patches}", size=8, pad=3)
    for ax in axes:
        ax.axis("off")
    title = "Training patches (green), background patches (blue), particles found (yellow)"
    if any(m.overlays for m in micrographs):
        title += ", burnt-in text (red)"
    figure.text(0.5, 1 - 0.5 * margin, title, size=11, ha="center", va="center")
    _save(figure, path)


def plot_patches(selection: PatchSelection, path: str | Path, *, n_background: int = 32) -> None:
    """Contact sheet of the training patches (green, with their counts of whole particles) and of some
    background patches (blue, three times brighter than they are), as a PNG.
    """
    train = selection.table[selection.table["kind"] == "train"]
    cells = [(p, str(n), TRAIN) for p, n in zip(selection.train, train["whole_particles"], strict=True)]
    cells += [(3 * patch, "0", BACKGROUND) for patch in selection.background[:n_background]]
    columns = min(16, len(cells))
    rows = -(-len(cells) // columns)
    step = max(1, selection.train.shape[-1] // 128)
    side = selection.train[0, ::step, ::step].shape[0]
    sheet = np.ones((rows * (side + 2), columns * (side + 2)), np.float32)
    figure = Figure(figsize=(columns, rows))
    ax = figure.add_axes((0, 0, 1, 1))
    for k, (patch, text, colour) in enumerate(cells):
        row, column = (side + 2) * (k // columns), (side + 2) * (k % columns)
        sheet[row : row + side, column : column + side] = np.clip(patch[::step, ::step], 0, 1)
        badge = {"facecolor": colour, "edgecolor": "none", "pad": 1.0}
        ax.text(column + 5, row + 6, text, color="white", size=6, va="top", bbox=badge)
    ax.imshow(sheet, cmap="gray", vmin=0, vmax=1, aspect="auto")
    ax.axis("off")
    _save(figure, path)


def outlined(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The gray image [h, w] in [0, 1], brightened, with the labels' outlines in yellow: uint8 [h, w, 3]."""
    gray = (255 * np.clip(1.3 * image, 0, 1)).astype(np.uint8)
    shown = np.repeat(gray[..., None], 3, axis=2)
    shown[find_boundaries(labels, mode="inner")] = OUTLINE
    return shown


def _save(figure: Figure, path: str | Path) -> None:
    FigureCanvasAgg(figure)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=110)
