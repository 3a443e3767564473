"""nnU-Net's trainer, safe against interruption, and one that is cut to a number of iterations that two cores can do."""

import math
import os
import sys
import time
from collections.abc import Iterator

import numpy as np
import torch
from nnunetv2.training.dataloading.data_loader import nnUNetDataLoader
from nnunetv2.training.lr_scheduler.polylr import PolyLRScheduler
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from drgan_lib.classes import SEAM, SEAM_LABELS
from drgan_lib.hardware import has_bfloat16, map_apart, usable_cores
from drgan_lib.registry import SELF
from drgan_lib.segmentation.graphed import Graphed
from drgan_lib.segmentation.trainers import COMPACT_EPOCH

RATE, DECAY = 5e-3, 1e-2  # of AdamW
AT_SEAMS = 5.0  # how many times as much as others a pixel of a seam counts in the cross-entropy
LEAST_S = 20  # between two checkpoints: a GPU is through an epoch in the time that one takes to write


class AtomicTrainer(nnUNetTrainer):
    """nnU-Net's default trainer in all but one thing: a checkpoint gets its name only when it is whole."""

    def save_checkpoint(self, filename: str) -> None:
        super().save_checkpoint(filename + ".part")
        os.replace(filename + ".part", filename)


class CompactTrainer(AtomicTrainer):
    """Runs the `iterations` that the plans' configuration names under `compact`, from its `seed`.

    Augmentation, Dice loss, deep supervision and foreground oversampling stay nnU-Net's own. Different are the weight
    of seams in the cross-entropy (after Ronneberger et al., MICCAI 2015), the length, the optimizer (AdamW, Loshchilov
    and Hutter, ICLR 2019: at a rate of .002 it is in 1,000 iterations where SGD with nnU-Net's momentum, the memory of
    which is 100 iterations long, is in 2,000), the learning rate (nnU-Net's polynomial, but stepped per iteration),
    bfloat16, a step that a GPU replays and a processor divides by images, a seed, no plots, and checkpoints after
    epochs of 50 iterations.
    From the checkpoint of a shorter training it goes on with the iteration after its last.
    """

    saved = -math.inf  # when the last checkpoint was

    def __init__(
        self,
        plans: dict,
        configuration: str,
        fold: int | str,
        dataset_json: dict,
        device: torch.device = torch.device("cuda"),  # noqa: B008  (nnU-Net's signature)
    ):
        super().__init__(plans, configuration, fold, dataset_json, device)
        settings = self.configuration_manager.configuration["compact"]
        self.iterations: int = settings["iterations"]
        self.seed: int = settings["seed"]
        self.trained = 0  # iterations that a checkpoint brought
        self.num_epochs = math.ceil(self.iterations / COMPACT_EPOCH)
        self.num_val_iterations_per_epoch = 1  # for the log only
        self.save_every = 1
        torch.set_num_threads(1)
        self._threads = min(usable_cores(), self.configuration_manager.batch_size) if device.type == "cpu" else 1
        self._map = map_apart(self._threads)
        self.bfloat16, self._graph = has_bfloat16(device), None
        self.logger.plot_progress_png = lambda folder: None  # it takes a tenth of the time; chapter 05 plots the log
        seed_all(self.seed, 0)

    def _build_loss(self):
        loss = super()._build_loss()
        seams = torch.tensor([number > SEAM for number in SEAM_LABELS.values()])
        weights = torch.where(seams, AT_SEAMS, 1.0)[: self.label_manager.num_segmentation_heads]
        loss.loss.ce.weight = weights.to(self.device)
        return loss

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.network.parameters(), RATE, weight_decay=DECAY, fused=True)
        return optimizer, PolyLRScheduler(optimizer, RATE, self.iterations / COMPACT_EPOCH)

    def load_checkpoint(self, filename_or_checkpoint: dict | str) -> None:
        own = self.my_init_kwargs
        super().load_checkpoint(filename_or_checkpoint)
        plans, self.my_init_kwargs = self.my_init_kwargs["plans"], own  # those that the checkpoint was made with
        before = plans["configurations"][self.configuration_name]["compact"]["iterations"]
        self.trained = min(COMPACT_EPOCH * self.current_epoch, before)
        self.current_epoch = self.trained // COMPACT_EPOCH  # again, if the shorter training ended within it

    def get_dataloaders(self) -> tuple[Iterator[dict], Iterator[dict]]:
        """nnU-Net's batches, in order; those to train on are drawn by other processes, where a core is left for one."""
        train, validation = (augmenter.data_loader for augmenter in super().get_dataloaders())
        own = np.array([name.startswith(SELF) for name in train.indices])
        if own.any():  # as often as all others together
            train.sampling_probabilities = np.where(own, 0.5 / own.sum(), 0.5 / max(1, (~own).sum()))
        left = usable_cores() - 1
        processes = 0 if sys.platform == "darwin" else left if self.device.type == "cuda" else min(1, left)
        epochs = range(self.current_epoch, self.num_epochs)
        return (
            in_order(Batches(train, self.seed, 1), range(self.trained, self.iterations), processes),
            in_order(Batches(validation, self.seed, 2), epochs, 0),
        )

    def on_train_epoch_start(self) -> None:
        super().on_train_epoch_start()
        self._iteration = max(COMPACT_EPOCH * self.current_epoch, self.trained)
        end = min(COMPACT_EPOCH * (self.current_epoch + 1), self.iterations)
        self.num_iterations_per_epoch = end - self._iteration

    def train_step(self, batch: dict) -> dict:
        self.lr_scheduler.step(self._iteration / COMPACT_EPOCH)
        self._iteration += 1
        tensors = [tensor.to(self.device, non_blocking=True) for tensor in (batch["data"], *batch["target"])]
        if self.device.type == "cuda" and self._graph is None:
            self._graph = Graphed(self._backward, *tensors)
        loss = (self._graph or self._backward)(*tensors)
        self.optimizer.step()
        return {"loss": loss}

    def _backward(self, data: Tensor, *target: Tensor) -> Tensor:
        """The loss of a batch; leaves its gradients, clipped as nnU-Net does."""
        weights = list(self.network.parameters())
        outputs = list(self._map(self._forward, data.chunk(self._threads)))
        with torch.no_grad():
            joined = [torch.cat(scale).requires_grad_() for scale in zip(*outputs, strict=True)]
        loss = self.loss(joined, list(target))
        slopes = torch.autograd.grad(loss, joined, materialize_grads=True)
        shares = zip(*(slope.chunk(self._threads) for slope in slopes), strict=True)
        parts = self._map(lambda output, share: torch.autograd.grad(output, weights, share), outputs, shares)
        for weight, *gradients in zip(weights, *parts, strict=True):
            weight.grad = sum(gradients[1:], start=gradients[0])
        torch.nn.utils.clip_grad_norm_(weights, 12, foreach=True)
        return loss.detach()

    def _forward(self, images: Tensor) -> list[Tensor]:
        """What the network makes of images, at each scale, in single precision."""
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.bfloat16, cache_enabled=False):
            return [scale.float() for scale in self.network(images)]

    def on_train_epoch_end(self, train_outputs: list[dict]) -> None:
        losses = torch.stack([output["loss"] for output in train_outputs]).cpu()  # a GPU was not waited for till now
        super().on_train_epoch_end([{"loss": loss} for loss in losses.numpy()])

    def save_checkpoint(self, filename: str) -> None:
        name = os.path.basename(filename)
        # The score of the best comes from one batch of training images: no ground to prefer an epoch.
        if name == "checkpoint_best.pth" or (name == "checkpoint_latest.pth" and time.time() < self.saved + LEAST_S):
            return
        super().save_checkpoint(filename)
        self.saved = time.time()

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        """Nothing: the test micrographs judge the network; predicting the training set costs minutes."""


class Batches(Dataset):
    """Augmented batches by number. Each depends on `seed`, `kind` (what it is for) and its number alone: a resumed
    training, or one on another device, sees the same ones.
    """

    def __init__(self, loader: nnUNetDataLoader, seed: int, kind: int):
        self.loader, self.seed, self.kind = loader, seed, kind

    def __getitem__(self, number: int) -> dict:
        seed_all(self.seed, self.kind, number)
        return next(self.loader)


def in_order(batches: Dataset, numbers: range, processes: int) -> Iterator[dict]:
    """The batches of these numbers, drawn ahead by so many processes, or here when they are asked for (0)."""
    return iter(
        DataLoader(
            batches,
            batch_size=None,
            sampler=numbers,
            num_workers=processes,
            multiprocessing_context="fork" if processes else None,  # nnU-Net finds this module outside of any package
            pin_memory=torch.cuda.is_available(),
        )
    )


def seed_all(*words: int) -> None:
    """Seeds the global generators of PyTorch and NumPy: nnU-Net and its augmentation draw from both."""
    for_torch, for_numpy = np.random.SeedSequence(words).generate_state(2)
    torch.manual_seed(int(for_torch))
    np.random.seed(for_numpy)  # noqa: NPY002
