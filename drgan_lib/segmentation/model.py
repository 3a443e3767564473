"""The trained networks of a run, ready to segment further images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

from drgan_lib.files import read_json, write_json
from drgan_lib.segmentation import nnunet
from drgan_lib.segmentation.checks import SegmentationError
from drgan_lib.segmentation.instances import BorderCore


@dataclass(frozen=True)
class Model:
    """One trained network: its `folder`, arm and seed, and how its classes become instances.

    `pixel_size_nm` (None: unknown) is that of the micrographs it was trained for, `patch_px` the side of its patches,
    `shape` the kind of particles, of which those below `min_area_px` do not count.
    """

    folder: Path
    arm: str
    seed: int
    border_core: BorderCore
    pixel_size_nm: float | None
    patch_px: int
    shape: str
    min_area_px: int

    def save(self) -> None:
        """Writes model.json into the folder."""
        write_json(self.folder / "model.json", {k: v for k, v in asdict(self).items() if k != "folder"})


def load_model(run: str | Path, *, arm: str | None = None, seed: int | None = None) -> Model:
    """The network of `arm` and `seed` in the folder of a run, by default its first.

    `SegmentationError` where there is none, with those that there are.
    """
    place = Path(run) / "segmentation"
    folders = read_json(place / "models.json") if (place / "models.json").is_file() else []
    models = [_read(place / folder) for folder in folders if (place / folder / "model.json").is_file()]
    if not models:
        raise SegmentationError(
            f"expected the folder runs/<material>/<profile> of a run with a trained network, found none in {run}; "
            "make one with `drgan run MATERIAL --profile PROFILE`"
        )
    for model in models:
        if arm in (None, model.arm) and seed in (None, model.seed):
            return model
    known = ", ".join(f"{model.arm} with seed {model.seed}" for model in models)
    asked = " and ".join(f"{key} {value}" for key, value in (("arm", arm), ("seed", seed)) if value is not None)
    raise SegmentationError(f"{run} has no network of {asked}; expected one of {known}")


def predict(model: Model, images: Path, out: Path, log_file: Path, *, log: Callable[[str], None] = print) -> None:
    """Class maps, in `out`, of all PNG files in `images`, uint16 gray [h, w]; see `drgan_lib.segmentation.nnunet`."""
    nnunet.predict(model.folder, [(images, out)], log_file, log=log)


def _read(folder: Path) -> Model:
    stored = read_json(folder / "model.json")
    return Model(folder=folder, **stored | {"border_core": BorderCore(**stored["border_core"])})
