"""What the chapters of an experiment ask for: its renderer, and the layouts that the GAN trains on."""

from concurrent.futures import Executor
from functools import partial
from pathlib import Path

import numpy as np

from drgan_lib.config import Experiment
from drgan_lib.executors import outcomes
from drgan_lib.files import atomic_path
from drgan_lib.metric import Metric, write_metrics
from drgan_lib.scene.cache import BasisCache
from drgan_lib.scene.ground import Ground
from drgan_lib.scene.layout import Layout, coverage, read_layouts, sample_layout, write_layouts
from drgan_lib.scene.meshes import make_meshes
from drgan_lib.scene.parameters import liveness
from drgan_lib.scene.render import Renderer
from drgan_lib.scene.transport import TransportRenderer
from drgan_lib.shared import Shared


def make_renderer(exp: Experiment, *, stage: str, ground: Ground | None = None) -> Renderer:
    """The renderer of the experiment's material for stage "gan" or "synthesis", with that stage's samples per pixel.

    The GAN renders the same layouts again and again, and `gan.renderer` says how; synthesis renders each layout once,
    which Mitsuba does best (with `gan.appearance=sem`, both sum). `ground` is that of `choose_ground`; None is flat.
    Precomputed transport is kept in `<runs>/cache/transport`, for all runs there.
    """
    spp = {"gan": exp.profile.gan.spp, "synthesis": exp.profile.synthesis.spp}[stage] or exp.material.scene.spp
    meshes = make_meshes(exp.material)
    if stage == "gan" and exp.profile.gan.renderer == "transport":
        cache = BasisCache(exp.runs / "cache" / "transport")
        return TransportRenderer(exp.material, meshes, spp=spp, ground=ground, cache=cache)
    if exp.material.appearance == "sem":
        return TransportRenderer(exp.material, meshes, spp=spp, ground=ground, memory_bytes=0)
    return Renderer(exp.material, meshes, spp=spp, ground=ground)


def prepare(exp: Experiment, folder: Path, *, executor: Executor | None = None) -> Path:
    """Writes layouts.npz (`gan.n_layouts` of them), liveness.csv and metrics.json into `folder`.

    Workers of an `executor` draw the layouts, if there is one.
    """
    meshes = make_meshes(exp.material)
    seeds = np.random.SeedSequence([exp.seed, 0x5CE4E]).generate_state(exp.profile.gan.n_layouts).tolist()
    with Shared((exp.material, meshes), folder) as shared:
        drawn = {seed: future.result() for seed, future in outcomes(partial(_draw, shared), seeds, executor)}
    layouts = [drawn[seed] for seed in seeds]
    write_layouts(folder / "layouts.npz", layouts)
    table = liveness(make_renderer(exp, stage="gan"), layouts[0])
    with atomic_path(folder / "liveness.csv") as temporary:
        table.to_csv(temporary, index=False)
    missing, total = sum(layout.missing for layout in layouts), sum(len(layout) for layout in layouts)
    fewer = sum(layout.missing_clusters > 0 for layout in layouts)
    covered = float(np.mean([coverage(layout, meshes, exp.material) for layout in layouts]))
    metrics = {
        "live_parameters": Metric(
            int(table["alive"].sum()),
            "learned parameters whose range changes the rendered image by more than 1e-4 of white on average",
            more={"of": len(table)},
        ),
        "layout_coverage": Metric(covered, "share of the field of view that particles cover, mean of the layouts"),
        "particles_without_place": Metric(
            missing,
            "particles drawn for the layouts that fitted nowhere and were left out",
            more={"of": missing + total},
        ),
        "layouts_with_fewer_clusters": Metric(
            fewer,
            "layouts with fewer clusters than drawn for them, as their seeds found no room",
            more={"of": len(layouts)},
        ),
    }
    write_metrics(folder / "metrics.json", metrics)
    return folder


def _draw(shared: Shared, seed: int) -> Layout:
    return sample_layout(*shared.value, seed=seed)


def load_layouts(folder: Path) -> list[Layout]:
    """The GAN's pool of layouts, written by `prepare` into `folder`."""
    path = folder / "layouts.npz"
    if not path.is_file():
        raise FileNotFoundError(f"{path} does not exist; run the scene stage first (notebook 02)")
    return read_layouts(path)
