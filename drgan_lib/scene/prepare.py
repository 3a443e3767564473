"""The scene stage: the layouts that the GAN trains on, and the liveness of its parameters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import trimesh

from drgan_lib.config import Experiment
from drgan_lib.files import atomic_path, write_json
from drgan_lib.scene.choose import make_renderer
from drgan_lib.scene.layout import Layout, coverage, read_layouts, sample_layout, write_layouts
from drgan_lib.scene.liveness import liveness
from drgan_lib.scene.meshes import make_meshes


def prepare(exp: Experiment) -> Path:
    """Writes layouts.npz (`gan.n_layouts` of them), liveness.csv and figures.json into the scene folder."""
    folder = exp.stage_dir("scene")
    meshes = make_meshes(exp.material)
    seeds = np.random.SeedSequence([exp.seed, 0x5CE4E]).generate_state(exp.profile.gan.n_layouts)
    layouts = [sample_layout(exp.material, meshes, seed=int(seed)) for seed in seeds]
    write_layouts(folder / "layouts.npz", layouts)
    table = liveness(make_renderer(exp, stage="gan"), layouts[0])
    with atomic_path(folder / "liveness.csv") as temporary:
        table.to_csv(temporary, index=False)
    definition = "learned parameters whose range changes the rendered image by more than 1e-4 of white on average"
    live = {"value": int(table["alive"].sum()), "of": len(table), "definition": definition, "split": "none"}
    write_json(folder / "figures.json", {"live_parameters": live, **_figures(exp, layouts, meshes)})
    return folder


def _figures(exp: Experiment, layouts: list[Layout], meshes: list[trimesh.Trimesh]) -> dict[str, dict]:
    """How full the layouts are, and how many particles and clusters found no place in them."""
    missing = sum(layout.missing for layout in layouts)
    covered = [coverage(layout, meshes, exp.material) for layout in layouts]
    return {
        "layout_coverage": {
            "value": float(np.mean(covered)),
            "definition": "share of the field of view that particles cover, mean of the layouts",
            "split": "none",
        },
        "particles_without_place": {
            "value": missing,
            "of": missing + sum(len(layout) for layout in layouts),
            "definition": "particles drawn for the layouts that fitted nowhere and were left out",
            "split": "none",
        },
        "layouts_with_fewer_clusters": {
            "value": sum(layout.missing_clusters > 0 for layout in layouts),
            "of": len(layouts),
            "definition": "layouts with fewer clusters than drawn for them, as their seeds found no room",
            "split": "none",
        },
    }


def load_layouts(exp: Experiment) -> list[Layout]:
    """The GAN's pool of layouts, written by `prepare`."""
    path = exp.stage_dir("scene") / "layouts.npz"
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; run the scene stage first (notebook 02, or `drgan run`)")
    return read_layouts(path)
