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
from scipy.ndimage import binary_dilation

from drgan_lib.config import Experiment
from drgan_lib.data.overlays import covered
from drgan_lib.digest import code_behind
from drgan_lib.executors import outcomes
from drgan_lib.files import read_json, write_json
from drgan_lib.registry import SELF, split_arm
from drgan_lib.samples import Sample, SampleSet, open_samples, write_samples, write_shard
from drgan_lib.segmentation.model import Model, models_of, place_of
from drgan_lib.segmentation.network import Network
from drgan_lib.segmentation.own import learn_from_own, require_two
from drgan_lib.segmentation.segmenter import Segmenter, make_segmenter, segment_by_rules
from drgan_lib.shared import Shared
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
    The instances of `truth` are copied, but for what cannot be judged, and nothing else is made of them: where text is
    burnt in, and in the true particles that it cuts, neither side has an instance, nor has the prediction one of which
    more than half lies there (as in the void regions of Kirillov et al., CVPR 2019). Networks learn and see images at
    the working resolution; all that is written has the pixels of `truth`. Workers of an `executor` show micrographs to
    a model, if there is one; training stays here. What an interrupted call finished stands. Raises `SegmentationError`
    for an unusable training set and when nnU-Net fails or is killed.
    """
    # Imported late: the renderer comes with it.
    from drgan_lib.synthesis.sources import training_samples

    folder, models = Path(folder).absolute(), models_of(exp)
    if any(SELF in split_arm(arm)[0] for arm, _ in models):
        require_two(origin)
    shutil.rmtree(folder / "truth", ignore_errors=True)
    unjudged = [_unjudged(sample) for sample in truth]
    judged = SampleSet(len(truth), lambda k: _without(truth[k], unjudged[k]))
    judged = write_samples(folder / "truth", judged, bits=16)
    write_json(folder / "models.json", models)
    shutil.rmtree(folder / "models", ignore_errors=True)  # until they are known to be those of these settings
    trained_nm, scale = exp.material.dataset.pixel_size_nm, exp.material.dataset.working_scale
    if trained_nm is None and len(origin.micrographs) and (working_nm := origin.micrographs[0].pixel_size_nm):
        trained_nm = working_nm * scale
    look = partial(_predict, truth=judged, stored=folder / "truth", unjudged=unjudged, scale=scale, executor=executor)
    samples: dict[str, SampleSet] = {}
    for number, (arm, seed) in enumerate(models, 1):
        log(f"model {number} of {len(models)}: {arm}, seed {seed}")
        if arm not in samples:
            samples = {arm: training_samples(arm, origin)}
        sources, name = split_arm(arm)
        segmenter = make_segmenter(name, exp, store).fit(samples[arm], seed=seed, log=log)
        if SELF in sources:
            segmenter = learn_from_own(segmenter, samples[arm], origin, store, seed=seed, executor=executor, log=log)
        look(segmenter, place_of(folder, "predictions", arm, seed))
        if isinstance(segmenter, Network):
            network, shape = Network(segmenter.folder, segmenter.border_core), exp.material.meshes.shape
            model = Model(network, arm, seed, trained_nm, shape, exp.material.min_area_px, scale)
            model.save(place_of(folder, "models", arm, seed))
    return folder


def _unjudged(sample: Sample) -> np.ndarray:
    """bool [h, w]: where text is burnt in, and the true particles that it cuts, of which nobody sees the whole."""
    hidden = covered(sample.provenance.get("overlays", ()), sample.image.shape)
    if sample.instances is None:
        return hidden
    cut = np.unique(sample.instances[binary_dilation(hidden)])
    return hidden | np.isin(sample.instances, cut[cut > 0])


def _without(sample: Sample, unjudged: np.ndarray) -> Sample:
    return sample if sample.instances is None else replace(sample, instances=np.where(unjudged, 0, sample.instances))


def _predict(
    segmenter: Segmenter,
    place: Path,
    *,
    truth: SampleSet,
    stored: Path,
    unjudged: list[np.ndarray],
    scale: float,
    executor: Executor | None,
) -> None:
    """Segments all images of `truth`, which is `stored`, unless segmenter, images and code are those of last time."""
    identity, mark = getattr(segmenter, "identity", None), place / "made_from.json"
    images = hashlib.sha256()
    for sample, left_out in zip(truth, unjudged, strict=True):
        images.update(f"{sample.name} {sample.image.shape} {sample.pixel_size_nm}".encode() + sample.image.tobytes())
        images.update(np.packbits(left_out).tobytes())
    code = code_behind(__file__, named=True)
    made_from = {"segmenter": identity, "scale": scale, "images": images.hexdigest(), "code": code}
    if identity is not None and mark.is_file() and read_json(mark) == made_from:
        return
    shutil.rmtree(place, ignore_errors=True)
    with Shared((segmenter, stored, place, unjudged, scale), stored) as shared:
        for _, future in outcomes(partial(_predict_one, shared), range(len(truth)), executor):
            future.result()
    write_json(mark, made_from)


def _predict_one(shared: Shared, k: int) -> None:
    """Segments image `k`; its prediction by each rule is a shard of its own."""
    segmenter, stored, place, unjudged, scale = shared.value
    sample = open_samples(stored)[k]
    for rule, (labels, confidence) in segment_by_rules(segmenter, sample.image, unjudged[k], scale).items():
        write_shard(place / rule, k, [replace(sample, instances=labels, confidence=confidence)], bits=16)
