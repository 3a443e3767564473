"""The annotated set in the store: found there, made where it is missing, grown when more images are asked for."""

import hashlib
import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from drgan_lib.config import Experiment, user_files
from drgan_lib.digest import PACKAGE, code_behind, file_digest
from drgan_lib.errors import DrganError
from drgan_lib.executors import outcomes
from drgan_lib.files import atomic_path, read_json, remove_abandoned, require_free_space, write_json
from drgan_lib.metric import Metric, write_metrics
from drgan_lib.samples import (
    Sample,
    SampleSet,
    open_samples,
    read_shard,
    shard_length,
    write_coco,
    write_shard,
)
from drgan_lib.scene.meshes import meshes_digest
from drgan_lib.shared import Shared
from drgan_lib.store import Store, point
from drgan_lib.synthesis.attempt import annotate

# Images of a task and of a folder: seconds of work, so that starting a task costs next to nothing and a lost worker
# little; 10^6 images are 16,000 folders, and a hundred workers finish within a per cent of each other.
SHARD = 64


class SynthesisError(DrganError, RuntimeError):
    """The annotated set cannot be made or used; the message says what was found and what to do."""


def synthesize(
    exp: Experiment,
    generator,
    renderer,
    store: Store,
    *,
    folder: Path | None = None,
    executor: Executor | None = None,
    log: Callable = print,
) -> SampleSet:
    """The `synthesis.n_images` annotated images of `generator`, of which those that `store` lacks are made.

    The set is named by all that its images depend on, see `identity`; asking for more of the same goes on from those
    that are there, and a shard of which a file is lost or was cut off is made again. Samples are those of `annotate`;
    their `provenance` has `rejected`, the number of rejected attempts by reason. `folder`, a folder of results, gets
    the link `samples` to the set, by which `load_synthetic` finds it.

    With an `executor` (see `drgan_lib.executors`) its workers make the images and write them, a shard each. What was
    written stands, whatever is lost: a worker, the scheduler, or this process.

    Raises `SynthesisError` if a shard needs more than `synthesis.max_attempts_per_image` attempts per image (what one
    image leaves, later ones of its shard may use), `OSError` before any work if the disk is full.
    """
    n_images = exp.profile.synthesis.n_images
    place = store.folder("synthetic", identity(exp, generator, renderer))
    require_free_space(place, 3 * exp.material.scene.size_px**2 * n_images, "the annotated set")
    remove_abandoned(place)
    parts = (range(start, min(start + SHARD, n_images)) for start in range(0, n_images, SHARD))
    missing = [part for part in parts if shard_length(place, part.start) < len(part)]
    n_there = said = n_images - sum(map(len, missing))
    attempts = accepted = 0
    with Shared((exp, generator, renderer, place), place) as shared:
        for part, future in outcomes(partial(_make_shard, shared), missing, executor):
            made, tried = future.result()
            accepted, attempts, n_there = accepted + made, attempts + tried, n_there + len(part)
            if n_there - said >= n_images / 10 or n_there == n_images:
                said = n_there
                log(f"{n_there} of {n_images} images, {accepted / max(attempts, 1):.0%} of the attempts accepted")
    if folder is not None:
        point(folder / "samples", place)
    return open_samples(place)[:n_images]


def _make_shard(shared: Shared, numbers: range) -> tuple[int, int]:
    """Makes those images `numbers`, the first of a shard, that are missing; how many those are, and the attempts."""
    exp, generator, renderer, place = shared.value
    held = shard_length(place, numbers.start)
    samples = list(read_shard(place, numbers.start)) if held else []
    rejected = rejections(samples)
    before = held + rejected.total()
    try:
        for index in numbers[held:]:
            samples.append(_make(exp, generator, renderer, index, numbers, rejected))
    finally:  # an interruption here loses one image, not a shard
        if len(samples) > held:
            write_shard(place, numbers.start, samples)
    return len(samples) - held, len(samples) + rejected.total() - before


def rejections(samples: Iterable[Sample]) -> Counter[str]:
    """How many attempts at `samples` were rejected, by reason."""
    return sum((Counter(sample.provenance["rejected"]) for sample in samples), Counter())


