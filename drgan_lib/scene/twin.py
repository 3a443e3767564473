"""Digital twin: "micrographs" with masks, rendered from a hidden, recorded distribution of parameters.

It lets the whole method run without a download, and lets the learned distribution be compared with the true one. A
twin is no copy of what training renders: its particles are other ones (not so with the user's mesh files), its
microscope adds dirt, blur and noise that the paper's training does not model (`drgan_lib.scene.microscope`), and its
wider view is taken from the same height, so that particles far from the middle are seen more from the side.
"""

import hashlib
import json
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile
import torch
import trimesh
from scipy.stats import truncnorm
from tqdm import tqdm

from drgan_lib.config import PIXEL_STD_PX, ConfigError, Material, twin_settings, user_files
from drgan_lib.data.overlays import TABLE, write_overlays
from drgan_lib.digest import code_behind, digest, file_digest
from drgan_lib.files import atomic_path, write_json
from drgan_lib.hardware import usable_cores
from drgan_lib.scene.backend import dr
from drgan_lib.scene.detector import blur_std_px
from drgan_lib.scene.layout import Layout, LayoutError, sample_layout
from drgan_lib.scene.meshes import make_meshes
from drgan_lib.scene.microscope import dirt, draw_conditions, expose
from drgan_lib.scene.render import Renderer

LEAST_JOBS = 5  # micrographs per process: each takes ten seconds to start
_camera: "Camera"


def twin_material(material: Material) -> Material:
    """The material as its twin shows it: a wider view at the same pixels per scene unit, more and other particles."""
    twin, scene = material.twin, material.scene
    fov = 2 * np.degrees(np.arctan(twin.size_px / scene.size_px * np.tan(np.radians(scene.fov_deg) / 2)))
    # What is wider than a pixel is left to the microscope's blur, which dirt lies below.
    view = {"size_px": twin.size_px, "fov_deg": float(fov), "filter_std_px": PIXEL_STD_PX}
    crowd = {"n_particles": twin.n_particles, "clusters": twin.clusters}
    seed = np.random.SeedSequence([material.meshes.seed, twin.seed, 1]).generate_state(1)[0]
    return material.model_copy(
        update={
            "scene": scene.model_copy(update=view),
            "layout": material.layout.model_copy(update=crowd),
            "meshes": material.meshes.model_copy(update={"seed": int(seed)}),
        }
    )


def true_parameters(material: Material, n: int, *, seed: int) -> pd.DataFrame:
    """n rows of physical parameters from normal distributions truncated to the material's bounds."""
    rng = np.random.default_rng(seed)
    columns = {}
    for name, (low, high) in material.bounds.items():
        mean, std = material.twin.truth[name]
        columns[name] = truncnorm.rvs((low - mean) / std, (high - mean) / std, mean, std, size=n, random_state=rng)
    return pd.DataFrame(columns)


def draw_truth(material: Material) -> pd.DataFrame:
    """One row per micrograph: split, the material's parameters, and the conditions in the microscope."""
    twin = material.twin
    n = twin.n_train + twin.n_test
    conditions = draw_conditions(twin, n, rng=np.random.default_rng([twin.seed, 0, 1]))
    table = pd.concat([true_parameters(material, n, seed=twin.seed), conditions], axis="columns")
    table.insert(0, "split", ["train"] * twin.n_train + ["test"] * twin.n_test)
    return table


