"""nnU-Net v2 as a segmenter: trained in a process of its own, predicting in this one.

Isensee et al., Nature Methods 18, 203 (2021). nnU-Net's own plan and trainer are the `default`; `compact` is the same
method with a smaller network and a fixed number of iterations (`drgan_lib.segmentation.trainers`).
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from copy import copy
from dataclasses import asdict
from pathlib import Path
from typing import Any

from drgan_lib.config import Experiment, SegmentationSettings
from drgan_lib.digest import code_behind
from drgan_lib.files import atomic_path, read_json, require_free_space, write_json
from drgan_lib.samples import SampleSet
from drgan_lib.segmentation.instances import BorderCore, tune_border_core
from drgan_lib.segmentation.network import Network
from drgan_lib.segmentation.raw import content, write_raw
from drgan_lib.segmentation.trainers import COMPACT_EPOCH
from drgan_lib.segmentation.training import run_worker
from drgan_lib.segmentation.training_set import check, set_aside
from drgan_lib.store import Store

DATASET = "Dataset001_particles"
DEFAULT_EPOCHS = 1000  # of nnU-Net's trainer, 250 iterations each
MAKES_NETWORKS = (
    "drgan_lib.classes",
    "drgan_lib.segmentation.raw",
    "drgan_lib.segmentation.worker",
    "drgan_lib.segmentation.trainers.compact",
)


class NnUNet(Network):
    """A network of nnU-Net, with border-core instances tuned on images of its own kind.

    Parameters
    ----------
    settings : SegmentationSettings
    store : Store
        Where trained networks lie: `nnUNet_results` in nnU-Net's layout, and `nnunet.log`.
    patch_px : int
        Side of the patches that the compact network sees at once.
    contour_px : int
        Width of the contour around particles that it learns.
    channel : str
        The microscope, as nnU-Net shall name the channel.
    min_area_px : int
        Instances below this area do not count in tuning.

    Fitted, it is a `Network` in a folder of the store.
    """

    def __init__(
        self,
        settings: SegmentationSettings,
        store: Store,
        *,
        patch_px: int,
        contour_px: int = 1,
        channel: str = "sem",
        min_area_px: int = 0,
    ):
        super().__init__(folder=None)
        self.settings, self.store, self.patch_px = settings, store, patch_px
        self.contour_px, self.channel, self.min_area_px = contour_px, channel, min_area_px

    @classmethod
    def of_experiment(cls, exp: Experiment, store: Store) -> NnUNet:
        """With the settings of the experiment."""
        return cls(
            exp.profile.segmentation,
            store,
            patch_px=exp.network_px,
            contour_px=exp.material.contour_px,
            channel=exp.material.dataset.modality,
            min_area_px=exp.material.min_area_px,
        )

    def fit(self, samples: SampleSet, *, seed: int, log: Callable[[str], None] = print) -> NnUNet:
        """Trains from `seed`, unless that has been done, and tunes; returns itself.

        nnU-Net's output goes to `nnunet.log` in the network's folder. An interrupted training resumes. With the compact
        trainer, more iterations go on from the longest shorter training that there is; their learning rate follows the
        schedule of the new length from there on, so that the network is not quite that of one uninterrupted training.
        Other settings, samples, or code that trains make another network. Some samples are set aside to tune on (see
        `set_aside`); without them the defaults hold. Raises `SegmentationError` for samples that cannot be learned
        from, and when nnU-Net fails or is killed.
        """
        return self._fit(*set_aside(samples), seed, log)

    def go_on(
        self, samples: SampleSet, own: SampleSet, *, iterations: int, seed: int, log: Callable[[str], None] = print
    ) -> NnUNet:
        """The network after `iterations` more, on `samples`, on which it was fitted, and as often on `own`.

        The names of `own` start with `self_`, and its instances may be `UNKNOWN` in places. The compact trainer goes on
        from its checkpoint, as for a longer training; all else is as for `fit`.
        """
        learned, aside = set_aside(samples)
        further = copy(self)
        further.settings = self.settings.model_copy(update={"iterations": self.settings.iterations + iterations})
        return further._fit(learned + own, aside, seed, log, start=self)

    def _fit(
        self,
        learned: SampleSet,
        aside: SampleSet,
        seed: int,
        log: Callable[[str], None],
        start: Network | None = None,
    ) -> NnUNet:
        check(learned, patch_px=self.patch_px)
        identity = self._identity(learned, seed) | ({"start": start.weights()} if start else {})
        folder = self.store.folder("network", identity) / str(self.settings.iterations)
        if not (folder / "trained.json").is_file():
            self._train(folder, learned, seed, log, start)
        super().__init__(folder, BorderCore(contour_px=self.contour_px))
        self._tune(aside, log)
        return self

    def _identity(self, samples: SampleSet, seed: int) -> dict[str, Any]:
        """What makes the network, but for the iterations of the compact trainer."""
        return {
            "settings": self.settings.model_dump(mode="json", exclude={"arms", "iterations"}),
            "seed": seed,
            "patch_px": self.patch_px,
            "contour_px": self.contour_px,
            "channel": self.channel,
            "samples": content(samples),
            "code": code_behind(*MAKES_NETWORKS),
        }

    def _train(
        self, folder: Path, samples: SampleSet, seed: int, log: Callable[[str], None], start: Network | None
    ) -> None:
        settings = self.settings
        raw, preprocessed, results = (folder / f"nnUNet_{part}" for part in ("raw", "preprocessed", "results"))
        n_px = sum(sample.image.size for sample in samples)
        require_free_space(folder, n_px * 6 + 2**30, "preprocessing and training")
        if not (raw / DATASET).is_dir():
            given = settings.normalization != "zscore"
            channel = settings.normalization if given else self.channel
            write_raw(raw / DATASET, samples, contour_px=self.contour_px, seam_px=settings.seam_px, channel=channel)
        if settings.trainer == "compact" and (source := _longest_shorter(folder) or (start and start.folder)):
            _go_on_from(source, folder)
        request = request_of(settings, patch_px=self.patch_px, seed=seed)
        log(f"nnU-Net: {len(samples)} training images, {_in_words(settings)}")
        folders = {"preprocessed": str(preprocessed.resolve()), "results": str(results.resolve())}
        variables = {"nnUNet_raw": str(raw.resolve())} | {f"nnUNet_{name}": place for name, place in folders.items()}
        run_worker(request | folders, variables, folder / "nnunet.log", log=log)
        write_json(folder / "trained.json", {"iterations": settings.iterations})
        for part in (raw, preprocessed):
            shutil.rmtree(part, ignore_errors=True)

    def _tune(self, aside: SampleSet, log: Callable[[str], None]) -> None:
        """Chooses the settings of the border-core instances on the samples set aside, unless that has been done."""
        if not len(aside):
            log("border-core instances: too few images to set any aside for tuning, so the defaults hold")
            return
        made_from = {"samples": content(aside), "min_area_px": self.min_area_px, "code": code_behind(__file__)}
        path = self.folder / "border_core.json"
        if not path.is_file() or read_json(path)["made_from"] != made_from:
            maps = [self.class_map(sample.image) for sample in aside]
            how = {"min_area": self.min_area_px, "contour_px": self.contour_px}
            chosen, table = tune_border_core(maps, [s.instances for s in aside], **how)
            with atomic_path(path.with_suffix(".csv")) as temporary:
                table.to_csv(temporary, index=False)
            write_json(path, {"made_from": made_from, "chosen": asdict(chosen)})
        self.border_core = BorderCore(**read_json(path)["chosen"])
        log(f"border-core instances, tuned on {len(aside)} images set aside from the training set: {self.border_core}")


def request_of(settings: SegmentationSettings, *, patch_px: int, seed: int) -> dict[str, Any]:
    """What the worker is asked to train, but for its folders."""
    compact = settings.trainer == "compact"
    configuration = {
        "name": "2d_compact",
        "patch_px": patch_px,
        "seed": seed,
        **settings.model_dump(include={"iterations", "batch_size", "features", "stages"}),
    }
    return {
        "dataset": DATASET,
        "planner": settings.planner,
        "trainer": "CompactTrainer" if compact else "AtomicTrainer",
        "configuration": configuration if compact else {"name": "2d"},
        "epochs": -(-settings.iterations // COMPACT_EPOCH) if compact else DEFAULT_EPOCHS,
        "folds": [str(k) for k in range(5)] if settings.fold == "five" else [settings.fold],
    }


def _longest_shorter(folder: Path) -> Path | None:
    """The longest training beside `folder` that is shorter."""
    lengths = [int(path.parent.name) for path in folder.parent.glob("*/trained.json")]
    shorter = [length for length in lengths if length < int(folder.name)]
    return folder.with_name(str(max(shorter))) if shorter else None


def _go_on_from(source: Path, folder: Path) -> None:
    """Copies the checkpoints and the log of the training in `source` to `folder`, where it has none yet."""
    for final in source.rglob("checkpoint_final.pth"):
        target = (folder / final.relative_to(source)).with_name("checkpoint_latest.pth")
        if not list(target.parent.glob("checkpoint_*.pth")):
            with atomic_path(target) as temporary:
                shutil.copyfile(final, temporary)
    if not (folder / "nnunet.log").is_file():
        shutil.copyfile(source / "nnunet.log", folder / "nnunet.log")


def _in_words(settings: SegmentationSettings) -> str:
    if settings.trainer == "compact":
        how = (
            f"compact trainer, {settings.iterations} iterations, {settings.features} features, {settings.stages} stages"
        )
    else:
        how = "default trainer (nnU-Net's own plan; iterations, batch_size, features and stages do not apply)"
    return how + (", 5 folds one after the other" if settings.fold == "five" else "")
