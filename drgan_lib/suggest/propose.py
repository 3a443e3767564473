"""Settings whose renders, measured like the micrographs, give the same figures (indirect inference).

Whatever the measurement gets wrong, merged particles, hidden parts, halos, it gets wrong on renders too, and renders
come with the truth. So the settings are corrected until the measured figures agree, and the truth of those renders is
the estimate for the micrographs. No annotation has a part in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from drgan_lib.config import ELONGATED, LayoutSettings, LogNormalSizes, Material
from drgan_lib.data import DataError, detect_particles
from drgan_lib.suggest.lookalike import Lookalikes, Renders
from drgan_lib.suggest.observe import (
    Observation,
    Sizes,
    Views,
    Window,
    measure_views,
    observe,
    visible_sizes,
)
from drgan_lib.suggest.split import MIN_AREA_PX

RENDERS = (10, 10, 16, 24)  # of each round; the rounds share their seeds, so that a change is not one of luck
SHARES = ("coverage", "looseness")
N_BOOTSTRAP = 200
RANGE = (0.1, 0.9)  # quantiles of the windows that a proposed range spans
ALONE = 1.5  # below so many particles per cluster they count as placed at random
SMALLEST_PX, SMALLEST_WIDTH_PX = 10.0, 3.0  # median diameters; specks below 8 px are not even counted
STEP = 2.0  # largest factor of one correction
LEAST_SIGMA, LARGEST_SIGMA = 0.03, 0.8
LYING = (*ELONGATED, "platelet")


@dataclass(frozen=True)
class Estimate:
    """A quantity: as `found` by the measurement, as estimated with its error undone, with a 90 % `interval`."""

    found: float
    value: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class Proposal:
    """A material with the proposed settings (sizes in scene units), and all that the figure and the file need."""

    material: Material
    estimates: dict[str, Estimate]
    real: Observation
    rendered: Observation
    renders: Renders
    truth: Sizes
    colours: np.ndarray  # base colours [2, n] of particles and stage that give the windows' gray levels


@dataclass(frozen=True)
class _State:
    """What is corrected: size law in px, particles and clusters placed per one observed, gaps within clusters."""

    median_px: float
    sigma: float
    per_particle: float
    per_cluster: float
    gap: float  # 1 / tightness - 1


def propose(material: Material, real: Observation, *, seed: int = 0, log: Callable[[str], None] = print) -> Proposal:
    """Settings of `layout` for what was observed; `material` brings the meshes, the scene and the patches."""
    _require_visible(real, material.meshes.shape)
    state = _State(real.sizes.median, max(LEAST_SIGMA, real.sizes.spread), 1.0, 1.0, 0.25)
    likes = Lookalikes(_with_layout(material, real, state), real.views)
    for number, n in enumerate(RENDERS, 1):
        proposed = _with_layout(material, real, state)
        seen, renders = _render(likes, proposed, n, seed=seed)
        log(
            f"renders {number} of {len(RENDERS)}: median {seen.sizes.median:.1f} px (real {real.sizes.median:.1f}), "
            f"coverage {seen.views.coverage.mean():.3f} ({real.views.coverage.mean():.3f}), particles "
            f"{seen.views.particles.mean():.1f} ({real.views.particles.mean():.1f})"
        )
        if number < len(RENDERS):
            state = _corrected(state, real, seen)
    truth = _truth(renders, proposed)
    estimates = _estimates(real, seen, renders, truth, seed=seed)
    return Proposal(proposed, estimates, real, seen, renders, truth, likes.colours())


def _require_visible(real: Observation, shape: str) -> None:
    n = len(real.sizes.diameters)
    if n < 10:
        raise DataError(
            f"only {n} whole particles were found, too few for a law of sizes; expected bright particles on a darker "
            "background. Check the images and --sample-rows, add images, or write the material by hand"
        )
    least = SMALLEST_WIDTH_PX if shape in ELONGATED else SMALLEST_PX
    if real.sizes.median < least:
        raise DataError(
            f"the particles' median diameter is {real.sizes.median:.1f} px; below {least:g} px shapes and sizes cannot "
            "be told. Use a higher magnification"
        )


def _render(likes: Lookalikes, material: Material, n: int, *, seed: int) -> tuple[Observation, Renders]:
    renders = likes.render(material, n, seed=seed + 1)
    masks = [detection.labels > 0 for detection in detect_particles(renders.images)]
    windows = [Window(k, 0, 0, material.scene.size_px) for k in range(len(renders.images))]
    seen = observe(renders.images, masks, windows, shape=material.meshes.shape)
    if len(seen.sizes.diameters) < 3:
        raise DataError(
            "no particles are found on renders of the settings proposed so far: the micrographs' contrast between "
            "particles and background is too low; write the material by hand"
        )
    return seen, renders


def _corrected(state: _State, real: Observation, seen: Observation) -> _State:
    variance = state.sigma**2 + real.sizes.spread**2 - seen.sizes.spread**2
    looseness = (real.views.looseness + 0.01) / (seen.views.looseness + 0.01)
    growth = _step(real.sizes.median / seen.sizes.median)
    return _State(
        state.median_px * growth,
        float(np.clip(np.sqrt(max(variance, 0)), LEAST_SIGMA, LARGEST_SIGMA)),
        # Coverage rather than counts: it hardly depends on how well particles are told apart.
        state.per_particle * _step(real.views.coverage.mean() / max(seen.views.coverage.mean(), 1e-3)) / growth**2,
        state.per_cluster * _step(real.views.clusters.mean() / max(seen.views.clusters.mean(), 0.1)),
        float(np.clip(state.gap * _step(looseness), 0.0, 3.0)),
    )


def _step(factor: float) -> float:
    return float(np.clip(factor, 1 / STEP, STEP))


def _with_layout(material: Material, real: Observation, state: _State) -> Material:
    """The material with the layout of `state`; ranges are those of the windows, scaled."""
    views, unit = real.views, material.scene_unit_px
    n_particles = _range(views.particles * state.per_particle)
    members = views.particles.sum() / max(views.clusters.sum(), 1)
    wide = RANGE[0] * material.scene.half_field
    lengths = {} if real.aspect is None else _aspect(material, real.aspect)
    layout = LayoutSettings(
        n_particles=n_particles,
        sizes=LogNormalSizes(median=state.median_px / unit, sigma=state.sigma),
        placement="random" if material.meshes.shape == "wire" or members < ALONE else "agglomerated",
        orientation="lying" if material.meshes.shape in LYING else "free",
        clusters=_range(np.minimum(views.clusters * state.per_cluster, n_particles[1])),
        seed_radius=max(2 * state.median_px / unit, wide),
        tightness=1 / (1 + state.gap),
    )
    return material.model_copy(update={"layout": layout, "meshes": material.meshes.model_copy(update=lengths)})


def _range(values: np.ndarray) -> tuple[int, int]:
    low, high = (max(1, round(float(q))) for q in np.quantile(values, RANGE))
    return low, max(high, low)


def _aspect(material: Material, mean: float) -> dict[str, tuple[float, float]]:
    """Lengths of rods and wires from their mean: 0.6 to 1.4 times it."""
    least = 2.0 if material.meshes.shape == "wire" else 1.0
    return {"aspect": (max(least, round(0.6 * mean, 1)), max(least, round(1.4 * mean, 1)))}


def _truth(renders: Renders, material: Material) -> Sizes:
    """What the measurement should have found on the renders."""
    if material.meshes.shape not in ELONGATED:
        return visible_sizes(renders.ids)
    seen = [(k, layout.transforms[np.unique(ids[ids > 0]) - 1, 3]) for k, (layout, ids) in enumerate(_pairs(renders))]
    diameters = material.scene_unit_px * np.concatenate([sizes for _, sizes in seen])
    return Sizes(diameters, np.ones(len(diameters)), np.repeat([k for k, _ in seen], [len(s) for _, s in seen]))


def _pairs(renders: Renders):
    return zip(renders.layouts, renders.ids, strict=True)


def _estimates(
    real: Observation, seen: Observation, renders: Renders, truth: Sizes, *, seed: int
) -> dict[str, Estimate]:
    """Every quantity of the micrographs, times truth over finding on the renders; intervals from resampled images."""
    rng = np.random.default_rng(seed)
    true_views = _true_views(renders, truth)
    quantities: dict[str, Callable[[Sizes, Views], float]] = {
        "visible_median_px": lambda sizes, _: sizes.median,
        "visible_spread": lambda sizes, _: sizes.spread,
        "coverage": lambda _, views: views.coverage.mean(),
        "particles_per_patch": lambda _, views: views.particles.mean(),
        "clusters_per_patch": lambda _, views: views.clusters.mean(),
        "looseness": lambda _, views: views.looseness,
    }
    draws: dict[str, list[float]] = {name: [] for name in quantities}
    for _ in range(N_BOOTSTRAP):
        a = _resampled(real.sizes, real.views, rng)
        pick = rng.integers(len(renders.images), size=len(renders.images))
        b, c = ((_pick(s, pick), v.take(pick)) for s, v in ((seen.sizes, seen.views), (truth, true_views)))
        for name, quantity in quantities.items():
            draws[name].append(_calibrated(name, quantity(*a), quantity(*c), quantity(*b)))
    estimates = {}
    for name, quantity in quantities.items():
        found = quantity(real.sizes, real.views)
        value = _calibrated(name, found, quantity(truth, true_views), quantity(seen.sizes, seen.views))
        low, high = np.nanquantile(draws[name], (0.05, 0.95))
        estimates[name] = Estimate(float(found), value, (float(low), float(high)))
    return estimates


def _calibrated(name: str, found: float, true: float, seen: float) -> float:
    """What was found, times truth over finding on the renders; a share stays one."""
    value = float(found * true / max(seen, 1e-9))
    return min(value, 1.0) if name in SHARES else value


def _true_views(renders: Renders, truth: Sizes) -> Views:
    masks = [ids > 0 for ids in renders.ids]
    windows = [Window(k, 0, 0, len(ids)) for k, ids in enumerate(renders.ids)]
    counts = [(np.bincount(ids.ravel())[1:] >= MIN_AREA_PX).sum() for ids in renders.ids]
    return measure_views(renders.images, masks, windows, counts, truth.median)


def _resampled(sizes: Sizes, views: Views, rng: np.random.Generator) -> tuple[Sizes, Views]:
    images = np.unique(np.concatenate([sizes.image, views.image]))
    pick = rng.choice(images, size=len(images))
    return _pick(sizes, pick), views.take(np.concatenate([np.flatnonzero(views.image == i) for i in pick]))


def _pick(sizes: Sizes, images: np.ndarray) -> Sizes:
    index = np.concatenate([np.flatnonzero(sizes.image == i) for i in images])
    return Sizes(sizes.diameters[index], sizes.weights[index], sizes.image[index])