class Camera:
    """Takes the micrographs of a material's twin."""

    def __init__(self, material: Material, meshes: list[trimesh.Trimesh]):
        self.material, seen = material, twin_material(material)
        self.renderer = Renderer(seen, meshes, spp=material.twin.spp)
        # Light of the support is needed for its specks alone, so fewer samples will do.
        self.coarse = Renderer(seen, meshes, spp=max(1, material.twin.spp // 4))

    def shoot(self, layout: Layout, row: Mapping[str, float], *, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Image, uint8 [h, w], and instance ids, uint16 [h, w], of micrograph number `k` under the conditions `row`.

        Depends on nothing but these, whatever was taken before.
        """
        names = self.material.parameters
        values = torch.tensor([row[name] for name in names], dtype=torch.float32)
        ids = self.renderer.instance_ids(layout)
        light = self.renderer.image(values, layout, seed=k).cpu().double().numpy()
        on_support, in_microscope = np.random.default_rng([self.material.twin.seed, k + 1]).spawn(2)
        if row["specks"]:
            # What the support adds to each pixel: hidden and shadowed by the particles, at their edges in part. Dirt
            # changes it in proportion, and nothing else.
            black = values.clone()
            black[names.index("stage_base_color")] = 0
            of_support = self.coarse.image(values, layout, seed=k) - self.coarse.image(black, layout, seed=k)
            specks = dirt(ids == 0, int(row["specks"]), rng=on_support)
            light += (specks - 1) * of_support.cpu().double().numpy()
        blur_px = np.hypot(row["blur_px"], blur_std_px(self.material.scene))
        return expose(light, {**row, "blur_px": blur_px}, rng=in_microscope), ids


def recipe(material: Material) -> str:
    """Name of the twin's folder: a digest of all that its images depend on, settings, the user's files and code."""
    settings = json.dumps(twin_settings(material), sort_keys=True)
    files = [file_digest(path) for path in user_files(material)]
    return digest(f"{settings} {files} {code_behind(__file__)}")


def make_twin(material: Material, folder: Path) -> Path:
    """Renders the twin's dataset into a folder of its own below `folder`, unless it is there, and returns that.

    Writes images/*.tif (8 bit), masks/*.tif (uint16 instance ids), truth.csv (per micrograph the parameters, then the
    conditions of `draw_conditions`), truth.json (their distributions), overlays.tsv (no text) and last, as the sign of
    completeness, registry.tsv. What an interrupted call left is gone on with. The same settings give the same files on
    the same processor.
    """
    twin = material.twin
    folder = folder / recipe(material)
    if _is_complete(folder):
        return folder
    truth, seen = draw_truth(material), twin_material(material)
    meshes = make_meshes(seen)
    try:
        layouts = [sample_layout(seen, meshes, seed=1000 * twin.seed + k) for k in range(len(truth))]
    except (ConfigError, LayoutError) as error:
        # Numbers and clusters stand in the section `twin`.
        raise type(error)(f"the twin of {material.name}: {error} (here as twin.n_particles, twin.clusters)") from None
    waiting = [k for k in range(len(truth)) if not all(path.is_file() for path in _files(folder, k).values())]
    jobs = [(folder, k, layouts[k], truth.iloc[k].to_dict()) for k in waiting]
    n_processes = min(usable_cores(), len(jobs) // LEAST_JOBS)
    with ExitStack() as after:
        if n_processes > 1:
            pool = ProcessPoolExecutor(n_processes, get_context("spawn"), _open_camera, (material, meshes))
            taken = after.enter_context(pool).map(_take, jobs)
        else:
            after.callback(dr.set_thread_count, dr.thread_count())
            _open_camera(material, meshes)
            taken = map(_take, jobs)
        for _ in tqdm(taken, desc=f"rendering the twin of {material.name}", unit="image", total=len(jobs)):
            pass
    rows = []
    for k, split in enumerate(truth["split"]):
        for kind, path in _files(folder, k).items():
            checksum = hashlib.sha256(path.read_bytes()).hexdigest()
            rows.append((path.relative_to(folder).as_posix(), kind, split, path.stat().st_size, checksum, ""))
    with atomic_path(folder / "truth.csv") as temporary:
        truth.to_csv(temporary, index=False)
    ranges = twin.model_dump(mode="json", include={"seed", "blur_px", "dose", "line_noise", "specks"})
    write_json(folder / "truth.json", {"law": twin.truth, "bounds": material.bounds, **ranges})
    write_overlays(folder / TABLE, {path: () for path, kind, *_ in rows if kind == "image"})
    with atomic_path(folder / "registry.tsv") as temporary:
        table = pd.DataFrame(rows, columns=["path", "kind", "split", "bytes", "sha256", "url"])
        table.to_csv(temporary, sep="\t", index=False)
    return folder


def _open_camera(material: Material, meshes: list[trimesh.Trimesh]) -> None:
    """Makes the camera of this process, which has a single thread: only so are samples added up in a fixed order."""
    global _camera
    dr.set_thread_count(1)
    _camera = Camera(material, meshes)


def _take(job: tuple[Path, int, Layout, dict[str, float]]) -> None:
    """Takes micrograph number k and writes its two files."""
    folder, k, layout, row = job
    for path, array in zip(_files(folder, k).values(), _camera.shoot(layout, row, k=k), strict=True):
        with atomic_path(path) as temporary:
            tifffile.imwrite(temporary, array, compression="zlib")


def _files(folder: Path, k: int) -> dict[str, Path]:
    """Where the image and the instances of micrograph number k lie."""
    return {"image": folder / f"images/twin_{k:03d}.tif", "instances": folder / f"masks/twin_{k:03d}.tif"}


def _is_complete(folder: Path) -> bool:
    """Whether the registry is there, and every file that it lists, in its size."""
    if not (folder / "registry.tsv").is_file():
        return False
    table = pd.read_csv(folder / "registry.tsv", sep="\t")
    files = [folder / path for path in table["path"]]
    return all(path.is_file() and path.stat().st_size == n for path, n in zip(files, table["bytes"], strict=True))
