"""How far off is `drgan suggest` on nine twins? `python -m benchmarks.suggestions FOLDER [NUMBER ...]`.

Renders the twins, or those of these numbers (from 1), of ten images of 512 px into FOLDER, unless they are there, and
prints the table of chapter 02. Meshes, roughness, blur, noise and dirt are the twin's own, unknown to the estimate.
"""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from drgan_lib.config import ELONGATED, Experiment, load_experiment
from drgan_lib.data import open_micrographs
from drgan_lib.scene.twin import make_twin
from drgan_lib.suggest import suggest_material, visible_sizes

PLANAR, LYING = {"layout.space": "planar"}, {"layout.orientation": "lying"}
# What it shows, shape, median in px, deviation of ln, particles and clusters per image, and further settings.
TWINS = [
    ("cubes", "cube", 14, 0.2, (280, 560), (30, 60), {}),
    ("cubes, much stacked", "cube", 20, 0.25, (140, 280), (15, 30), {"layout.stacking": 0.8}),
    ("cubes, none stacked", "cube", 22, 0.2, (110, 230), (12, 25), PLANAR),
    ("cubes", "cube", 30, 0.35, (60, 125), (8, 16), {}),
    ("cubes", "cube", 45, 0.2, (27, 55), (4, 9), {}),
    ("spheres", "sphere", 20, 0.1, (140, 280), (15, 30), {}),
    ("spheres, none stacked", "sphere", 35, 0.25, (45, 90), (6, 12), PLANAR),
    ("rods, thickness", "rod", 8, 0.2, (80, 160), (10, 20), LYING),
    ("wires, thickness", "wire", 5, 0.1, (30, 60), (1, 1), LYING | {"layout.placement": "random"}),
]


def twin(shape: str, median: float, sigma: float, n: tuple, clusters: tuple, more: dict) -> Experiment:
    """The material `twin` with these settings."""
    settings = {
        "meshes.shape": shape,
        "layout.sizes.unit": "px",
        "layout.sizes.median": median,
        "layout.sizes.sigma": sigma,
        "twin.n_train": 10,
        "twin.n_test": 1,
        "twin.n_particles": n,
        "twin.clusters": clusters,
        "twin.spp": 16,
    }
    return load_experiment("twin", "paper", settings | more)


def row(name: str, exp: Experiment, folder: Path) -> str:
    """The table's line: true median, errors of what was found and of the estimate, its interval, and the setting's."""
    material = exp.material
    shape, whole = material.meshes.shape, material.layout.sizes.median
    images = make_twin(material, folder)
    true = whole
    if shape not in ELONGATED:
        micrographs = open_micrographs(material.dataset, images, masks=True)
        true = visible_sizes([m.instances for m in micrographs]).median
    with TemporaryDirectory() as out:
        path = Path(out) / "found.yaml"
        proposal = suggest_material(material.dataset, images, shape, name="found", out=path, log=len).proposal
    estimate, found = proposal.estimates["visible_median_px"], proposal.material
    setting = found.layout.sizes.median * found.scene_unit_px
    errors = [f"{100 * (px / true - 1):+.0f} %" for px in (estimate.found, estimate.value, *estimate.interval)]
    cells = [name, f"{true:.1f} px", *errors[:2], f"{errors[2]} to {errors[3]}"]
    return " | ".join(["", *cells, f"{whole:g} px", f"{100 * (setting / whole - 1):+.0f} %", ""]).strip()


def main(arguments: list[str]) -> None:
    if not arguments or not all(word.isdigit() for word in arguments[1:]):
        raise SystemExit(__doc__)
    print("| twin | median visible | as found | estimate | 90 % interval | distribution, whole | setting |")
    print("| --- " * 7 + "|")
    for number in [int(word) for word in arguments[1:]] or range(1, len(TWINS) + 1):
        name, *settings = TWINS[number - 1]
        print(row(name, twin(*settings), Path(arguments[0])), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
