"""Settings whose renders, measured like the micrographs, give the same values (indirect inference).

Whatever the measurement gets wrong, merged particles, hidden parts, halos, it gets wrong on renders too, and renders
come with the truth. So the settings are corrected until the measured values agree, and the truth of those renders is
the estimate for the micrographs. No annotation has a part in it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from drgan_lib.config import ELONGATED, LayoutSettings, LogNormalSizes, Material
from drgan_lib.data import DataError, detect_particles
from drgan_lib.suggest.lookalike import Lookalikes, Renders
from drgan_lib.suggest.observation import (
    Observation,
    Sizes,
    Views,
    Window,
    count,
    measure_views,
    observe,
    visible_sizes,
)

RENDERS = (10, 10, 16, 24)  # of each round; the rounds share their seeds, so that a change is not one of luck
N_BOOTSTRAP = 200
RANGE = (0.1, 0.9)  # quantiles of the windows that a proposed range spans
ALONE = 1.5  # below so many particles per cluster they count as placed at random
SMALLEST_PX, SMALLEST_WIDTH_PX = 10.0, 3.0  # median diameters; specks below 8 px are not even counted
STEP = 2.0  # largest factor of one correction
LEAST_SIGMA, LARGEST_SIGMA = 0.03, 0.8
LYING = (*ELONGATED, "platelet")
LARGEST = {  # of each quantity; shares stay shares
    "visible_median_px": np.inf,
    "visible_spread": np.inf,
    "coverage": 1.0,
    "particles_per_patch": np.inf,
    "clusters_per_patch": np.inf,
    "looseness": 1.0,
}


@dataclass(frozen=True)
class Estimate:
    """A quantity: as `found` by the measurement, as estimated with its error undone, with a 90 % `interval`."""

    found: float
    value: float
    interval: tuple[float, float]


@dataclass(frozen=True)
class Proposal:
    """A material with the proposed settings (sizes in scene units), and all that the plot and the file need."""

    material: Material
    estimates: dict[str, Estimate]
    real: Observation
    rendered: Observation
    renders: Renders
    truth: Sizes
    colours: np.ndarray  # base colours [2, n] of particles and stage that give the windows' gray levels


@dataclass(frozen=True)
class _State:
    """What is corrected: size distribution in px, particles and clusters placed per one observed, gaps in clusters."""

    median_px: float
    sigma: float
    per_particle: float = 1.0
    per_cluster: float = 1.0
    gap: float = 0.25  # 1 / tightness - 1


def propose(material: Material, real: Observation, *, seed: int = 0, log: Callable[[str], None] = print) -> Proposal:
    """Settings of `layout` for what was observed; `material` brings the meshes, the scene and the patches."""
    _require_visible(real, material.meshes.shape)
    state = _State(real.sizes.median, max(LEAST_SIGMA, real.sizes.spread))
    likes = Lookalikes(_with_layout(material, real, state), real.views)
    for number, n in enumerate(RENDERS, 1):
        proposed = _with_layout(material, real, state)
        renders = likes.render(proposed, n, seed=seed + 1)
        seen = _observed(renders, material.meshes.shape)
        log(
            f"renders {number} of {len(RENDERS)}: median {seen.sizes.median:.1f} px (real {real.sizes.median:.1f}), "
            f"coverage {seen.views.coverage.mean():.3f} ({real.views.coverage.mean():.3f}), particles "
            f"{seen.views.particles.mean():.1f} ({real.views.particles.mean():.1f})"
        )
        if number < len(RENDERS):
            state = _corrected(state, real, seen)
    truth = _true_sizes(renders, proposed)
    estimates = _estimates(real, seen, truth, _true_views(renders, truth), seed=seed)
    return Proposal(proposed, estimates, real, seen, renders, truth, likes.colours())


def _require_visible(real: Observation, shape: str) -> None:
    n = len(real.sizes.diameters)
    if n < 10:
        raise DataError(
            f"only {n} whole particles were found, too few for a distribution of sizes; expected bright particles on a "
            "darker background. Check the images and the rows above their data bar, add images, or write the material "
            "by hand"
        )
    least = SMALLEST_WIDTH_PX if shape in ELONGATED else SMALLEST_PX
    if real.sizes.median < least:
        raise DataError(
            f"the particles' median diameter is {real.sizes.median:.1f} px; below {least:g} px shapes and sizes cannot "
            "be told. Use a higher magnification"
        )


def _observed(renders: Renders, shape: str) -> Observation:
    masks = [detection.labels > 0 for detection in detect_particles(renders.images)]
    seen = observe(renders.images, masks, _whole(renders), shape=shape)
    if len(seen.sizes.diameters) < 3:
        raise DataError(
            "no particles are found on renders of the settings proposed so far: the micrographs' contrast between "
            "particles and background is too low; write the material by hand"
        )
    return seen


def _whole(renders: Renders) -> list[Window]:
    return [Window(k, 0, 0, len(image)) for k, image in enumerate(renders.images)]


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
    views, median, shape = real.views, state.median_px / material.scene_unit_px, material.meshes.shape
    n_particles = _range(views.particles * state.per_particle)
    members = views.particles.sum() / max(views.clusters.sum(), 1)
    layout = LayoutSettings(
        n_particles=n_particles,
        sizes=LogNormalSizes(median=median, sigma=state.sigma),
        placement="random" if shape == "wire" or members < ALONE else "agglomerated",
        orientation="lying" if shape in LYING else "free",
        clusters=_range(np.minimum(views.clusters * state.per_cluster, n_particles[1])),
        seed_radius=max(2 * median, RANGE[0] * material.scene.half_field),
        tightness=1 / (1 + state.gap),
    )
    meshes = material.meshes
    if real.aspect is not None:  # only the mean is known
        least = 2.0 if shape == "wire" else 1.0
        aspect = tuple(max(least, round(factor * real.aspect, 1)) for factor in (0.6, 1.4))
        meshes = meshes.model_copy(update={"aspect": aspect})
    return material.model_copy(update={"layout": layout, "meshes": meshes})


def _range(values: np.ndarray) -> tuple[int, int]:
    low, high = (max(1, round(float(q))) for q in np.quantile(values, RANGE))
    return low, max(high, low)


def _true_sizes(renders: Renders, material: Material) -> Sizes:
    """What the measurement should have found on the renders."""
    if material.meshes.shape not in ELONGATED:
        return visible_sizes(renders.ids)
    visible = [np.unique(ids[ids > 0]) - 1 for ids in renders.ids]
    units = [layout.transforms[seen, 3] for layout, seen in zip(renders.layouts, visible, strict=True)]
    diameters = material.scene_unit_px * np.concatenate(units)
    return Sizes(
        diameters, np.ones(len(diameters)), np.repeat(np.arange(len(visible)), [len(seen) for seen in visible])
    )


def _true_views(renders: Renders, truth: Sizes) -> Views:
    masks, counts = [ids > 0 for ids in renders.ids], [count(ids) for ids in renders.ids]
    return measure_views(renders.images, masks, _whole(renders), counts, truth.median)


def _estimates(
    real: Observation, seen: Observation, true_sizes: Sizes, true_views: Views, *, seed: int
) -> dict[str, Estimate]:
    """Every quantity of the micrographs, times truth over finding on the renders; intervals from resampled images."""
    rng = np.random.default_rng(seed)
    images = np.unique(np.concatenate([real.sizes.image, real.views.image]))
    n = len(seen.labels)

    def calibrated(some: np.ndarray, rendered: np.ndarray) -> np.ndarray:
        found, true, again = (
            _quantities(sizes.of(which), views.of(which))
            for sizes, views, which in (
                (real.sizes, real.views, some),
                (true_sizes, true_views, rendered),
                (seen.sizes, seen.views, rendered),
            )
        )
        return np.minimum(found * true / np.maximum(again, 1e-9), list(LARGEST.values()))

    draws = [calibrated(rng.choice(images, len(images)), rng.integers(n, size=n)) for _ in range(N_BOOTSTRAP)]
    values, found = calibrated(images, np.arange(n)), _quantities(real.sizes, real.views)
    lows, highs = np.nanquantile(draws, (0.05, 0.95), axis=0)
    rows = zip(found, values, zip(lows, highs, strict=True), strict=True)
    return {name: Estimate(*row) for name, row in zip(LARGEST, rows, strict=True)}


def _quantities(sizes: Sizes, views: Views) -> np.ndarray:
    """The quantities [6] of `LARGEST`."""
    means = (values.mean() for values in (views.coverage, views.particles, views.clusters))
    return np.array([sizes.median, sizes.spread, *means, views.looseness])
