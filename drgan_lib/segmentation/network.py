"""A trained network of nnU-Net, in this process: from an image to classes and instances, all in memory."""

import io
from collections.abc import Mapping
from contextlib import redirect_stdout
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from drgan_lib.classes import SEAM_LABELS
from drgan_lib.digest import digest, file_digest
from drgan_lib.files import read_json
from drgan_lib.hardware import has_bfloat16
from drgan_lib.segmentation.class_map import ClassMap, of_probabilities
from drgan_lib.segmentation.instances import BorderCore, border_core, plain
from drgan_lib.segmentation.segmenter import ClassSegmenter, Rule, SegmentationError
from drgan_lib.segmentation.tiles import apply_windows, label_windows

MIRROR_PX, OVERLAP_PX = 32, 256
STEP, COMPACT_STEP = 0.5, 0.75  # between tiles, of their size
FULL_SCALE = 65535  # images are rounded to 16 bits
SMALLEST_SCALE = 1e-8
# What nnU-Net's checkpoints hold beside tensors: NumPy's numbers, in the log of the training.
NUMBERS = [np._core.multiarray.scalar, np.dtype, np.dtypes.Float32DType, np.dtypes.Float64DType, np.dtypes.Int64DType]


class Network(ClassSegmenter):
    """The trained network in `folder`, with the settings of its border-core instances.

    `folder` holds `nnUNet_results` in nnU-Net's layout, with one model; of several folds the mean counts. It is loaded
    on the first call, and kept. Images go nnU-Net's own way: tiles of the patch size, half-patch steps, Gaussian
    weights and the mean over mirrored copies; with the compact trainer longer steps and no copies, each of which would
    cost as much as the image itself.
    """

    def __init__(self, folder: Path | None, border_core: BorderCore | None = None):
        self.folder, self.border_core = folder, border_core or BorderCore()
        self.__dict__.pop("_loaded", None)

    @property
    def rules(self) -> Mapping[str, Rule]:
        """The paper's rule, and border-core instances, in windows."""
        cores = partial(border_core, settings=self.border_core)
        return {"plain": lambda found: plain(found.classes), "border_core": partial(label_windows, instances=cores)}

    def weights(self) -> list[str]:
        """Digests of the files of weights."""
        return [file_digest(path) for path in sorted(self.folder.rglob("checkpoint_final.pth"))]

    @property
    def identity(self) -> str:
        """Names all that the results depend on, but for the code."""
        return digest(f"{self.weights()} {self.border_core}")

    def training(self) -> pd.DataFrame:
        """How the training went, by nnU-Net's log: a row per epoch of each fold, numbered from 0.

        Columns: fold, epoch, learning_rate, train_loss, val_loss, seconds, and for each class that was learned its
        pseudo-Dice, as dice_particle, which is taken over the pixels of a few validation patches.
        """
        folds = []
        for fold, content in self._checkpoints().items():
            log = content["logging"]
            dice = np.array(log["dice_per_class_or_region"], float)
            classes = list(SEAM_LABELS)[1 : 1 + dice.shape[1]]
            table = pd.DataFrame(dice, columns=[f"dice_{name}" for name in classes]).rename_axis("epoch").reset_index()
            seconds = np.subtract(log["epoch_end_timestamps"], log["epoch_start_timestamps"])
            table = table.assign(train_loss=log["train_losses"], val_loss=log["val_losses"], seconds=seconds)
            folds.append(table.assign(fold=fold, learning_rate=log["lrs"]))
        return pd.concat(folds, ignore_index=True)

    def class_map(self, image: np.ndarray) -> ClassMap:
        """The classes of `image`, float32 [h, w] in [0, 1], rounded to 16 bits.

        It goes on beyond its border, as in a mirror: the network takes what is missing there for background, and would
        end particles before the border. Gray levels are normalised by those of the whole image, but for black margins;
        an empty part on its own would be stretched until its noise looks like particles. Large images are segmented in
        windows, so that memory stays bounded, some 60 bytes per pixel of a window.
        """
        _, zscore, patch_px = self._loaded
        pixels = np.round(image * FULL_SCALE).astype(np.float32)
        inside = np.pad(pixels, MIRROR_PX, mode="symmetric")
        inside = inside[_not_black(inside)]
        origin = inside.mean() if zscore else inside.min()
        scale = inside.std() if zscore else inside.max() - origin

        def classes(part: np.ndarray) -> np.ndarray:
            found = of_probabilities(self._probabilities(part, origin, max(scale, SMALLEST_SCALE)))
            return np.stack([found.classes, found.particle, found.border])

        classes, particle, border = apply_windows(pixels, classes, overlap_px=max(OVERLAP_PX, patch_px))
        return ClassMap(classes.astype(np.uint8), particle, border)

    def _probabilities(self, pixels: np.ndarray, origin: np.float32, scale: np.float32) -> np.ndarray:
        """Probabilities float32 [c, h, w]; what is black outside of a box that holds all the rest is background."""
        predictor, _, patch_px = self._loaded
        height, width = pixels.shape
        to_patch = [(0, max(0, patch_px - n)) for n in pixels.shape]  # nnU-Net would fill it up with gray
        padded = np.pad(np.pad(pixels, to_patch, mode="symmetric"), MIRROR_PX, mode="symmetric")
        box = _not_black(padded)
        data = padded[box] - origin
        data /= scale
        bfloat16 = predictor.device.type == "cpu" and not predictor.use_mirroring and has_bfloat16(predictor.device)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bfloat16):
            logits = predictor.predict_logits_from_preprocessed_data(torch.from_numpy(data)[None, None])
        probabilities = np.zeros((len(logits), *padded.shape), np.float32)
        probabilities[0] = 1
        probabilities[:, *box] = torch.softmax(logits[:, 0].float(), 0).numpy()
        return probabilities[:, MIRROR_PX : MIRROR_PX + height, MIRROR_PX : MIRROR_PX + width]

    def _checkpoints(self) -> dict[str, dict[str, Any]]:
        """What nnU-Net's final checkpoints hold, by fold; `SegmentationError` if there are none."""
        found = sorted(self.folder.glob("nnUNet_results/*/*/fold_*/checkpoint_final.pth")) if self.folder else []
        if not found:
            raise SegmentationError(
                f"expected a trained network in {self.folder}, found none; call fit, or run segment, first"
            )
        with torch.serialization.safe_globals(NUMBERS):
            return {
                path.parent.name.removeprefix("fold_"): torch.load(path, map_location="cpu", weights_only=True)
                for path in found
            }

    @cached_property
    def _loaded(self) -> tuple[Any, bool, int]:
        """nnU-Net's predictor, whether gray levels become z-scores, and the side of a patch."""
        # Imported late: it takes seconds. The trainers, which would set Matplotlib's backend, are not imported.
        from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
        from nnunetv2.utilities.get_network_from_plans import get_network_from_plans
        from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

        folds = list(self._checkpoints().values())
        (place,) = self.folder.glob("nnUNet_results/*/*")
        about, plans, dataset = (
            folds[0],
            PlansManager(read_json(place / "plans.json")),
            read_json(place / "dataset.json"),
        )
        configuration = plans.get_configuration(about["init_args"]["configuration"])
        network = get_network_from_plans(
            configuration.network_arch_class_name,
            configuration.network_arch_init_kwargs,
            configuration.network_arch_init_kwargs_req_import,
            input_channels=1,
            output_channels=plans.get_label_manager(dataset).num_segmentation_heads,
            allow_init=False,
            deep_supervision=False,
        )
        device, compact = torch.device("cuda" if torch.cuda.is_available() else "cpu"), place.name.startswith("Compact")
        with redirect_stdout(io.StringIO()):  # on what it does not do without a GPU
            predictor = nnUNetPredictor(
                COMPACT_STEP if compact else STEP, use_mirroring=not compact, device=device, allow_tqdm=False
            )
        weights, axes = [fold["network_weights"] for fold in folds], about["inference_allowed_mirroring_axes"]
        predictor.manual_initialization(network, plans, configuration, weights, dataset, about["trainer_name"], axes)
        zscore = configuration.normalization_schemes == ["ZScoreNormalization"]
        return predictor, zscore, max(configuration.patch_size)


def _not_black(image: np.ndarray) -> tuple[slice, slice]:
    """The smallest box that holds all of `image` that is not 0; all of it, if everything is."""
    filled = [np.flatnonzero((image > 0).any(axis=axis)) for axis in (1, 0)]
    return tuple(slice(f[0], f[-1] + 1) if f.size else slice(None) for f in filled)
