"""Adversarial training: its steps, the measurement after an epoch, and the whole of it."""

import inspect
import math
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from copy import deepcopy
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.optim.swa_utils import get_ema_multi_avg_fn

from drgan_lib.config import Experiment
from drgan_lib.digest import code_behind
from drgan_lib.errors import DrganError
from drgan_lib.files import require_free_space
from drgan_lib.gan import checkpoint
from drgan_lib.gan.features import Features, choose_features, frechet_distance, kid, spread
from drgan_lib.gan.history import write_history
from drgan_lib.gan.networks import Generator, Log
from drgan_lib.gan.objectives import choose_objective
from drgan_lib.hardware import choose_device
from drgan_lib.scene import Layout, Renderer
from drgan_lib.scene.detector import share_of_white
from drgan_lib.store import Store, point

# Streams of random numbers: no two uses share a seed.
INITIALISATION, ORDER, SAMPLE, EVALUATION = range(4)
TIMED = ("seconds_render", "seconds_objective", "seconds_features")
STATE = ("generator", *checkpoint.RESUME_KEYS)


class TrainingError(DrganError, RuntimeError):
    """Training that cannot go on; the message names epoch and iteration."""


def derive_seed(*path: int) -> int:
    """A 32-bit seed for one draw from (seed, stream, epoch, iteration), without any stored state."""
    return int(np.random.SeedSequence(path).generate_state(1)[0])


