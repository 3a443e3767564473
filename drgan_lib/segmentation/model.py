"""What a run has made: its trained networks, ready to segment further images, and its predictions."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from drgan_lib.config import Experiment
from drgan_lib.files import read_json, write_json
from drgan_lib.samples import SampleSet, open_samples
from drgan_lib.segmentation.instances import BorderCore
from drgan_lib.segmentation.segmenter import SegmentationError, segment_at

if TYPE_CHECKING:
    from drgan_lib.segmentation.network import Network

RULES = ("plain", "border_core")


@dataclass(frozen=True)
class Model:
    """One trained `network` of a run, and of what it is.

    `pixel_size_nm` (None: unknown) is that of the micrographs it was trained for, `shape` the kind of particles, of
    which those below `min_area_px` do not count. The network sees images with `working_scale` pixels for one.
    """

    network: Network
    arm: str
    seed: int
    pixel_size_nm: float | None
    shape: str
    min_area_px: int
    working_scale: float = 1.0

    def segment(self, image: np.ndarray) -> np.ndarray:
        """Instances int32 [h, w], 0 for background, of `image`, float32 [h, w] in [0, 1]."""
        return segment_at(self.network, image, self.working_scale)

    def describe(self) -> dict[str, Any]:
        """All that its results depend on, with digests of its weights, as JSON can hold it."""
        words = {name: value for name, value in vars(self).items() if name != "network"}
        return words | {"border_core": asdict(self.network.border_core), "weights": self.network.weights()}

    def save(self, place: Path) -> None:
        """Writes model.json into `place`, with the way from there to the network."""
        record = self.describe() | {"network": os.path.relpath(self.network.folder.resolve(), place.resolve())}
        write_json(place / "model.json", record)


def list_models(folder: str | Path) -> list[tuple[str, int]]:
    """Arm and seed of every model in the folder of a segmentation stage, in their order; of networks and others."""
    path = Path(folder) / "models.json"
    return [(arm, seed) for arm, seed in read_json(path)] if path.is_file() else []


def models_of(exp: Experiment) -> list[tuple[str, int]]:
    """Arm and seed of every model that the experiment asks for, in the order of `segmentation.arms`.

    The seeds count from that of the run, which all of them share with the images that they were trained on.
    """
    arms = exp.profile.segmentation.arms
    return [(arm, seed) for arm, n_seeds in arms.items() for seed in range(exp.seed, exp.seed + n_seeds)]


def place_of(folder: str | Path, part: str, arm: str, seed: int) -> Path:
    """Where the `part` of a model lies in the folder of a segmentation stage."""
    return Path(folder) / part / arm / f"seed{seed}"


def read_models(folder: str | Path) -> list[Model]:
    """The trained networks in the folder of a segmentation stage."""
    places = [place_of(folder, "models", arm, seed) for arm, seed in list_models(folder)]
    return [_read(place) for place in places if (place / "model.json").is_file()]


def training_curves(folder: str | Path) -> dict[str, list[pd.DataFrame]]:
    """How the networks in the folder of a segmentation stage were trained, by arm, one table per seed."""
    curves: dict[str, list[pd.DataFrame]] = {}
    for model in read_models(folder):
        curves.setdefault(model.arm, []).append(model.network.training())
    return curves


def load_model(run: str | Path, *, arm: str | None = None, seed: int | None = None) -> Model:
    """The network of `arm` and `seed` in the folder of a run, by default its first.

    `SegmentationError` where there is none, with those that there are.
    """
    models = read_models(Path(run) / "segmentation")
    if not models:
        raise SegmentationError(
            f"expected the folder runs/<material>/<profile> of a run with a trained network, found none in {run}; "
            "run a material first"
        )
    for model in models:
        if arm in (None, model.arm) and seed in (None, model.seed):
            return model
    known = ", ".join(f"{model.arm} with seed {model.seed}" for model in models)
    asked = " and ".join(f"{key} {value}" for key, value in (("arm", arm), ("seed", seed)) if value is not None)
    raise SegmentationError(f"{run} has no network of {asked}; expected one of {known}")


def load_predictions(folder: str | Path, arm: str | None = None, seed: int | None = None) -> dict[str, SampleSet]:
    """The test micrographs as the model of `arm` and `seed` sees them, by the rule that made the instances.

    `folder` is that of a segmentation stage. By default, the first model counts. The rules are `plain` and, where the
    model has it, `border_core`. Raises `SegmentationError` where there is no prediction.
    """
    for model in list_models(folder):
        if arm in (None, model[0]) and seed in (None, model[1]):
            place = place_of(folder, "predictions", *model)
            if found := {rule: s for rule in RULES if len(s := open_samples(place / rule))}:
                return found
    raise SegmentationError(
        f"expected predictions of {arm or 'a model'}, seed {seed}, in {folder}, found none; run segment first"
    )


def _read(place: Path) -> Model:
    # Imported late: PyTorch takes seconds, and predictions can be read without.
    from drgan_lib.segmentation.network import Network

    record = read_json(place / "model.json")
    network = Network((place / record.pop("network")).resolve(), BorderCore(**record.pop("border_core")))
    del record["weights"]
    return Model(network, **record)
