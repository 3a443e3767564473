"""The measured particles of an image, drawn on it."""

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.colors import Normalize
from matplotlib.font_manager import findfont
from matplotlib.ticker import MaxNLocator
from PIL import Image, ImageDraw, ImageFont
from skimage.segmentation import find_boundaries

from drgan_lib.quantify.distributions import Counting, counted
from drgan_lib.quantify.plots import COLOURS, axis_label, require_same_shape, step_to_show

EXCLUDED, CROSS = (0.8, 0.3, 0.6), "white"
SMALLEST_PX, MARGIN, BAR, TEXT = 800, 40, (26, 84), 20  # of the longer side; above and below; bar and its numbers; font
NARROWEST_PX = 640  # that the text has room


def draw_particles(
    image: np.ndarray, labels: np.ndarray, table: pd.DataFrame, column: str, counting: Counting
) -> Image.Image:
    """The particles of `labels` [h, w] on `image` [h, w] in [0, 1], those that count coloured by `column`.

    Those left out are pink and crossed. `table` is that of `measure_particles(labels)`. Matplotlib would take ten times
    as long, more than all else that is measured.
    """
    require_same_shape(image, labels)
    keep, _ = counted(table, counting)
    values = table[column].to_numpy(float)
    low, high = (values[keep].min(), values[keep].max()) if keep.any() else (0.0, 1.0)
    norm = Normalize(low, high if high > low else low + 1)
    step = step_to_show(image)
    small = labels[::step, ::step]
    picture = np.repeat(np.clip(image[::step, ::step], 0, 1)[..., None].astype(np.float32), 3, axis=2)
    if len(table):
        index = np.searchsorted(table["id"], small.ravel()).reshape(small.shape).clip(max=len(table) - 1)
        colours = np.where(keep[:, None], colormaps[COLOURS](norm(values))[:, :3], EXCLUDED)[index]
        opacity = np.where(find_boundaries(small, mode="inner"), 1.0, 0.55)[..., None]
        picture = np.where(small[..., None] > 0, (1 - opacity) * picture + opacity * colours, picture)
    factor = max(1, SMALLEST_PX // max(small.shape))
    height, width = (factor * n for n in small.shape)
    whole = Image.new("RGB", (max(width + sum(BAR), NARROWEST_PX), height + 2 * MARGIN), "white")
    shown = Image.fromarray(np.rint(255 * picture).astype(np.uint8)).resize((width, height), Image.Resampling.NEAREST)
    centres = table.loc[~keep, ["column_px", "row_px"]].to_numpy() / step
    _cross(shown, (centres + 0.5) * factor)
    whole.paste(shown, (0, MARGIN))
    draw, font = ImageDraw.Draw(whole), ImageFont.truetype(findfont("DejaVu Sans"), TEXT)  # Pillow's own lacks the ²
    draw.text((4, MARGIN // 2), f"{keep.sum()} particles counted, {(~keep).sum()} left out", "black", font, "lm")
    draw.text((whole.width - 4, MARGIN // 2), axis_label(column), "black", font, "rm")
    reason = "left out: on the border" + (f" or below {counting.min_area_px} px" if counting.min_area_px else "")
    foot = height + 3 * MARGIN // 2
    draw.rectangle((4, foot - 8, 26, foot + 8), tuple(round(255 * part) for part in EXCLUDED))
    draw.text((34, foot), reason, "black", font, "lm")
    _bar(whole, norm, left=width + 8, rows=(MARGIN, MARGIN + height - 1), font=font)
    return whole


def _cross(picture: Image.Image, places: np.ndarray) -> None:
    """A cross at each of `places` [n, 2], column and row in px."""
    draw = ImageDraw.Draw(picture)
    for column, row in places:
        draw.line((column - 4, row - 4, column + 4, row + 4), CROSS)
        draw.line((column - 4, row + 4, column + 4, row - 4), CROSS)


def _bar(picture: Image.Image, norm: Normalize, *, left: int, rows: tuple[int, int], font: ImageFont.FreeTypeFont):
    """The scale of colours with its numbers, between two `rows` of the `picture`."""
    top, bottom = rows
    steps = colormaps[COLOURS](np.linspace(1, 0, bottom - top + 1), bytes=True)[:, None, :3]
    picture.paste(Image.fromarray(np.repeat(steps, BAR[0] - 8, axis=1)), (left, top))
    draw = ImageDraw.Draw(picture)
    ticks = MaxNLocator(max(1, min(6, (bottom - top) // 40))).tick_values(norm.vmin, norm.vmax)
    for tick in ticks[(ticks >= norm.vmin) & (ticks <= norm.vmax)]:
        row = bottom - float(norm(tick)) * (bottom - top)
        draw.line((left + BAR[0] - 8, row, left + BAR[0] - 4, row), "black")
        draw.text((left + BAR[0], row), f"{tick:.4g}", "black", font, "lm")
