"""Scores the predictions on the test micrographs: the stage's metrics and tables."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pandas as pd

from drgan_lib.config import Experiment
from drgan_lib.files import atomic_path
from drgan_lib.metric import Metric, write_metrics
from drgan_lib.registry import arm_in_words
from drgan_lib.samples import Sample, open_samples
from drgan_lib.segmentation.metrics import KINDS, coco_ap, definitions, score, table_of_kinds, total
from drgan_lib.segmentation.model import list_models, load_predictions
from drgan_lib.segmentation.segmenter import SegmentationError
from drgan_lib.segmentation.summary import PUBLISHED, Published, gaps, paper_table, set_table, summarise

PIXELS = ("dsc", "dsc_1px", "iou", "pq_semantic")
OF_OTHER_ARMS = ("dsc", "ap50", "pq", "merged")  # among the metrics of a run; all are in table.csv
PREFIXES = {"plain": "", "border_core": "border_core_"}
WORDS = {
    "plain": "instances are the connected components of class 1",
    "border_core": "border-core instances, their settings not chosen on test images (border_core.csv, model.json)",
}


LEFT_OUT = "burnt-in text, and the true particles that it cuts, left out on both sides"


def evaluate(exp: Experiment, folder: str | Path, *, log: Callable[[str], None] = print) -> dict[str, Metric]:
    """Scores all models of `segment` in `folder` against the masks of the test micrographs; returns the run's metrics.

    Those are the metrics of the first arm, and the main ones of the others as `ARM/NAME`: mean over test micrographs
    and seeds with a 95 % bootstrap interval over micrographs, their standard deviation `std`; of the whole set
    (`coco_*`) the value alone. Written to `folder` are metrics.json, scores.csv (a row per model, rule and micrograph),
    pooled.csv (over all micrographs of a model together), errors.csv (what became of the particles of each diameter,
    over all micrographs) and table.csv (see `summarise`). Micrographs without mask are
    not scored; if none has one, there are no metrics. Raises `SegmentationError` if a prediction is missing.
    """
    folder, min_area = Path(folder), exp.material.min_area_px
    truth = open_samples(folder / "truth")
    masked = [sample for sample in truth if sample.instances is not None]
    rows, sets, errors = [], [], []
    for arm, seed, rule, predicted in _of_all_models(folder, [sample.name for sample in masked]):
        model = {"arm": arm, "seed": seed, "instances": rule}
        pairs = [(true.instances, found.instances) for true, found in zip(masked, predicted, strict=True)]
        rows += [
            model | {"name": sample.name} | score(*pair, min_area=min_area)
            for sample, pair in zip(masked, pairs, strict=True)
        ]
        if pairs:
            ranks = [sample.confidence for sample in predicted]
            confidence = None if any(rank is None for rank in ranks) else ranks
            whole = coco_ap(*zip(*pairs, strict=True), confidence, min_area=min_area)
            counts = total(*zip(*pairs, strict=True), min_area=min_area)
            sets.append(model | whole | counts.metrics())
            errors.append(table_of_kinds(counts.kinds).assign(**model))
    metrics: dict[str, Metric] = {}
    if rows:
        scores, of_sets = pd.DataFrame(rows), pd.DataFrame(sets)
        summary = summarise(scores)
        tables = {"scores": scores, "pooled": of_sets, "errors": pd.concat(errors), "table": summary}
        for name, table in tables.items():
            with atomic_path(folder / f"{name}.csv") as temporary:
                table.to_csv(temporary, index=False)
        metrics = _metrics(scores, of_sets, summary, min_area)
        log("test: " + ", ".join(f"{name} {metric.value:.3f}" for name, metric in metrics.items()))
    write_metrics(folder / "metrics.json", metrics)
    if unscored := len(truth) - len(masked):
        log(f"{unscored} of {len(truth)} test micrographs have no mask: segmented, but not scored")
    return metrics


def comparison(exp: Experiment, folder: str | Path) -> pd.DataFrame:
    """The arms in the layout of the paper's Table 1, with what it published for this material, as text."""
    return paper_table(
        summarise(scores_of_images(folder)),
        arms=list(exp.profile.segmentation.arms),
        words=arm_in_words,
        published=published(exp),
    )


