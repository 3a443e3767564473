"""Digital twin: "micrographs" with masks, rendered from a hidden, recorded law of parameters.

It lets the whole method run without a download, and lets the learned distribution be compared with the true one. A
twin is no copy of what training renders: its particles are other ones (not so with the user's mesh files), its
microscope adds dirt, blur and noise that training does not model (`drgan_lib.scene.microscope`), and its wider view is
taken from the same height, so that particles far from the middle are seen more from the side.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile
import torch
import trimesh
from scipy.stats import truncnorm
from tqdm import tqdm

from drgan_lib.config import ConfigError, Material, twin_settings, user_files
from drgan_lib.digest import code_digest, digest, file_digest, imported_files
from drgan_lib.files import atomic_path, write_json
from drgan_lib.scene.backend import dr
from drgan_lib.scene.layout import Layout, LayoutError, sample_layout
from drgan_lib.scene.meshes import make_meshes
from drgan_lib.scene.microscope import dirt, draw_conditions, expose
from drgan_lib.scene.render import Renderer
from drgan_lib.scene.spread import blur_std_px, film_std_px


def twin_material(material: Material) -> Material:
    """The material as its twin shows it: a wider view at the same pixels per scene unit, more and other particles."""
    twin, scene = material.twin, material.scene
    factor = twin.size_px / scene.size_px
    fov = 2 * np.degrees(np.arctan(factor * np.tan(np.radians(scene.fov_deg) / 2)))
    other = np.random.SeedSequence([material.meshes.seed, twin.seed, 1]).generate_state(1)
    return material.model_copy(
        update={
            "scene": scene.model_copy(
                update={
                    "size_px": twin.size_px,
                    "fov_deg": float(fov),
                    "filter_std_px": film_std_px(scene),  # the rest is blur, which dirt lies below
                }
            ),
            "layout": material.layout.model_copy(update={"n_particles": twin.n_particles, "clusters": twin.clusters}),
            "meshes": material.meshes.model_copy(update={"seed": int(other[0])}),
        }
    )


def true_parameters(material: Material, n: int, *, seed: int) -> pd.DataFrame:
    """n rows of physical parameters from the twin's law, a normal law truncated to the material's bounds."""
    rng = np.random.default_rng(seed)
    columns = {}
    for name, (low, high) in material.bounds.items():
        mean, std = material.twin.truth[name]
        columns[name] = truncnorm.rvs((low - mean) / std, (high - mean) / std, mean, std, size=n, random_state=rng)
    return pd.DataFrame(columns)


def recipe(material: Material) -> str:
    """Name of the twin's folder: a digest of all that its images depend on, settings, the user's files and code."""
    settings = json.dumps(twin_settings(material), sort_keys=True)
    files = [file_digest(path) for path in user_files(material)]
    here = Path(__file__)
    code = code_digest(imported_files(here, within=here.parent), root=here.parent)
    return digest(settings + "".join(files) + code)


def make_twin(material: Material, folder: Path) -> Path:
    """Renders the twin's dataset into a folder of its own below `folder`, unless it is there, and returns that.

    Writes images/*.tif (8 bit), masks/*.tif (uint16 instance ids), truth.csv (per micrograph the parameters, then the
    conditions of `draw_conditions`), truth.json (their laws) and last, as the sign of completeness, registry.tsv. What
    an interrupted call left is gone on with. The same settings give the same files on the same processor.
    """
    twin = material.twin
    folder = folder / recipe(material)
    if _is_complete(folder):
        return folder
    truth = _truth(material)
    seen = twin_material(material)
    meshes = make_meshes(seen)
    try:
        layouts = [sample_layout(seen, meshes, seed=1000 * twin.seed + k) for k in range(len(truth))]
    except (ConfigError, LayoutError) as error:
        # Numbers and clusters stand in the section `twin`.
        raise type(error)(f"the twin of {material.name}: {error} (here as twin.n_particles, twin.clusters)") from None
    camera = _Camera(seen, meshes, spread_px=blur_std_px(material.scene))
    rows = []
    with _one_thread():
        for k, layout in enumerate(tqdm(layouts, desc=f"rendering the twin of {material.name}", unit="image")):
            paths = {"image": folder / f"images/twin_{k:03d}.tif", "instances": folder / f"masks/twin_{k:03d}.tif"}
            if not all(path.is_file() for path in paths.values()):
                for path, array in zip(paths.values(), camera.shoot(layout, truth.iloc[k], k=k), strict=True):
                    with atomic_path(path) as temporary:
                        tifffile.imwrite(temporary, array, compression="zlib")
            for kind, path in paths.items():
                checksum = hashlib.sha256(path.read_bytes()).hexdigest()
                name = path.relative_to(folder).as_posix()
                rows.append((name, kind, truth["split"].iloc[k], path.stat().st_size, checksum, ""))
    with atomic_path(folder / "truth.csv") as temporary:
        truth.to_csv(temporary, index=False)
    laws = twin.model_dump(mode="json", include={"seed", "blur_px", "dose", "line_noise", "specks"})
    write_json(folder / "truth.json", {"law": twin.truth, "bounds": material.bounds, **laws})
    with atomic_path(folder / "registry.tsv") as temporary:
        table = pd.DataFrame(rows, columns=["path", "kind", "split", "bytes", "sha256", "url"])
        table.to_csv(temporary, sep="\t", index=False)
    return folder


class _Camera:
    """Takes the micrographs of a twin: `material` is as `twin_material` says, `spread_px` the blur that it lacks."""

    def __init__(self, material: Material, meshes: list[trimesh.Trimesh], *, spread_px: float):
        self.material, self.seed = material, material.twin.seed
        self.spread_px = spread_px
        self.renderer = Renderer(material, meshes, spp=material.twin.spp)
        # Light of the stage is needed for its specks alone, so fewer samples will do.
        self.coarse = Renderer(material, meshes, spp=max(1, material.twin.spp // 4))

    def shoot(self, layout: Layout, row: pd.Series, *, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Image, uint8 [h, w], and instance ids, uint16 [h, w], of micrograph number `k` under the conditions `row`."""
        values = torch.tensor([row[name] for name in self.material.parameters], dtype=torch.float32)
        ids = self.renderer.instance_ids(layout)
        light = _numpy(self.renderer.image(values, layout, seed=k))
        on_stage, in_microscope = np.random.default_rng([self.seed, k + 1]).spawn(2)
        if row["specks"]:
            # What the stage adds to each pixel: hidden and shadowed by the particles, at their edges in part. Dirt
            # changes it in proportion, and nothing else.
            without = values.clone()
            without[self.material.parameters.index("stage_base_color")] = 0
            of_stage = _numpy(self.coarse.image(values, layout, seed=k) - self.coarse.image(without, layout, seed=k))
            light += (dirt(ids == 0, int(row["specks"]), rng=on_stage) - 1) * of_stage
        seen = row.to_dict() | {"blur_px": np.hypot(row["blur_px"], self.spread_px)}
        return expose(light, seen, rng=in_microscope), ids


def _truth(material: Material) -> pd.DataFrame:
    """One row per micrograph: split, the material's parameters, and the conditions in the microscope."""
    twin = material.twin
    n = twin.n_train + twin.n_test
    conditions = draw_conditions(twin, n, rng=np.random.default_rng([twin.seed, 0, 1]))
    table = pd.concat([true_parameters(material, n, seed=twin.seed), conditions], axis="columns")
    table.insert(0, "split", ["train"] * twin.n_train + ["test"] * twin.n_test)
    return table


def _is_complete(folder: Path) -> bool:
    """Whether the registry is there, and every file that it lists, in its size."""
    if not (folder / "registry.tsv").is_file():
        return False
    table = pd.read_csv(folder / "registry.tsv", sep="\t")
    files = [folder / path for path in table["path"]]
    return all(path.is_file() and path.stat().st_size == n for path, n in zip(files, table["bytes"], strict=True))


@contextmanager
def _one_thread() -> Iterator[None]:
    """On a CPU, samples are added up in the same order every time only by a single thread."""
    before = dr.thread_count()
    dr.set_thread_count(1)
    try:
        yield
    finally:
        dr.set_thread_count(before)


def _numpy(image: torch.Tensor) -> np.ndarray:
    return image.cpu().numpy().astype(np.float64)
