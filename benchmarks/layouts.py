"""Layouts of 40 particles per minute, by shape: stacked cubes, planar spheres of two sizes, crossing wires."""

from __future__ import annotations

from functools import partial

from benchmarks.measure import WARM_UP, duration, row
from drgan_lib.config import load_experiment
from drgan_lib.scene import make_meshes, sample_layout

TARGET_PER_MINUTE = 200
SHAPES = {
    "cubes": {},
    "spheres": {
        "meshes": {"shape": "sphere", "count": 20},
        "layout.space": "planar",
        "layout.sizes": {"law": "bimodal", "mean": [0.8, 0.3], "std": [0.05, 0.05], "share": 0.7},
    },
    "wires": {
        "meshes": {"shape": "wire", "count": 10},
        "layout.placement": "random",
        "layout.orientation": "lying",
        "layout.sizes": {"law": "lognormal", "median": 0.15, "sigma": 0.1},
        "layout.height": 8,
    },
}


def benchmark(n_layouts: int = 50) -> dict[str, dict]:
    """Layouts per minute, of one process that makes `n_layouts` of each shape one after the other."""
    results = {}
    for name, changes in SHAPES.items():
        material = load_experiment("twin", overrides={"layout.n_particles": [40, 40], **changes}).material
        meshes = make_meshes(material)
        times = [duration(partial(sample_layout, material, meshes, seed=k)) for k in range(WARM_UP + n_layouts)]
        per_minute = 60 * n_layouts / sum(times[WARM_UP:])
        results[f"layouts_of_{name}"] = row(per_minute, "/min", at_least=TARGET_PER_MINUTE)
    return results
