"""What describes an annotated set as a whole, in a folder of results."""

from pathlib import Path

from drgan_lib.config import Experiment
from drgan_lib.files import atomic_path, read_json, write_json
from drgan_lib.metric import Metric, write_metrics
from drgan_lib.samples import SampleSet, open_samples, write_coco
from drgan_lib.synthesis.grow import rejections


def write_summary(samples: SampleSet, folder: Path, exp: Experiment) -> None:
    """Writes what chapter 04 leaves beside the images of `synthesize`.

    `coco.json` has the instances of all `samples`, `parameters.csv` a row per image, `metrics.json` the share of
    attempts that were accepted; `acceptance.json` counts them, with the reasons for the others, and stands for a
    finished set.
    """
    write_coco(samples, folder / "coco.json", description=exp.material.title)
    columns = ["image", "seed", "n_particles", "contrast", "attempts", *exp.material.parameters]
    table = samples.table().rename(columns={"name": "image"})[columns]
    with atomic_path(folder / "parameters.csv") as temporary:
        table.to_csv(temporary, index=False)
    accepted, attempts = len(samples), int(table["attempts"].sum())
    needed = f"particles at least {exp.profile.synthesis.min_contrast:.0%} brighter than the background"
    definition = f"images kept / attempts; kept are images with {needed}"
    rate = Metric(accepted / attempts, definition, n=attempts, split="synthetic")
    write_metrics(folder / "metrics.json", {"acceptance_rate": rate})
    counts = {"accepted": accepted, "attempts": attempts, "rate": rate.value, "rejected": dict(rejections(samples))}
    write_json(folder / "acceptance.json", counts)


def load_synthetic(folder: Path) -> SampleSet:
    """The annotated set of a folder of results; `FileNotFoundError` if chapter 04 has not finished there."""
    path = folder / "acceptance.json"
    if not path.is_file():
        raise FileNotFoundError(f"no finished annotated set in {folder}; run stage 04 (synthesis) first")
    return open_samples(folder / "samples")[: read_json(path)["accepted"]]
