"""Plots of the data stage: what was found, what was chosen."""

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from skimage.segmentation import find_boundaries
from skimage.util import montage

from drgan_lib.data.patches import PatchSelection
from drgan_lib.samples import SampleSet

TRAIN, BACKGROUND, OVERLAY, OUTLINE = "#2fb344", "#3b8eea", "#e03131", (255, 190, 25)
GAP_PX = 2  # between the patches of a contact sheet


def plot_selection(micrographs: SampleSet, selection: PatchSelection) -> Figure:
    """Micrographs with outlines of the particles found (yellow) and boxes of training (green) and background
    (blue) patches, and of burnt-in text (red).
    """
    columns = min(4, len(micrographs))
    rows, (height, width) = -(-len(micrographs) // columns), selection.detections[0].labels.shape
    figure = Figure(figsize=(4 * columns, (4 * height / width + 0.3) * rows + 0.5), dpi=110, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    size = selection.train[0].image.shape[0]
    for ax, micrograph, detection in zip(axes, micrographs, selection.detections, strict=False):
        boxes = selection.table[selection.table["micrograph"] == micrograph.name]
        ax.imshow(outlined(micrograph.image, detection.labels))
        for box in boxes.itertuples():
            style = {"edgecolor": TRAIN, "lw": 1.6} if box.kind == "train" else {"edgecolor": BACKGROUND, "lw": 0.7}
            ax.add_patch(Rectangle((box.column, box.row), size - 1, size - 1, fill=False, **style))
        for top, left, bottom, right in micrograph.provenance["overlays"]:
            ax.add_patch(Rectangle((left, top), right - left - 1, bottom - top - 1, color=OVERLAY, alpha=0.4))
        n = boxes["kind"].value_counts()
        patches = f"{n.get('train', 0)} + {n.get('background', 0)} patches"
        ax.set_title(f"{micrograph.name}: {len(detection.boxes)} particles found, {patches}", size=8, pad=3)
    for ax in axes:
        ax.axis("off")
    words = "Training patches (green), background patches (blue), particles found (yellow), burnt-in text (red)"
    figure.suptitle(words, size=11)
    return figure


def plot_patches(selection: PatchSelection, *, n_background: int = 32) -> Figure:
    """Contact sheet of the training patches (green, with their counts of whole particles) and of some
    background patches (blue, three times brighter than they are).
    """
    background = selection.background[:n_background]
    images = [*(p.image for p in selection.train), *(3 * p.image for p in background)]
    badges = [(p.provenance["whole_particles"], TRAIN) for p in selection.train] + [(0, BACKGROUND)] * len(background)
    columns = min(16, len(images))
    rows, step = -(-len(images) // columns), max(1, len(images[0]) // 128)
    shown = [image[::step, ::step] for image in images]
    sheet = montage(shown, fill=1, padding_width=GAP_PX, grid_shape=(rows, columns))
    figure = Figure(figsize=(columns, rows), dpi=110)
    ax = figure.add_axes((0, 0, 1, 1))
    ax.imshow(sheet, cmap="gray", vmin=0, vmax=1, aspect="auto")
    ax.axis("off")
    for k, (count, colour) in enumerate(badges):
        row, column = (GAP_PX + (len(shown[0]) + GAP_PX) * place for place in divmod(k, columns))
        badge = {"facecolor": colour, "edgecolor": "none", "pad": 1.0}
        ax.text(column + 5, row + 6, str(count), color="white", size=6, va="top", bbox=badge)
    return figure


def outlined(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The gray image [h, w] in [0, 1], brightened, with the labels' outlines in yellow: uint8 [h, w, 3]."""
    gray = (255 * np.clip(1.3 * image, 0, 1)).astype(np.uint8)
    shown = np.repeat(gray[..., None], 3, axis=2)
    shown[find_boundaries(labels, mode="inner")] = OUTLINE
    return shown
