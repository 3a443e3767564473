"""All models of a run, one after the other: trained, tuned, and shown the test micrographs."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from drgan_lib.config import Experiment
from drgan_lib.data.overlays import covered
from drgan_lib.digest import code_behind
from drgan_lib.executors import Shared, outcomes
from drgan_lib.files import read_json, write_json
from drgan_lib.registry import split_arm
from drgan_lib.samples import Sample, SampleSet, open_samples, write_samples, write_shard
from drgan_lib.segmentation.model import Model, models_of, place_of
from drgan_lib.segmentation.network import Network
from drgan_lib.segmentation.segmenter import Segmenter, make_segmenter, segment_by_rules
from drgan_lib.store import Store

if TYPE_CHECKING:
    from drgan_lib.synthesis.sources import Origin


def segment(
    exp: Experiment,
    truth: SampleSet,
    origin: Origin,
    folder: str | Path,
    store: Store,
    *,
    executor: Executor | None = None,
    log: Callable[[str], None] = print,
) -> Path:
    """Makes every model of `segmentation.arms` and segments the test micrographs `truth`; returns `folder`.

    Networks lie in the `store`. Written to `folder` are `truth` (with instances, where there is a mask) and, for each
    model, `predictions/ARM/seedN/RULE`, both sample sets of 16 bits, and `models/ARM/seedN/model.json` of each network.
    The instances of `truth` are copied, but for where text is burnt in, and nothing else is made of them. Workers of an
    `executor` show micrographs to a model, if there is one; training stays here. What an interrupted call finished
    stands. Raises `SegmentationError` for an unusable training set and when nnU-Net fails or is killed.
    """
    # Imported late: the renderer comes with it.
    from drgan_lib.synthesis.sources import training_samples

    folder = Path(folder).absolute()
    shutil.rmtree(folder / "truth", ignore_errors=True)
    truth = write_samples(folder / "truth", truth.map(_without_text), bits=16)
    models = models_of(exp)
    write_json(folder / "models.json", models)
    shutil.rmtree(folder / "models", ignore_errors=True)  # until they are known to be those of these settings
    trained_nm = exp.material.dataset.pixel_size_nm
    if trained_nm is None and len(origin.micrographs):
        trained_nm = origin.micrographs[0].pixel_size_nm
    samples: dict[str, SampleSet] = {}
    for number, (arm, seed) in enumerate(models, 1):
        log(f"model {number} of {len(models)}: {arm}, seed {seed}")
        if arm not in samples:
            samples = {arm: training_samples(arm, origin)}
        segmenter = make_segmenter(split_arm(arm)[1], exp, store).fit(samples[arm], seed=seed, log=log)
        _predict(segmenter, truth, folder / "truth", place_of(folder, "predictions", arm, seed), executor)
        if isinstance(segmenter, Network):
            network, shape = Network(segmenter.folder, segmenter.border_core), exp.material.meshes.shape
            model = Model(network, arm, seed, trained_nm, shape, exp.material.min_area_px)
            model.save(place_of(folder, "models", arm, seed))
    return folder


def _without_text(sample: Sample) -> Sample:
    """`sample` without instances where text is burnt in, as in predictions."""
    if sample.instances is None:
        return sample
    hidden = covered(sample.provenance.get("overlays", ()), sample.image.shape)
    return replace(sample, instances=np.where(hidden, 0, sample.instances))


def _predict(segmenter: Segmenter, truth: SampleSet, stored: Path, place: Path, executor: Executor | None) -> None:
    """Segments all images of `truth`, which is `stored`, unless segmenter, images and code are those of last time."""
    identity, mark = getattr(segmenter, "identity", None), place / "made_from.json"
    images = hashlib.sha256()
    for sample in truth:
        images.update(f"{sample.name} {sample.image.shape} {sample.pixel_size_nm}".encode() + sample.image.tobytes())
    made_from = {"segmenter": identity, "images": images.hexdigest(), "code": code_behind(__file__)}
    if identity is not None and mark.is_file() and read_json(mark) == made_from:
        return
    shutil.rmtree(place, ignore_errors=True)
    with Shared((segmenter, stored, place), stored) as shared:
        for _, future in outcomes(partial(_predict_one, shared), range(len(truth)), executor):
            future.result()
    write_json(mark, made_from)


def _predict_one(shared: Shared, k: int) -> None:
    """Segments image `k`; its prediction by each rule is a shard of its own."""
    segmenter, stored, place = shared.value
    sample = open_samples(stored)[k]
    hidden = covered(sample.provenance.get("overlays", ()), sample.image.shape)
    for rule, (labels, confidence) in segment_by_rules(segmenter, sample.image, hidden).items():
        write_shard(place / rule, k, [replace(sample, instances=labels, confidence=confidence)], bits=16)