def identity(exp: Experiment, generator, renderer) -> dict[str, Any]:
    """What the images depend on, besides their number: settings, seed, and digests of the rest.

    Of the code counts what it says, without comments, and only what an image passes through.
    """
    weights = hashlib.sha256()
    for name, tensor in generator.state_dict().items():
        weights.update(name.encode() + np.ascontiguousarray(tensor.detach().cpu().numpy()).tobytes())
    starts = ("gan/networks.py", "scene/detector.py", "synthesis/attempt.py")
    shown = {"name": True, "layout": True, "scene": True, "bounds": True, "dataset": {"pixel_size_nm", "working_scale"}}
    return {
        "seed": exp.seed,
        "material": exp.material.model_dump(mode="json", include=shown, exclude={"layout": {"sizes": {"table"}}}),
        "profile": exp.profile.model_dump(include={"synthesis": {"min_contrast", "spp"}, "gan": {"dropout"}}),
        "generator": weights.hexdigest(),
        "meshes": meshes_digest(renderer.meshes),
        "ground": renderer.ground and renderer.ground.key,
        "code": code_behind(inspect.getfile(type(renderer)), *(PACKAGE / start for start in starts)),
        "files": [file_digest(path) for path in user_files(exp.material)],
        "shard": SHARD,
    }


def _make(exp: Experiment, generator, renderer, index: int, shard: range, rejected: Counter[str]) -> Sample:
    """Image `index`, of the first attempt that is accepted; counts the others into `rejected`, that of its `shard`."""
    most, own = exp.profile.synthesis.max_attempts_per_image, Counter()
    n_before = index - shard.start
    while n_before + rejected.total() < most * (n_before + 1):
        sample, reason = annotate(exp, generator, renderer, index=index, attempt=own.total())
        if sample is not None:
            return replace(sample, provenance={"rejected": dict(own)})
        own[reason] += 1
        rejected[reason] += 1
    attempts = n_before + rejected.total()
    raise SynthesisError(
        f"only {n_before} of the images {shard.start} to {shard.stop - 1} were accepted in {attempts} attempts "
        f"({n_before / attempts:.1%}); the limit is {most} attempts per image. "
        f"Rejected for: {', '.join(f'{reason} ({count})' for reason, count in rejected.items())}. "
        "Against low contrast train the GAN longer or lower synthesis.min_contrast; against no particle in "
        "view raise layout.n_particles or lower layout.field_margin. Or raise synthesis.max_attempts_per_image, or "
        "lower synthesis.n_images: with these two the next run goes on from the accepted images"
    )


def write_summary(samples: SampleSet, folder: Path, exp: Experiment) -> None:
    """Writes what chapter 04 leaves beside the images of `synthesize`.

    `coco.json` has the instances of all `samples`, `parameters.csv` a row per image, `metrics.json` the share of
    attempts that were accepted; `acceptance.json` counts them, with the reasons for the others, and stands for a
    finished set.
    """
    rejected: Counter[str] = Counter()

    def counted() -> Iterator[Sample]:  # on the one way through all images
        for sample in samples:
            rejected.update(sample.provenance["rejected"])
            yield sample

    write_coco(counted(), folder / "coco.json", description=exp.material.title)
    columns = ["image", "seed", "n_particles", "contrast", "attempts", *exp.material.parameters]
    table = samples.table().rename(columns={"name": "image"})[columns]
    with atomic_path(folder / "parameters.csv") as temporary:
        table.to_csv(temporary, index=False)
    accepted, attempts = len(samples), int(table["attempts"].sum())
    needed = f"particles at least {exp.profile.synthesis.min_contrast:.0%} brighter than the background"
    definition = f"images kept / attempts; kept are images with {needed}"
    rate = Metric(accepted / attempts, definition, n=attempts, split="synthetic")
    write_metrics(folder / "metrics.json", {"acceptance_rate": rate})
    counts = {"accepted": accepted, "attempts": attempts, "rate": rate.value, "rejected": dict(rejected)}
    write_json(folder / "acceptance.json", counts)


def load_synthetic(folder: Path) -> SampleSet:
    """The annotated set of a folder of results; `FileNotFoundError` if chapter 04 has not finished there."""
    path = folder / "acceptance.json"
    if not path.is_file():
        raise FileNotFoundError(f"no finished annotated set in {folder}; run stage 04 (synthesis) first")
    return open_samples(folder / "samples")[: read_json(path)["accepted"]]
