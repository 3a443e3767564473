"""Materials of all shapes with few, coarse meshes, and what several tests measure on their layouts."""

from functools import cache

import numpy as np
import trimesh

from drgan_lib.config import Material, load_experiment
from drgan_lib.scene.layout import Layout
from drgan_lib.scene.meshes import make_meshes

COARSE = {"cube": 200, "sphere": 320}  # triangles at most
# A size of each shape that leaves room for thirty of them on the stage.
SIZES = {"rod": 0.2, "wire": 0.1, "platelet": 0.35}


def material_of(shape: str = "cube", *, pixel_size_nm: float | None = None, **changes) -> Material:
    """The TiO2 material with three meshes of a shape, and overrides of its layout on top."""
    meshes = {"shape": shape, "count": 3, "max_triangles": COARSE.get(shape, 1300)}
    sizes = {"law": "lognormal", "median": SIZES.get(shape, 0.5), "sigma": 0.2}
    layout = {"n_particles": [30, 30], "sizes": sizes, **changes}
    overrides = {
        "meshes": meshes,
        "dataset.pixel_size_nm": pixel_size_nm,
        **{f"layout.{name}": value for name, value in layout.items()},
    }
    return load_experiment("twin", overrides=overrides).material


@cache
def meshes_of(shape: str) -> list[trimesh.Trimesh]:
    return make_meshes(material_of(shape))


def bodies(layout: Layout, meshes: list[trimesh.Trimesh]) -> list[trimesh.Trimesh]:
    """The particles of a layout where they lie."""
    return [
        trimesh.Trimesh(t[3] * (meshes[m].vertices @ rotation.T) + t[:3], meshes[m].faces, process=False)
        for m, rotation, t in layout
    ]


def lowest(layout: Layout, meshes: list[trimesh.Trimesh]) -> np.ndarray:
    """float [n]: height of each particle's lowest point."""
    return np.array([body.vertices[:, 1].min() for body in bodies(layout, meshes)])
