"""The proposal as a material's YAML file, with the origin of every number as a comment, and as a table."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import yaml

from drgan_lib.config import ELONGATED, Material
from drgan_lib.suggest.propose import Estimate, Proposal

# The paper's limits (supplementary table); those of the stage and of the noise follow the images.
BOUNDS = {
    "roughness": (0.01, 5.0),
    "base_color": (0.01, 5.0),
    "sheen": (0.01, 5.0),
    "spec_tint": (0.01, 5.0),
    "stage_base_color": (0.01, 0.4),
    "noise_sigma": (0.001, 0.1),
}
ROOM = 2.0  # a learned parameter may go this far beyond what the images show
COLUMNS = ("quantity", "found", "estimate", "90 % interval", "setting")
LEAST_HIGH = {"stage_base_color": 0.2, "noise_sigma": 0.05}  # half the paper's: the GAN needs room to err in


@dataclass(frozen=True)
class Scale:
    """The unit that sizes are written in, and how many px it has."""

    unit: str
    px: float


def scale(material: Material) -> Scale:
    """nm where the pixel size is known, else px."""
    size = material.dataset.pixel_size_nm
    return Scale("nm", 1 / size) if size else Scale("px", 1.0)


def proposed_bounds(proposal: Proposal) -> dict[str, tuple[float, float]]:
    """Bounds of the learned parameters: the paper's, but for the stage and the noise, which the images show."""
    seen = {"stage_base_color": proposal.colours[1], "noise_sigma": proposal.real.views.noise}
    highs = {name: max(LEAST_HIGH[name], ROOM * float(np.quantile(v, 0.95))) for name, v in seen.items()}
    return BOUNDS | {name: (BOUNDS[name][0], _up(high)) for name, high in highs.items()}


def table(proposal: Proposal) -> list[tuple[str, ...]]:
    """Rows of the columns `COLUMNS`, values as text."""
    layout, views, s = proposal.material.layout, proposal.real.views, scale(proposal.material)
    what = "diameter" if proposal.material.meshes.shape in ELONGATED else "equivalent diameter"
    median = proposal.material.scene_unit_px * layout.sizes.median / s.px
    settings = {
        "visible_median_px": (f"median {what}, {s.unit}", 1 / s.px, 3, f"{median:.3g} (of whole particles)"),
        "visible_spread": ("its spread, deviation of ln", 1, 2, f"{layout.sizes.sigma:.2f}"),
        "coverage": ("coverage of a patch", 1, 2, "by number and sizes"),
        "particles_per_patch": ("visible particles per patch", 1, 3, _span(layout.n_particles) + " placed"),
        "clusters_per_patch": ("clusters per patch", 1, 2, _span(layout.clusters)),
        "looseness": ("neighbours that do not touch, share", 1, 2, f"tightness {layout.tightness:.2f}"),
    }
    rows = []
    for name, (title, factor, digits, setting) in settings.items():
        e = proposal.estimates[name]
        values = [f"{factor * v:.{digits}g}" for v in (e.found, e.value, *e.interval)]
        rows.append((title, values[0], values[1], f"{values[2]} to {values[3]}", setting))
    bounds = proposed_bounds(proposal)
    for title, values, setting in (
        ("gray of the background", views.background, f"stage_base_color {_span(bounds['stage_base_color'])}"),
        ("gray of the particles", views.particle_level, "base_color as the paper"),
        ("noise of the background", views.noise, f"noise_sigma {_span(bounds['noise_sigma'])}"),
    ):
        low, middle, high = np.nanquantile(values, (0.05, 0.5, 0.95))
        rows.append((title, f"{middle:.3g}", "", f"{low:.3g} to {high:.3g} of patches", setting))
    return rows


