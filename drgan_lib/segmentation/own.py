"""An arm with `self`: a network goes on learning from what it finds in the unannotated training micrographs.

Pseudo-labels as they come teach a network its own errors. So they are taken from several views of a micrograph, only
particles on which the views agree and that look like those it was shown are kept, and the loss ignores what is unknown
(as in Lee, ICML Workshops 2013, and Sohn et al., FixMatch, NeurIPS 2020, who keep what is confident). No mask is used.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING

from drgan_lib.digest import code_behind
from drgan_lib.executors import outcomes
from drgan_lib.registry import SELF
from drgan_lib.samples import Sample, SampleSet, open_samples, write_shard
from drgan_lib.samples.shards import shard_length
from drgan_lib.segmentation.agreement import Prior, agreed, share_agreed, views_of
from drgan_lib.segmentation.nnunet import NnUNet
from drgan_lib.segmentation.raw import content
from drgan_lib.segmentation.segmenter import SegmentationError
from drgan_lib.shared import Shared
from drgan_lib.store import Store

if TYPE_CHECKING:
    from drgan_lib.synthesis.sources import Origin

ROUNDS = 2
HELD_BACK = 4  # the first micrograph, and every fourth after it, is not learned from


def require_two(origin: Origin) -> None:
    """`SegmentationError` for fewer than two training micrographs: one is learned from, one held back."""
    if (n := len(origin.micrographs)) < 2:
        raise SegmentationError(
            f"expected at least 2 training micrographs for an arm with self, one of which is held back, got {n}; add "
            "some, or leave this arm out"
        )


def learn_from_own(
    network: NnUNet,
    samples: SampleSet,
    origin: Origin,
    store: Store,
    *,
    seed: int,
    executor: Executor | None = None,
    log: Callable[[str], None] = print,
) -> NnUNet:
    """The `network`, trained on `samples`, after up to `ROUNDS` further trainings on them and on its own segmentations.

    Each is as long as the first, and goes on from the network before. It counts if the views of the micrographs held
    back agree on a larger share of the pixels of particles than before; if not, the network before it is the last.
    There have to be two training micrographs, see `require_two`.
    """
    # Imported late: the renderer comes with it.
    from drgan_lib.synthesis.sources import real_patches

    def patches(network: NnUNet, numbers: list[int]) -> SampleSet:
        found = real_patches(replace(origin, micrographs=_agreed(network, prior, unmasked[numbers], store, executor)))
        return found.map(lambda sample: replace(sample, name=f"{SELF}_{sample.name}"))

    prior = Prior.of(samples, min_area=network.min_area_px)
    unmasked = origin.micrographs.map(lambda sample: replace(sample, instances=None))
    held = [k for k in range(len(unmasked)) if k % HELD_BACK == 0]
    learned = [k for k in range(len(unmasked)) if k % HELD_BACK]
    iterations, share = network.settings.iterations, share_agreed(patches(network, held))
    log(f"self: views agree on {share:.1%} of the pixels of particles")
    for number in range(1, ROUNDS + 1):
        further = network.go_on(samples, patches(network, learned), iterations=iterations, seed=seed, log=log)
        before, share = share, share_agreed(patches(further, held))
        log(f"self, round {number}: views agree on {share:.1%} of the pixels of particles")
        if share <= before:
            break
        network = further
    return network


def _agreed(
    network: NnUNet, prior: Prior, micrographs: SampleSet, store: Store, executor: Executor | None
) -> SampleSet:
    """The `micrographs` with the instances on which views agree, and `UNKNOWN`; made once."""
    made_from = {"network": network.identity, "prior": asdict(prior), "code": code_behind(__file__)}
    folder = store.folder("self", made_from | {"micrographs": content(micrographs)})
    due = ((k, micrographs[k]) for k in range(len(micrographs)) if not shard_length(folder, k))
    with Shared((network, prior, folder), folder) as shared:
        for _, future in outcomes(partial(_agree_on_one, shared), due, executor):
            future.result()
    return open_samples(folder).map(lambda sample: replace(sample, instances=sample.instances - 1))


def _agree_on_one(shared: Shared, item: tuple[int, Sample]) -> None:
    """Writes micrograph `item`, number and sample, as a shard; its ids are one higher, since sets hold none below 0."""
    (network, prior, folder), (number, sample) = shared.value, item
    found = agreed(views_of(network, sample.image), prior)
    write_shard(folder, number, [replace(sample, instances=found + 1)], bits=16)
