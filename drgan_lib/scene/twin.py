"""Digital twin: "micrographs" with masks, rendered from a hidden, recorded law of parameters.

It lets the whole method run without a download, and lets the learned distribution be compared with the true one.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile
import torch
from scipy.stats import truncnorm

from drgan_lib.config import Experiment, Material
from drgan_lib.digest import code_digest, digest
from drgan_lib.files import atomic_path, write_json
from drgan_lib.scene.layout import sample_layout
from drgan_lib.scene.meshes import make_meshes
from drgan_lib.scene.render import Renderer


def twin_material(material: Material) -> Material:
    """The material with the twin's larger field: same pixels per scene unit, wider view, more particles."""
    twin, scene = material.twin, material.scene
    factor = twin.size_px / scene.size_px
    fov = 2 * np.degrees(np.arctan(factor * np.tan(np.radians(scene.fov_deg) / 2)))
    return material.model_copy(
        update={
            "scene": scene.model_copy(update={"size_px": twin.size_px, "fov_deg": float(fov)}),
            "layout": material.layout.model_copy(update={"n_particles": twin.n_particles, "clusters": twin.clusters}),
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
    """Name of the twin's folder: a digest of all that its images depend on, settings and the code of the scene."""
    parts = {"twin": True, "meshes": True, "layout": True, "scene": True, "bounds": True}
    here = Path(__file__).parent
    code = [here / f"{module}.py" for module in ("build", "layout", "lights", "meshes", "render", "twin")]
    return digest(material.model_dump_json(include=parts) + code_digest(code, root=here))


def make_twin(exp: Experiment, folder: Path) -> Path:
    """Renders the twin's dataset into `folder`, unless it is complete, and returns the folder.

    Writes images/*.tif (8 bit), masks/*.tif (uint16 instance ids), truth.csv (parameters per image), truth.json (the
    law) and last, as the sign of completeness, registry.tsv. The same settings give the same files.
    """
    material, twin = exp.material, exp.material.twin
    folder = folder / recipe(material)
    if (folder / "registry.tsv").is_file():
        return folder
    scene_material = twin_material(material)
    meshes = make_meshes(material)
    renderer = Renderer(scene_material, meshes, spp=twin.spp)
    n = twin.n_train + twin.n_test
    truth = true_parameters(material, n, seed=twin.seed)
    rows = []
    for k in range(n):
        layout = sample_layout(scene_material, meshes, seed=1000 * twin.seed + k)
        values = torch.tensor(truth.iloc[k].to_numpy(), dtype=torch.float32)
        clean = renderer.image(values, layout, seed=k).clamp(0, 1).cpu().numpy()
        noise = np.random.default_rng([twin.seed, k]).normal(size=clean.shape) * truth["noise_sigma"].iloc[k]
        image = np.round(255 * np.clip(clean + noise, 0, 1)).astype(np.uint8)
        split = "train" if k < twin.n_train else "test"
        for kind, array in (("image", image), ("instances", renderer.instance_ids(layout))):
            path = folder / ("images" if kind == "image" else "masks") / f"twin_{k:03d}.tif"
            with atomic_path(path) as temporary:
                tifffile.imwrite(temporary, array, compression="zlib")
            checksum = hashlib.sha256(path.read_bytes()).hexdigest()
            rows.append((str(path.relative_to(folder)), kind, split, path.stat().st_size, checksum, ""))
    truth.insert(0, "split", ["train"] * twin.n_train + ["test"] * twin.n_test)
    with atomic_path(folder / "truth.csv") as temporary:
        truth.to_csv(temporary, index=False)
    write_json(folder / "truth.json", {"law": twin.truth, "bounds": material.bounds, "seed": twin.seed})
    with atomic_path(folder / "registry.tsv") as temporary:
        table = pd.DataFrame(rows, columns=["path", "kind", "split", "bytes", "sha256", "url"])
        table.to_csv(temporary, sep="\t", index=False)
    return folder
