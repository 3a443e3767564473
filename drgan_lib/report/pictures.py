"""Pictures for the report, as text that a page can hold: data URIs and SVG."""

import base64
import io
import math
from collections.abc import Iterable
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from PIL import Image
from skimage.measure import block_reduce
from skimage.segmentation import find_boundaries

LONGEST_PX, MIDDLE_PX, SMALLEST_PX = 1200, 2048, 600
QUALITIES = (88, 75, 60, 40, 20)  # of JPEG

Layer = tuple[np.ndarray, tuple[float, float, float], str]


def view(
    name: str, text: str, image: np.ndarray, layers: Iterable[Layer], pixel_size_nm: float | None, n_bytes: int
) -> dict[str, Any]:
    """The `image` [h, w] in [0, 1] with outlines and a scale bar, to be zoomed, in at most about `n_bytes`.

    `layers` are instances int [h, w], the RGB colour of their outlines, and how those differ beside the colour:
    "solid", "dashed" or "hatched". Of images beyond 2048 px only the middle is shown; small ones are enlarged, so that
    outlines stay thin.
    """
    window = tuple(slice((n - min(n, MIDDLE_PX)) // 2, (n + min(n, MIDDLE_PX)) // 2) for n in image.shape)
    shown = image[window]
    if shown.shape != image.shape:
        text += f"; shown is the middle, {shown.shape[1]} of {image.shape[1]} px wide"
    step, times = -(-max(shown.shape) // LONGEST_PX), max(1, SMALLEST_PX // max(shown.shape))
    rows, columns = (n // step * step for n in shown.shape)
    gray = block_reduce(shown[:rows, :columns], step, np.mean).repeat(times, axis=0).repeat(times, axis=1)
    picture, diagonal = np.repeat(gray[..., None], 3, axis=2), np.indices(gray.shape).sum(axis=0)
    for labels, colour, style in layers:
        small = labels[window][:rows:step, :columns:step].repeat(times, axis=0).repeat(times, axis=1)
        line = find_boundaries(small, mode="inner")
        if style == "dashed":
            line &= diagonal // 4 % 2 == 0
        elif style == "hatched":
            line |= (small > 0) & (diagonal % 8 == 0)
        picture[line] = colour
    height, width = gray.shape
    held = {"name": name, "text": text, "uri": jpeg(picture, n_bytes), "width": width, "height": height}
    return held | ({} if pixel_size_nm is None else scale_bar(width, pixel_size_nm * step / times))


def scale_bar(width_px: int, nm_per_px: float) -> dict[str, float]:
    """Length in nm and share of `width_px` of a bar of 1, 2 or 5 times a power of ten nm, at most a quarter."""
    longest = width_px * nm_per_px / 4
    power = 10.0 ** math.floor(math.log10(longest))
    length = max(times * power for times in (1, 2, 5) if times * power <= longest)
    return {"bar_nm": length, "bar_share": length / nm_per_px / width_px}


def jpeg(picture: np.ndarray, n_bytes: int) -> str:
    """Data URI of a gray [h, w] or RGB [h, w, 3] picture in [0, 1], of the best quality that `n_bytes` hold."""
    pixels = Image.fromarray(np.rint(255 * picture.clip(0, 1)).astype(np.uint8))
    for quality in QUALITIES:
        pixels.save(held := io.BytesIO(), "JPEG", quality=quality, subsampling=0)
        uri = f"data:image/jpeg;base64,{base64.b64encode(held.getvalue()).decode()}"
        if len(uri) <= n_bytes:
            break
    return uri


def svg(figure: Figure) -> str:
    """The figure as SVG to stand within HTML; what is black in it has the colour of the text around."""
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "report"}):
        figure.savefig(held := io.StringIO(), format="svg", transparent=True, metadata=nothing)
    text = held.getvalue()
    return text[text.index("<svg") :].replace("#000000", "currentColor")


def evenly(n: int, of: int) -> list[int]:
    """Up to `n` numbers below `of`, evenly spread."""
    return np.unique(np.linspace(0, of - 1, min(n, of)).astype(int)).tolist()
