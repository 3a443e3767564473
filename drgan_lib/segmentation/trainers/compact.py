"""nnU-Net's trainer, safe against interruption, and one that is cut to a number of iterations that two cores can do."""

import math
import os
from contextlib import nullcontext

import numpy as np
import torch
from nnunetv2.training.lr_scheduler.polylr import PolyLRScheduler
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from drgan_lib.hardware import has_bfloat16
from drgan_lib.segmentation.trainers import COMPACT_EPOCH


class AtomicTrainer(nnUNetTrainer):
    """nnU-Net's default trainer in all but one thing: a checkpoint gets its name only when it is whole."""

    def save_checkpoint(self, filename: str) -> None:
        super().save_checkpoint(filename + ".part")
        os.replace(filename + ".part", filename)


class CompactTrainer(AtomicTrainer):
    """Runs the `iterations` that the plans' configuration names under `compact`, from its `seed`.

    Augmentation, losses, deep supervision and foreground oversampling stay nnU-Net's own. Different are the length, the
    learning rate (nnU-Net's polynomial, but stepped per iteration), bfloat16 on the CPU, a seed, and checkpoints after
    each epoch of 50 iterations. From the checkpoint of a shorter training it goes on with the iteration after its last.
    """

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
        self.bfloat16 = device.type == "cpu" and has_bfloat16(device)
        self._seed(0)

    def configure_optimizers(self):
        optimizer, _ = super().configure_optimizers()
        return optimizer, PolyLRScheduler(optimizer, self.initial_lr, self.iterations / COMPACT_EPOCH)

    def load_checkpoint(self, filename_or_checkpoint: dict | str) -> None:
        own = self.my_init_kwargs
        super().load_checkpoint(filename_or_checkpoint)
        plans, self.my_init_kwargs = self.my_init_kwargs["plans"], own  # those that the checkpoint was made with
        before = plans["configurations"][self.configuration_name]["compact"]["iterations"]
        self.trained = min(COMPACT_EPOCH * self.current_epoch, before)
        self.current_epoch = self.trained // COMPACT_EPOCH  # again, if the shorter training ended within it

    def on_train_epoch_start(self) -> None:
        super().on_train_epoch_start()
        self._seed(1 + self.current_epoch)
        self._iteration = max(COMPACT_EPOCH * self.current_epoch, self.trained)
        end = min(COMPACT_EPOCH * (self.current_epoch + 1), self.iterations)
        self.num_iterations_per_epoch = end - self._iteration

    def train_step(self, batch: dict) -> dict:
        self.lr_scheduler.step(self._iteration / COMPACT_EPOCH)
        self._iteration += 1
        if self.device.type == "cuda":
            return super().train_step(batch)
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast("cpu", dtype=torch.bfloat16) if self.bfloat16 else nullcontext():
            output = self.network(batch["data"].to(self.device))
        loss = self.loss([scale.float() for scale in output], [t.to(self.device) for t in batch["target"]])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 12)
        self.optimizer.step()
        return {"loss": loss.detach().cpu().numpy()}

    def save_checkpoint(self, filename: str) -> None:
        if os.path.basename(filename) == "checkpoint_best.pth":
            return  # its score comes from one batch of training images: no ground to prefer an epoch
        super().save_checkpoint(filename)

    def perform_actual_validation(self, save_probabilities: bool = False) -> None:
        """Nothing: the test micrographs judge the network; predicting the training set costs minutes."""

    def _seed(self, step: int) -> None:
        # Per epoch, so that a resumed run draws what the uninterrupted one would have drawn.
        numbers = np.random.SeedSequence([self.seed, step]).generate_state(2)
        torch.manual_seed(int(numbers[0]))
        np.random.seed(numbers[1])  # noqa: NPY002  (nnU-Net's data loader draws from NumPy's global state)
