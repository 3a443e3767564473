"""What can be added: sources of annotated images and segmenters, of which arms are made, and metrics of segmentations.

An arm is written `SOURCE`, `SOURCE+SOURCE`, or with a segmenter `SOURCE@SEGMENTER`; segmenters that need no training
stand alone. With `+self` the network of the other sources goes on learning from what it finds in the training
micrographs. A further source, segmenter or metric is a file of its own and a line here.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Entry:
    """Where an object is, as `module:name`, and what it is in words."""

    place: str
    words: str

    def load(self) -> Any:
        """The object; its module is imported now."""
        module, _, name = self.place.partition(":")
        return getattr(import_module(module), name)


@dataclass(frozen=True)
class TrainedEntry(Entry):
    """A segmenter; `trained` is whether it learns from samples."""

    trained: bool = True


# In the order in which the parts of an arm are named. Each is a function: `Origin` -> `SampleSet`.
SOURCES = {
    "real": Entry("drgan_lib.synthesis.sources:real_patches", "training micrographs with their masks"),
    "synthetic": Entry("drgan_lib.synthesis.sources:synthetic_images", "synthetic images"),
    "background": Entry("drgan_lib.synthesis.sources:background_patches", "real background"),
}
SELF = "self"  # stands after them; `drgan_lib.segmentation.own`
# Each is a class that fulfils `drgan_lib.segmentation.Segmenter`. The first is the default.
SEGMENTERS = {
    "nnunet": TrainedEntry("drgan_lib.segmentation.nnunet:NnUNet", "nnU-Net"),
    "otsu": TrainedEntry("drgan_lib.segmentation.classical:Otsu", "Otsu threshold and watershed", trained=False),
}

# Metrics of an image beside those of `drgan_lib.segmentation.score`: each is a function of two instance maps, the true
# and the predicted one, int [h, w] without instances under the minimum area; its words are its definition.
METRICS: dict[str, Entry] = {}


def split_arm(arm: str) -> tuple[tuple[str, ...], str]:
    """Names of the sources, `self` included, and of the segmenter of `arm`; `ValueError` for what is not known."""
    parts, _, segmenter = arm.partition("@")
    if not segmenter and parts in SEGMENTERS:
        sources, segmenter = (), parts
    else:
        sources, segmenter = tuple(parts.split("+")), segmenter or next(iter(SEGMENTERS))
    known = [*SOURCES, SELF]
    unknown = [name for name in sources if name not in known] + [segmenter] * (segmenter not in SEGMENTERS)
    untrained = [name for name, entry in SEGMENTERS.items() if not entry.trained]
    if unknown or len(set(sources)) < len(sources):
        raise ValueError(
            f"unknown arm {arm!r}; expected one of {', '.join(untrained)}, or different ones of {', '.join(known)} "
            f"joined by +, then if wanted @ and one of {', '.join(SEGMENTERS)}"
        )
    if bool(sources) != SEGMENTERS[segmenter].trained:
        raise ValueError(
            f"{arm}: {segmenter} {'needs a source to learn from' if not sources else 'learns from nothing'}"
        )
    if list(sources) != sorted(sources, key=known.index):
        raise ValueError(f"expected the parts of {arm!r} in the order {', '.join(known)}; write it like that")
    return sources, segmenter


def arm_in_words(arm: str) -> str:
    """What a model of `arm` was trained on, and by which method if it is not the default."""
    sources, segmenter = split_arm(arm)
    if not sources:
        return f"nothing: {SEGMENTERS[segmenter].words}"
    by = "" if segmenter == next(iter(SEGMENTERS)) else f", {SEGMENTERS[segmenter].words}"
    words = {name: entry.words for name, entry in SOURCES.items()} | {SELF: "its own segmentations of micrographs"}
    return " and ".join(words[name] for name in sources) + by