def scores_of_images(folder: str | Path) -> pd.DataFrame:
    """What `score` says of each test micrograph by each model and instance method (arm, seed, instances, name)."""
    # An image may be named 007, or NA.
    return pd.read_csv(Path(folder) / "scores.csv", dtype={"name": str}, keep_default_na=False)


def metrics_of_sets(folder: str | Path) -> pd.DataFrame:
    """COCO's average precision, and AP50 and PQ pooled over all test micrographs, of each arm; see `set_table`."""
    return set_table(pd.read_csv(Path(folder) / "pooled.csv"))


def kinds_of_error(folder: str | Path) -> pd.DataFrame:
    """What became of the true particles of all test micrographs, by diameter: the shares of `KINDS`, mean over seeds.

    A row per arm, instance method and diameter, see `drgan_lib.segmentation.metrics.errors`.
    """
    table = pd.read_csv(Path(folder) / "errors.csv")
    groups = table.groupby(["arm", "instances", "diameter_px"], sort=False)
    return groups[["n", *KINDS]].mean().astype({"n": int})


def differences(folder: str | Path, *, reference: str = "real") -> pd.DataFrame:
    """By how much each arm differs from the arm `reference` on the same micrographs, see `gaps`."""
    return gaps(scores_of_images(folder), reference=reference)


def published(exp: Experiment) -> Sequence[Published]:
    """What the paper published for the material's own micrographs: its twin, or the user's images, are others."""
    return PUBLISHED.get(exp.material.name, ()) if exp.material.dataset.registry is not None else ()


def _of_all_models(folder: Path, names: Sequence[str]) -> Iterator[tuple[str, int, str, list[Sample]]]:
    """Arm, seed, rule and predictions of the micrographs called `names`, in that order."""
    for arm, seed in list_models(folder):
        for rule, samples in load_predictions(folder, arm, seed).items():
            places = {name: k for k, name in enumerate(samples.table()["name"])}
            if missing := [name for name in names if name not in places]:
                raise SegmentationError(f"{arm}, seed {seed}: no prediction of {missing[0]}; run segment again")
            yield arm, seed, rule, [samples[places[name]] for name in names]


def _metrics(scores: pd.DataFrame, sets: pd.DataFrame, summary: pd.DataFrame, min_area: int) -> dict[str, Metric]:
    first, words, metrics = scores["arm"].iloc[0], definitions(), {}

    def name(arm: str, rule: str, metric: str) -> str:
        return f"{'' if arm == first else f'{arm}/'}{PREFIXES[rule]}{metric}"

    for row in summary.itertuples():
        pixels = row.metric in PIXELS
        if (row.arm != first and row.metric not in OF_OTHER_ARMS) or (pixels and row.instances != "plain"):
            continue
        own = scores[(scores["arm"] == row.arm) & (scores["instances"] == row.instances)]
        std = float(own.groupby("name")[row.metric].mean().std(ddof=0))
        metrics[name(row.arm, row.instances, row.metric)] = Metric(
            row.mean,
            f"{words[row.metric]}{'' if pixels else f'; {WORDS[row.instances]}'}; mean over the test images and seeds; "
            f"{LEFT_OUT}",
            low=row.low,
            high=row.high,
            n=row.n_images,
            split="test",
            more={"std": std, "n_seeds": row.n_seeds} | ({} if pixels else {"min_area_px": min_area}),
        )
    for (arm, rule), own in sets[sets["arm"] == first].groupby(["arm", "instances"], sort=False):
        for metric in ("coco_ap50", "coco_ap50_95"):
            metrics[name(arm, rule, metric)] = Metric(
                float(own[metric].mean()),
                f"{words[metric]}; {WORDS[rule]}; mean over the seeds; {LEFT_OUT}",
                n=scores["name"].nunique(),
                split="test",
                more={"n_seeds": len(own), "min_area_px": min_area},
            )
    return metrics
