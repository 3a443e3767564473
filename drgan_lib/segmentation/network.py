"""A trained network of nnU-Net, in this process: from an image to classes and instances, all in memory."""

from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from drgan_lib.classes import SEAM_LABELS
from drgan_lib.digest import digest, file_digest
from drgan_lib.files import read_json
from drgan_lib.hardware import choose_device, has_bfloat16
from drgan_lib.segmentation.instances import BorderCore, ClassMap, border_core, of_probabilities, plain
from drgan_lib.segmentation.segmenter import ClassSegmenter, Rule, SegmentationError
from drgan_lib.segmentation.tiles import apply_windows, label_windows

MIRROR_PX, OVERLAP_PX = 32, 256
STEP, COMPACT_STEP = 0.5, 0.75  # between tiles, of their size
BATCH_PX = 8 * 128**2  # of the tiles that pass through a compact network at once: half the time of one by one
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

    def __getstate__(self) -> dict[str, Any]:
        """All but what is loaded on the first call, so that a worker can have it."""
        return {name: value for name, value in vars(self).items() if name != "_loaded"}

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
        _, zscore, patch = self._loaded
        pixels = np.round(image * FULL_SCALE).astype(np.float32)
        inside = np.pad(pixels, MIRROR_PX, mode="symmetric")
        inside = inside[_not_black(inside)]
        origin = inside.mean() if zscore else inside.min()
        scale = inside.std() if zscore else inside.max() - origin

        def classes(part: np.ndarray) -> np.ndarray:
            found = of_probabilities(self._probabilities(part, origin, max(scale, SMALLEST_SCALE)))
            return np.stack([found.classes, found.particle, found.border])

        classes, particle, border = apply_windows(pixels, classes, overlap_px=max(OVERLAP_PX, *patch))
        return ClassMap(classes.astype(np.uint8), particle, border)

    def _probabilities(self, pixels: np.ndarray, origin: np.float32, scale: np.float32) -> np.ndarray:
        """Probabilities float32 [c, h, w]; what is black outside of a box that holds all the rest is background."""
        nets, _, patch = self._loaded
        height, width = pixels.shape
        to_patch = [(0, max(0, max(patch) - n)) for n in pixels.shape]  # nnU-Net would fill it up with gray
        padded = np.pad(np.pad(pixels, to_patch, mode="symmetric"), MIRROR_PX, mode="symmetric")
        box = _not_black(padded)
        data = padded[box] - origin
        data /= scale
        short = [(0, max(0, n - m)) for n, m in zip(patch, data.shape, strict=True)]
        logits = sliding_window(nets, torch.from_numpy(np.pad(data, short)), patch, compact=self._compact)
        logits = logits[:, : data.shape[0], : data.shape[1]]
        probabilities = np.zeros((len(logits), *padded.shape), np.float32)
        probabilities[0] = 1
        probabilities[:, *box] = torch.softmax(logits.float(), 0).numpy()
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

    @property
    def _compact(self) -> bool:
        return any(self.folder.glob("nnUNet_results/*/Compact*"))

    @cached_property
    def _loaded(self) -> tuple[list[nn.Module], bool, tuple[int, int]]:
        """The network of each fold, whether gray levels become z-scores, and height and width of a patch."""
        # Imported late: it takes seconds.
        from nnunetv2.utilities.get_network_from_plans import get_network_from_plans

        folds = list(self._checkpoints().values())
        (place,) = self.folder.glob("nnUNet_results/*/*")
        plans, dataset = read_json(place / "plans.json")["configurations"], read_json(place / "dataset.json")
        plan = plans[folds[0]["init_args"]["configuration"]]
        plan = plans.get(plan.get("inherits_from"), {}) | plan
        design, networks = plan["architecture"], []
        for fold in folds:
            network = get_network_from_plans(
                design["network_class_name"],
                design["arch_kwargs"],
                design["_kw_requires_import"],
                input_channels=1,
                output_channels=len(dataset["labels"].keys() - {"ignore"}),
                allow_init=False,
                deep_supervision=False,
            )
            network.load_state_dict(fold["network_weights"])
            networks.append(network.eval().to(choose_device()))
        return networks, plan["normalization_schemes"] == ["ZScoreNormalization"], tuple(plan["patch_size"])


@torch.inference_mode()
def sliding_window(networks: Sequence[nn.Module], data: Tensor, patch: tuple[int, int], *, compact: bool) -> Tensor:
    """Logits [c, h, w] of normalised gray levels, float32 [h, w], no smaller than `patch`: mean of the `networks`.

    As nnU-Net's predictor: tiles of the size of a patch, with Gaussian weights, each the mean of its mirrored copies;
    `compact` networks see no copies, and longer steps, several tiles at once. (The predictor itself takes ten seconds
    to import.)
    """
    from nnunetv2.inference.sliding_window_prediction import compute_gaussian, compute_steps_for_sliding_window

    device = next(networks[0].parameters()).device
    weight = compute_gaussian(patch, value_scaling_factor=10, device=device)
    places = product(*compute_steps_for_sliding_window(data.shape, patch, COMPACT_STEP if compact else STEP))
    windows = [np.s_[row : row + patch[0], column : column + patch[1]] for row, column in places]
    at_once = max(1, BATCH_PX // (patch[0] * patch[1])) if compact else 1
    mirrored = [()] if compact else [(), (2,), (3,), (2, 3)]
    bfloat16 = compact and device.type == "cpu" and has_bfloat16(device)
    kind = torch.bfloat16 if device.type == "cpu" else torch.float16
    of_networks = []
    with torch.autocast(device.type, dtype=kind, enabled=bfloat16 or device.type == "cuda"):
        for network in networks:
            logits, total = None, torch.zeros(data.shape, dtype=torch.half, device=device)
            for k in range(0, len(windows), at_once):
                some = windows[k : k + at_once]
                tiles = torch.stack([data[window] for window in some])[:, None].to(device)
                found = network(tiles)
                for axes in mirrored[1:]:
                    found += torch.flip(network(torch.flip(tiles, axes)), axes)
                found = found.div_(len(mirrored)).mul_(weight)
                if logits is None:
                    logits = torch.zeros((found.shape[1], *data.shape), dtype=torch.half, device=device)
                for window, tile in zip(some, found, strict=True):
                    logits[:, *window] += tile
                    total[window] += weight
            of_networks.append((logits / total).cpu())
    return sum(of_networks[1:], start=of_networks[0]) / len(of_networks)


def _not_black(image: np.ndarray) -> tuple[slice, slice]:
    """The smallest box that holds all of `image` that is not 0; all of it, if everything is."""
    filled = [np.flatnonzero((image > 0).any(axis=axis)) for axis in (1, 0)]
    return tuple(slice(f[0], f[-1] + 1) if f.size else slice(None) for f in filled)
