"""What a network finds again in other views of an image, and what of that looks like particles it learned from.

Views that are turned, noisier or enlarged part particles elsewhere. The error to be feared is a pair taken for one: it
is found in most views, so that a vote would keep it. Here a part that is as solid as a whole particle wins over a
larger, dented one that holds it, and what is dented in every view is left open.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from skimage.measure import regionprops
from skimage.transform import resize

from drgan_lib.classes import UNKNOWN
from drgan_lib.samples import SampleSet
from drgan_lib.segmentation.metrics.instance import overlaps
from drgan_lib.segmentation.segmenter import Segmenter

SAME = 0.75  # the IoU above which two views show the same particle
SHARED = 0.1  # of its area that a particle may share with those kept before it
EXPLAINED = 0.8  # of the area of what a view shows that lies on particles that are kept
AREAS = (0.05, 0.95)  # quantiles of the areas that a particle may have
WHOLE, DENT = 0.75, 0.04  # the quantile of solidity that nothing hides or dents, and how far below it is still solid
LOOKED_AT = 200  # images


@dataclass(frozen=True)
class View:
    """An image enlarged by `scale`, turned by `quarters`, mirrored, with `noise` in its standard deviations added."""

    scale: float = 1.0
    quarters: int = 0
    mirrored: bool = False
    noise: float = 0.0

    def of(self, image: np.ndarray, *, generator: np.random.Generator) -> np.ndarray:
        """The view of `image`, float32 [h, w] in [0, 1]."""
        seen = resize(image, [round(n * self.scale) for n in image.shape], order=3) if self.scale != 1 else image
        seen = np.rot90(seen, self.quarters)[:, :: -1 if self.mirrored else 1]
        noisy = seen + self.noise * image.std() * generator.normal(size=seen.shape)
        return noisy.clip(0, 1).astype(np.float32)

    def back(self, labels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
        """Labels of the view as labels of the image, int [h, w] of `shape`."""
        labels = np.rot90(labels[:, :: -1 if self.mirrored else 1], -self.quarters)
        places = [((np.arange(n) + 0.5) * m / n).astype(int) for n, m in zip(shape, labels.shape, strict=True)]
        return labels[np.ix_(*places)]


VIEWS = (
    View(),
    View(quarters=1, mirrored=True, noise=0.2),
    View(1.25, quarters=2),
    View(1.5, quarters=3, mirrored=True),
    View(1.5, quarters=1, noise=0.2),
    View(2.0, mirrored=True),
)


@dataclass(frozen=True)
class Prior:
    """What particles look like: the least and the largest `areas`, in px, and the least `solidity` of a whole one.

    Solidity is the area divided by that of the convex hull.
    """

    areas: tuple[float, float]
    solidity: float

    @classmethod
    def of(cls, samples: SampleSet, *, min_area: int) -> Prior:
        """That of the visible parts of the particles in `samples`, of at least `min_area` pixels each."""
        some = samples[np.linspace(0, len(samples) - 1, min(LOOKED_AT, len(samples))).round().astype(int)]
        seen = [r for s in some for r in regionprops(s.instances.clip(0)) if r.area >= min_area]
        low, high = np.quantile([r.area for r in seen], AREAS)
        return cls((float(low), float(high)), float(np.quantile([r.solidity for r in seen], WHOLE)) - DENT)


def views_of(segmenter: Segmenter, image: np.ndarray, views: Sequence[View] = VIEWS) -> list[np.ndarray]:
    """What `segmenter` finds in each view of `image`, as instances int32 [h, w] of the image."""
    generator = np.random.default_rng(0)
    return [view.back(segmenter.segment(view.of(image, generator=generator)), image.shape) for view in views]


def agreed(views: Sequence[np.ndarray], prior: Prior) -> np.ndarray:
    """Instances int32 [h, w] on which `views`, label images of one shape, agree; `UNKNOWN` where they do not.

    A particle is kept if half of the views show it and the prior holds it, the most solid ones first, and those after
    only where there is room. What else any view shows is unknown, and the rest, which none shows, is background.
    """
    kept, n, shown = np.zeros(views[0].shape, np.int32), 0, []
    for labels in views:
        support: Counter[int] = Counter()
        for other in views:
            pairs = overlaps(labels, other)
            support.update(pairs.true_ids[pairs.rows[pairs.iou > SAME]].tolist())
        shown += [(region, support[region.label]) for region in regionprops(labels)]
    for region, seen in sorted(shown, key=lambda item: -item[0].solidity):
        place = kept[region.slice]
        fits = prior.areas[0] <= region.area <= prior.areas[1] and region.solidity >= prior.solidity
        if fits and 2 * seen >= len(views) and (place[region.image] > 0).mean() <= SHARED:
            n += 1
            place[region.image & (place == 0)] = n
    unknown = np.zeros(kept.shape, bool)
    for region, _ in shown:
        if (kept[region.slice][region.image] > 0).mean() < EXPLAINED:
            unknown[region.slice] |= region.image
    return np.where(unknown & (kept == 0), UNKNOWN, kept).astype(np.int32)


def share_agreed(samples: SampleSet) -> float:
    """The share of pixels of particles among those of particles and those that are unknown; 1 without either."""
    known, unknown = (sum(int(f(s.instances).sum()) for s in samples) for f in (lambda i: i > 0, lambda i: i < 0))
    return known / (known + unknown) if known + unknown else 1.0
