"""What the chapters of an experiment ask for: its renderer, and the layouts that the GAN trains on."""

from pathlib import Path

import numpy as np

from drgan_lib.config import Experiment
from drgan_lib.files import atomic_path, write_json
from drgan_lib.scene.cache import BasisCache
from drgan_lib.scene.layout import Layout, coverage, read_layouts, sample_layout, write_layouts
from drgan_lib.scene.meshes import make_meshes
from drgan_lib.scene.parameters import liveness
from drgan_lib.scene.render import Renderer
from drgan_lib.scene.transport import TransportRenderer


def make_renderer(exp: Experiment, *, stage: str) -> Renderer:
    """The renderer of the experiment's material for step "gan" or "synthesis", with that step's samples per pixel.

    The GAN renders the same layouts again and again, and `gan.renderer` says how; synthesis renders each layout once,
    which Mitsuba does best. Precomputed transport is kept in `<runs>/cache/transport`, for all runs there.
    """
    spp = {"gan": exp.profile.gan.spp, "synthesis": exp.profile.synthesis.spp}[stage] or exp.material.scene.spp
    meshes = make_meshes(exp.material)
    if stage == "gan" and exp.profile.gan.renderer == "transport":
        cache = BasisCache(exp.runs / "cache" / "transport")
        return TransportRenderer(exp.material, meshes, spp=spp, cache=cache)
    return Renderer(exp.material, meshes, spp=spp)


def prepare(exp: Experiment, folder: Path) -> Path:
    """Writes layouts.npz (`gan.n_layouts` of them), liveness.csv and figures.json into `folder`."""
    meshes = make_meshes(exp.material)
    seeds = np.random.SeedSequence([exp.seed, 0x5CE4E]).generate_state(exp.profile.gan.n_layouts)
    layouts = [sample_layout(exp.material, meshes, seed=int(seed)) for seed in seeds]
    write_layouts(folder / "layouts.npz", layouts)
    table = liveness(make_renderer(exp, stage="gan"), layouts[0])
    with atomic_path(folder / "liveness.csv") as temporary:
        table.to_csv(temporary, index=False)
    missing = sum(layout.missing for layout in layouts)
    metrics = {
        "live_parameters": {
            "value": int(table["alive"].sum()),
            "of": len(table),
            "definition": "learned parameters whose range changes the rendered image by more than 1e-4 of white on "
            "average",
        },
        "layout_coverage": {
            "value": float(np.mean([coverage(layout, meshes, exp.material) for layout in layouts])),
            "definition": "share of the field of view that particles cover, mean of the layouts",
        },
        "particles_without_place": {
            "value": missing,
            "of": missing + sum(len(layout) for layout in layouts),
            "definition": "particles drawn for the layouts that fitted nowhere and were left out",
        },
        "layouts_with_fewer_clusters": {
            "value": sum(layout.missing_clusters > 0 for layout in layouts),
            "of": len(layouts),
            "definition": "layouts with fewer clusters than drawn for them, as their seeds found no room",
        },
    }
    write_json(folder / "figures.json", {name: metric | {"split": "none"} for name, metric in metrics.items()})
    return folder


def load_layouts(exp: Experiment) -> list[Layout]:
    """The GAN's pool of layouts, written by `prepare` into the experiment's folder."""
    path = exp.stage_dir("scene") / "layouts.npz"
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; run the scene stage first (notebook 02, or `drgan run`)")
    return read_layouts(path)