def as_yaml(proposal: Proposal, *, figure: str) -> str:
    """The material file; `figure` is the name of the figure beside it."""
    m, e, views, s = proposal.material, proposal.estimates, proposal.real.views, scale(proposal.material)
    layout, bounds = m.layout, proposed_bounds(proposal)
    sizes = {
        "law": "lognormal",
        "unit": s.unit,
        "median": _round(m.scene_unit_px * layout.sizes.median / s.px),
        "sigma": _round(layout.sizes.sigma, 2),
    }
    placing = {
        "placement": layout.placement,
        "clusters": list(layout.clusters),
        "seed_radius": _round(layout.seed_radius, 2),
        "tightness": _round(layout.tightness, 2),
        "orientation": layout.orientation,
    }
    gray = np.nanquantile(views.background, (0.05, 0.95)), np.nanquantile(views.particle_level, (0.05, 0.95))
    lines = [
        "# Proposed by `drgan suggest` from the training micrographs, without annotations; free to edit.",
        f"# {figure} lays estimates and settings over each other. Values in brackets are 90 % intervals.",
        _line("name", m.name),
        _line("title", m.title),
        _block("dataset", m.dataset.model_dump(mode="json", exclude_defaults=True)),
        "# The shape is yours; its other settings are defaults"
        + (", but for the length, from the number of ends." if proposal.real.aspect else "."),
        _line("meshes", {"shape": m.meshes.shape} | m.meshes.model_dump(mode="json", exclude_defaults=True)),
        "layout:",
        f"  # As seen, partly hidden: median {_about(e['visible_median_px'], 1 / s.px)} {s.unit}, deviation of ln",
        f"  # {_about(e['visible_spread'])}. The law is that of whole particles whose renders are measured alike.",
        f"  {_line('sizes', sizes)}",
        f"  # Visible in a patch: {_about(e['particles_per_patch'])}, coverage {_about(e['coverage'])}. The range",
        "  # spans 10 to 90 % of the patches, and counts what is hidden or beyond the border, too.",
        f"  {_line('n_particles', list(layout.n_particles))}",
        f"  # Clusters in a patch: {_about(e['clusters_per_patch'])}. Share of neighbours in them that do not touch:",
        f"  # {_about(e['looseness'])}.",
        *(f"  {_line(key, value)}" for key, value in placing.items()),
        "  # A view from above does not tell how much is stacked: these are defaults.",
        *(f"  {_line(key, getattr(layout, key))}" for key in ("space", "stacking", "height")),
        *_changed("patches", m.patches),
        *_changed("scene", m.scene),
        "# The paper's limits, but for the upper ones of stage and noise, at least twice what 95 % of patches show.",
        f"# In 90 % of them the background is {_span(gray[0])} (1 is white), the particles {_span(gray[1])},",
        f"# the noise {_span(np.quantile(views.noise, (0.05, 0.95)))}.",
        "bounds:",
        *(f"  {_line(name, list(values))}" for name, values in bounds.items()),
        _line("contour_px", m.contour_px),
        _line("min_area_px", m.min_area_px),
    ]
    return "\n".join(lines) + "\n"


def _line(key: str, value: Any) -> str:
    text = yaml.safe_dump({key: value}, default_flow_style=True, width=10_000, sort_keys=False, allow_unicode=True)
    return text.strip()[1:-1]


def _block(key: str, values: dict[str, Any]) -> str:
    return "\n".join([f"{key}:", *(f"  {_line(name, value)}" for name, value in values.items())])


def _changed(key: str, section: Any) -> list[str]:
    """The section's settings that are no defaults."""
    changed = section.model_dump(mode="json", exclude_defaults=True)
    return [_line(key, changed)] if changed else []


def _about(estimate: Estimate, factor: float = 1.0) -> str:
    low, high = estimate.interval
    return f"{factor * estimate.value:.3g} [{factor * low:.3g}, {factor * high:.3g}]"


def _span(values) -> str:
    low, high = values
    return f"{low:.3g} to {high:.3g}"


def _round(value: float, digits: int = 3) -> float:
    return float(f"{value:.{digits}g}")


def _up(value: float) -> float:
    """The next number of one digit that is not smaller, up to rounding errors."""
    step = 10.0 ** math.floor(math.log10(value))
    return _round(step * math.ceil(value / step - 1e-9), 1)
