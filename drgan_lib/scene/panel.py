"""A panel for notebooks: a layout as the detector sees it, and a slider for each learned parameter."""

import io
import math
import time
from collections.abc import Sequence

import ipywidgets as widgets
import torch
from PIL import Image

from drgan_lib.scene.layout import Layout
from drgan_lib.scene.parameters import at_position, micrograph
from drgan_lib.scene.render import Renderer
from drgan_lib.scene.transport import TransportRenderer

START = 0.15  # where in its bounds a parameter stands at first
WIDE = 100  # bounds that span a larger factor get a logarithmic slider
STEPS = 200
WIDTH_PX = 512
STYLE = {"description_width": "9em"}


def panel(renderer: Renderer, layouts: Sequence[Layout]) -> widgets.HBox:
    """The micrograph beside a selector of `layouts`, a slider per learned parameter, and the time of the last render.

    The image follows a slider while it moves if `renderer` has its light transport precomputed, else when it is let go.
    The noise has a fixed seed, so that what changes is what the slider does.
    """
    bounds = renderer.material.bounds
    low, high = torch.tensor(list(bounds.values()), dtype=torch.float32).T
    start = at_position(renderer.material, START).tolist()
    sliders = [_slider(name, *bounds[name], value) for name, value in zip(bounds, start, strict=True)]
    for slider in sliders:
        slider.continuous_update = isinstance(renderer, TransportRenderer)
    names = [(f"{i}: {len(layout)} particles", i) for i, layout in enumerate(layouts)]
    choice = widgets.Dropdown(options=names, description="layout", style=STYLE)
    picture, clock = widgets.Image(format="png", width=WIDTH_PX), widgets.Label()

    @torch.no_grad()
    def show(_change: object = None) -> None:
        # The ends of a logarithmic slider are the bounds up to rounding.
        parameters = torch.tensor([slider.value for slider in sliders]).clamp(low, high)
        began = time.perf_counter()
        image = micrograph(renderer, parameters, layouts[choice.value])
        clock.value = f"rendered in {1000 * (time.perf_counter() - began):.1f} ms"
        file = io.BytesIO()
        grey = (255 * image).round().byte().cpu().numpy()
        Image.fromarray(grey).save(file, format="png", compress_level=1)
        picture.value = file.getvalue()

    for control in (choice, *sliders):
        control.observe(show, names="value")
    show()
    return widgets.HBox([picture, widgets.VBox([choice, *sliders, clock])])


def _slider(name: str, low: float, high: float, value: float) -> widgets.FloatSlider | widgets.FloatLogSlider:
    """A slider over the bounds, logarithmic if they are `WIDE`."""
    kind = widgets.FloatSlider
    if low > 0 and high / low > WIDE:
        kind, low, high = widgets.FloatLogSlider, math.log10(low), math.log10(high)
    step = (high - low) / STEPS
    return kind(value=value, min=low, max=high, step=step, description=name, readout_format=".3g", style=STYLE)