class Trainer:
    """The generator of one experiment, its optimiser and its objective, and the steps that move them.

    Steps move the weights of `trained`; `generator` has their running mean, which is what is measured and kept.
    """

    def __init__(self, exp: Experiment, images: np.ndarray, renderer: Renderer, layouts: Sequence[Layout]):
        settings = exp.profile.gan
        self.exp, self.renderer, self.layouts = exp, renderer, layouts
        self.device = choose_device()
        self.seconds = dict.fromkeys(TIMED, 0.0)
        self.images = torch.from_numpy(images).to(self.device)
        with torch.random.fork_rng():
            torch.manual_seed(derive_seed(exp.seed, INITIALISATION))
            self.trained = Generator(exp.material, settings).to(self.device)
            self.trained.white.fill_(share_of_white(images))
            self.objective = choose_objective(settings, self.images)
        self.generator = deepcopy(self.trained).to(self.device)
        self.average = get_ema_multi_avg_fn(settings.averaging)
        adam = partial(torch.optim.Adam, betas=settings.betas, fused=True)
        self.optimiser_generator = adam(self.trained.parameters(), lr=settings.lr_generator)

    def epoch(self, epoch: int) -> dict[str, float]:
        """Trains on `epoch_size` real patches, `batch_size` at a time; means over the steps of what the objective says.

        The numbers stay on the device until the end, where `TrainingError` names the first that is not finite.
        """
        rng = np.random.default_rng(derive_seed(self.exp.seed, ORDER, epoch))
        patches, pool = (self._in_turn(len(source), rng) for source in (self.images, self.layouts))
        turns, mirrored = rng.integers(4, size=len(patches)), rng.integers(2, size=len(patches))
        if "line_noise" in self.generator.names:
            turns -= turns % 2  # scan lines stay rows
        rows, size = [], self.exp.profile.gan.batch_size
        for start in range(0, len(patches), size):
            numbers = range(start, min(start + size, len(patches)))
            real = [torch.rot90(self.images[patches[i]], int(turns[i])) for i in numbers]
            real = [image.flip(1) if mirrored[i] else image for i, image in zip(numbers, real, strict=True)]
            seeds = [derive_seed(self.exp.seed, SAMPLE, epoch, i) for i in numbers]
            rows.append(self.step(torch.stack(real)[:, None], [self.layouts[pool[i]] for i in numbers], seeds=seeds))
        values = torch.stack(rows).cpu()
        self._require_finite(values, epoch)
        return dict(zip(self.objective.means, values.mean(dim=0).tolist(), strict=False))

    @property
    def epoch_size(self) -> int:
        """Images of an epoch: every real patch once; again where there are more layouts than patches."""
        return max(len(self.images), len(self.layouts))

    def _in_turn(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """int [epoch_size]: each of `n` things once, in random order, before the first comes again."""
        rounds = -(-self.epoch_size // n)
        return np.concatenate([rng.permutation(n) for _ in range(rounds)])[: self.epoch_size]

    def step(self, real: Tensor, layouts: Sequence[Layout], *, seeds: Sequence[int]) -> Tensor:
        """One step of the generator, and what the objective learns of `real` [b, 1, h, w] and an image of each layout.

        Returns the means of the objective, then the norm of the generator's gradient, on the device.
        """
        with self._clock("render"):
            images, _ = self.trained.sample(self.renderer, layouts, seeds=seeds)
        if images.shape != real.shape:
            raise TrainingError(
                f"expected renders of the patches' size {tuple(real.shape[2:])}, got {tuple(images.shape[2:])}; "
                "set scene.size_px and patches.size_px to the same size"
            )
        with self._clock("objective"):
            image_gradient, means = self.objective.judge(images, real)
        with self._clock("render"):
            self.optimiser_generator.zero_grad(set_to_none=True)
            images.backward(image_gradient)
            weights = list(self.trained.parameters())
            gradients = [p.grad for p in weights if p.grad is not None]
            self.optimiser_generator.step()
            self.average(list(self.generator.parameters()), weights, None)
            return torch.cat([means, torch.nn.utils.get_total_norm(gradients)[None]])

    @contextmanager
    def _clock(self, name: str) -> Iterator[None]:
        """Adds the wall time of a block to `seconds`; on a GPU, which works on behind, only roughly right."""
        began = time.perf_counter()
        yield
        self.seconds[f"seconds_{name}"] += time.perf_counter() - began

    def _require_finite(self, values: Tensor, epoch: int) -> None:
        """Raises `TrainingError` for the first of `values` [steps, n], those of `step`, that is not a number."""
        wrong = (~values.isfinite()).nonzero()
        if len(wrong):
            step, which = wrong[0].tolist()
            name = (*self.objective.means, "gradient_of_the_generator")[which].replace("_", " ")
            raise TrainingError(
                f"{name} is {values[step, which].item()} at epoch {epoch}, iteration {step + 1}; the checkpoints "
                "of the epochs before are kept. Look for parameter bounds that the renderer cannot serve, or lower "
                "gan.lr_generator and gan.lr_discriminator in a new run"
            )

    @torch.no_grad()
    def evaluate(self, features: Features, real_features: np.ndarray) -> tuple[dict[str, float], Tensor]:
        """Distances of `epoch_size` synthetic patches, parameter spread, and positions [n, n_parameters].

        Seeds are the same after every epoch: only the generator differs. Images are rounded to 8 bit, as real ones are.
        """
        images, positions, size = [], [], self.exp.profile.gan.batch_size
        for start in range(0, self.epoch_size, size):
            numbers = range(start, min(start + size, self.epoch_size))
            seeds = [derive_seed(self.exp.seed, EVALUATION, 0, k) for k in numbers]
            with self._clock("render"):
                layouts = [self.layouts[k % len(self.layouts)] for k in numbers]
                some, parameters = self.generator.sample(self.renderer, layouts, seeds=seeds)
            images.append((some[:, 0] * 255).round().byte())
            positions.append(self.generator.to_positions(parameters))
        with self._clock("features"):
            synthetic = features.extract(torch.cat(images) / 255)
        positions = torch.cat(positions).cpu()
        mean, error = kid(real_features, synthetic, seed=derive_seed(self.exp.seed, EVALUATION, 1))
        fd, breadth = frechet_distance(real_features, synthetic), spread(positions.numpy())
        return {"fd": fd, "kid": mean, "kid_std": error, "spread": breadth}, positions


def train(
    exp: Experiment,
    images: np.ndarray,
    renderer: Renderer,
    layouts: Sequence[Layout],
    folder: Path,
    *,
    reference: np.ndarray | None = None,
    store: Store | None = None,
    executor: Executor | None = None,
    log: Log = print,
    stop_after: int | None = None,
) -> pd.DataFrame:
    """Trains the experiment's GAN; writes history.csv and learned.csv into `folder` and returns the former.

    `images` are the real patches, float32 [n, h, w] in [0, 1], `reference` those of them that distances are taken to,
    by default all; `layouts` the pool that layouts are drawn from, made
    ready by workers of the `executor`, if there is one; `log` gets a line per epoch; `stop_after` ends this call after
    that epoch. Checkpoints lie in `folder`/checkpoints or, with a `store`, in the folder of this training there, to
    which that is a link. A training that was interrupted, or is asked for more epochs, goes on from its last complete
    epoch. It draws the same random numbers as an uninterrupted one, so it gives the same losses and weights.

    The history has a row per epoch from 0 (untrained) to the last that the settings ask for. Of the wall time of an
    epoch, `seconds`, three columns are parts; `seconds_preparation` came before it.

    Raises `TrainingError` for unusable input and for losses that are not finite, `CheckpointError` for checkpoints of
    another run, `FeatureError` for features that cannot be had, `OSError` for too little space on the disk.
    """
    images = np.ascontiguousarray(images, dtype=np.float32)
    if images.ndim != 3 or len(images) < 2 or len(layouts) == 0:
        raise TrainingError(
            f"expected at least 2 training patches [n, h, w] and 1 layout, got {images.shape} and {len(layouts)}; "
            "run chapters 01 and 02 first"
        )
    settings, checkpoints = exp.profile.gan, folder / "checkpoints"
    same = checkpoint.identity(exp, images, layouts, renderer.ground)
    if store is not None:
        code = code_behind(__file__, inspect.getfile(type(renderer)))
        point(checkpoints, store.folder("training", same | {"code": code}))
    trainer = Trainer(exp, images, renderer, layouts)
    n_bytes = 4 * sum(p.numel() for net in (trainer.trained, trainer.objective) for p in net.parameters())
    require_free_space(checkpoints, 4 * 3 * n_bytes + 2**20 * settings.epochs, "GAN training")

    last = checkpoint.newest(checkpoints, same, log)
    earlier = last["record"]["features"] if last else None
    features = choose_features(settings, earlier=earlier, device=trainer.device, log=log)
    if earlier not in (None, features.name):
        raise checkpoint.CheckpointError(
            f"{checkpoints} holds epochs measured with {earlier}, and {features.name} was asked for; set gan.features "
            "back, or use another folder"
        )
    start, end = 0, settings.epochs if stop_after is None else min(stop_after, settings.epochs)
    if last:
        for name in STATE:
            getattr(trainer, name).load_state_dict(last[name])
        start = last["epoch"] + 1
        log(f"resuming after epoch {last['epoch']} of {settings.epochs}")
    if start <= end:
        real_features = features.extract(images if reference is None else reference)
        began = time.perf_counter()
        renderer.prepare(layouts, executor=executor, log=log)
        preparation = time.perf_counter() - began
    for epoch in range(start, end + 1):
        began = time.perf_counter()
        trainer.seconds = dict.fromkeys(TIMED, 0.0)
        losses = trainer.epoch(epoch) if epoch else dict.fromkeys(trainer.objective.means, math.nan)
        distances, positions = trainer.evaluate(features, real_features)
        record = {
            "epoch": epoch,
            **losses,
            "features": features.name,
            **distances,
            "seconds": time.perf_counter() - began,
            **trainer.seconds,
            "seconds_preparation": preparation if epoch == start else 0.0,
        }
        content = {"identity": same, "epoch": epoch, "record": record, "positions": positions}
        checkpoint.save(checkpoints, content | {name: getattr(trainer, name).state_dict() for name in STATE})
        write_history(exp, folder, checkpoints)
        means = ", ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in losses.items())
        log(
            f"epoch {epoch}/{settings.epochs}: {means if epoch else 'untrained'}; "
            f"{features.name} {distances['fd']:.2f}, kernel distance {distances['kid']:.4f} ± "
            f"{distances['kid_std']:.4f}, spread {distances['spread']:.3f}; {record['seconds']:.1f} s"
        )
    return write_history(exp, folder, checkpoints)
