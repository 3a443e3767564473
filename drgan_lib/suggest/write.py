"""The proposal as a material's YAML file, with the origin of every number as a comment, and as a table."""

import math
from typing import Any

import numpy as np
import yaml

from drgan_lib.config import ELONGATED, Material
from drgan_lib.suggest.proposal import Estimate, Proposal

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


def scale(material: Material) -> tuple[str, float]:
    """The unit that sizes are written in, and how many px it has: nm where the pixel size is known, else px."""
    size = material.dataset.working_pixel_size_nm
    return ("nm", 1 / size) if size else ("px", 1.0)


def proposed_bounds(proposal: Proposal) -> dict[str, tuple[float, float]]:
    """Bounds of the learned parameters: the paper's, but for the stage and the noise, which the images show."""
    seen = {"stage_base_color": proposal.colours[1], "noise_sigma": proposal.real.views.noise}
    highs = {name: max(LEAST_HIGH[name], ROOM * float(np.quantile(v, 0.95))) for name, v in seen.items()}
    return BOUNDS | {name: (BOUNDS[name][0], rounded_up(high)) for name, high in highs.items()}


def table(proposal: Proposal) -> list[tuple[str, ...]]:
    """Rows of the columns `COLUMNS`, values as text."""
    m, views, bounds = proposal.material, proposal.real.views, proposed_bounds(proposal)
    layout, (unit, px) = m.layout, scale(m)
    what = "diameter" if m.meshes.shape in ELONGATED else "equivalent diameter"
    whole = f"{m.scene_unit_px * layout.sizes.median / px:.3g} (of whole particles)"
    rows = []
    for name, title, factor, digits, setting in (
        ("visible_median_px", f"median {what}, {unit}", 1 / px, 3, whole),
        ("visible_spread", "its spread, deviation of ln", 1, 2, f"{layout.sizes.sigma:.2f}"),
        ("coverage", "coverage of a patch", 1, 2, "by number and sizes"),
        ("particles_per_patch", "visible particles per patch", 1, 3, f"{_span(layout.n_particles)} placed"),
        ("clusters_per_patch", "clusters per patch", 1, 2, _span(layout.clusters)),
        ("looseness", "neighbours that do not touch, share", 1, 2, f"tightness {layout.tightness[0]:.2f}"),
    ):
        e = proposal.estimates[name]
        found, value, low, high = (f"{factor * v:.{digits}g}" for v in (e.found, e.value, *e.interval))
        rows.append((title, found, value, f"{low} to {high}", setting))
    for title, values, setting in (
        ("gray of the background", views.background, f"stage_base_color {_span(bounds['stage_base_color'])}"),
        ("gray of the particles", views.particle_level, "base_color as the paper"),
        ("noise of the background", views.noise, f"noise_sigma {_span(bounds['noise_sigma'])}"),
    ):
        low, middle, high = np.nanquantile(values, (0.05, 0.5, 0.95))
        rows.append((title, f"{middle:.3g}", "", f"{low:.3g} to {high:.3g} of patches", setting))
    return rows


def as_yaml(proposal: Proposal, *, figure: str) -> str:
    """The material file; `figure` is the name of the plot beside it."""
    m, e, views, bounds = proposal.material, proposal.estimates, proposal.real.views, proposed_bounds(proposal)
    layout, (unit, px) = m.layout, scale(m)
    median, sigma = _round(m.scene_unit_px * layout.sizes.median / px), _round(layout.sizes.sigma, 2)
    background, particles, noise = (
        _span(np.nanquantile(v, (0.05, 0.95))) for v in (views.background, views.particle_level, views.noise)
    )
    lines = [
        "# Proposed by `drgan suggest` from the training micrographs, without annotations; free to edit.",
        f"# {figure} lays estimates and settings over each other. Values in brackets are 90 % intervals.",
        _line("name", m.name),
        _line("title", m.title),
        "dataset:",
        *(f"  {_line(*item)}" for item in _changed(m.dataset).items()),
        "# The shape is yours; its other settings are defaults"
        + (", but for the length, from the number of ends." if proposal.real.aspect else "."),
        _line("meshes", {"shape": m.meshes.shape} | _changed(m.meshes)),
        "layout:",
        f"  # As seen, partly hidden: median {_about(e['visible_median_px'], 1 / px)} {unit}, deviation of ln",
        f"  # {_about(e['visible_spread'])}. Below are whole particles whose renders are measured alike.",
        f"  {_line('sizes', {'law': 'lognormal', 'unit': unit, 'median': median, 'sigma': sigma})}",
        f"  # Visible in a patch: {_about(e['particles_per_patch'])}, coverage {_about(e['coverage'])}. The range",
        "  # spans 10 to 90 % of the patches, and counts what is hidden or beyond the border, too.",
        f"  {_line('n_particles', list(layout.n_particles))}",
        f"  # Clusters in a patch: {_about(e['clusters_per_patch'])}. Share of neighbours in them that do not touch:",
        f"  # {_about(e['looseness'])}.",
        f"  {_line('placement', layout.placement)}",
        f"  {_line('clusters', list(layout.clusters))}",
        f"  {_line('seed_radius', _round(layout.seed_radius, 2))}",
        f"  {_line('tightness', _round(layout.tightness[0], 2))}",
        f"  {_line('orientation', layout.orientation)}",
        "  # A view from above does not tell how much is stacked: these are defaults.",
        *(f"  {_line(key, getattr(layout, key))}" for key in ("space", "stacking", "height")),
        *(_line(key, changed) for key in ("patches", "scene") if (changed := _changed(getattr(m, key)))),
        "# The paper's limits, but for the upper ones of stage and noise, at least twice what 95 % of patches show.",
        f"# In 90 % of them the background is {background} (1 is white), the particles {particles},",
        f"# the noise {noise}.",
        "bounds:",
        *(f"  {_line(name, list(values))}" for name, values in bounds.items()),
        _line("contour_px", m.contour_px),
        _line("min_area_px", m.min_area_px),
    ]
    return "\n".join(lines) + "\n"


def _line(key: str, value: Any) -> str:
    text = yaml.safe_dump({key: value}, default_flow_style=True, width=10_000, sort_keys=False, allow_unicode=True)
    return text.strip()[1:-1]


def _changed(section: Any) -> dict[str, Any]:
    """The section's settings that are no defaults."""
    return section.model_dump(mode="json", exclude_defaults=True)


def _about(estimate: Estimate, factor: float = 1.0) -> str:
    value, low, high = (f"{factor * v:.3g}" for v in (estimate.value, *estimate.interval))
    return f"{value} [{low}, {high}]"


def _span(values) -> str:
    low, high = values
    return f"{low:.3g} to {high:.3g}"


def _round(value: float, digits: int = 3) -> float:
    return float(f"{value:.{digits}g}")


def rounded_up(value: float) -> float:
    """The next number of one digit that is not smaller, up to rounding errors."""
    step = 10.0 ** math.floor(math.log10(value))
    return _round(step * math.ceil(value / step - 1e-9), 1)
