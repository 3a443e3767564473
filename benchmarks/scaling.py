"""Time and memory as work grows: `python -m benchmarks.scaling FOLDER KIND IMAGES WORKERS`, a row of the book's table.

KIND is `synthesis` (the small images of `benchmarks.workers`) or `measure` (8-bit PNG files of 256 px, each a mosaic of
16 of those; particles by Otsu's threshold, so that the time of a network comes on top). WORKERS are those of a local
cluster of Dask; what they import and compile before the first image counts. FOLDER keeps the files to be measured.

Columns: kind, images, workers, seconds, milliseconds of a core that the workers spent on an image, MiB of this process
and of the largest worker at their most, KiB on the disk for an image.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event, Thread

import dask
import numpy as np
import psutil
from distributed import Client, LocalCluster
from skimage.io import imsave

from benchmarks.measure import duration
from benchmarks.workers import make
from drgan_lib.quantify import measure_images
from drgan_lib.segmentation.classical import Otsu

TILES = 4  # small images along a side of a mosaic


@dataclass
class OtsuModel(Otsu):
    """The arm `otsu` as `drgan measure` takes a network."""

    pixel_size_nm: float | None = 7.344
    shape: str = "cube"
    min_area_px: int = 20

    def describe(self) -> dict:
        return {"arm": "otsu"}


def write_mosaics(folder: Path, n_images: int) -> Path:
    """Makes sure that `folder` holds `n_images` mosaics, and returns it."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = np.random.default_rng(0)
    small = np.rint(255 * make(folder.parent / "small", 256).images()).astype(np.uint8)
    for number in range(n_images):
        rows = [np.hstack(small[drawn.integers(len(small), size=TILES)]) for _ in range(TILES)]
        if not (path := folder / f"{number:06d}.png").is_file():
            imsave(path, np.vstack(rows), check_contrast=False)
    return folder


class Peaks:
    """The most memory of this process and of any worker, in MiB, and the processor time of each worker, in seconds."""

    def __enter__(self) -> Peaks:
        self.client, self.worker, self.spent = 0.0, 0.0, {}
        self._over, self._thread = Event(), Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        this = psutil.Process()
        while not self._over.wait(0.5):
            self.client = max(self.client, this.memory_info().rss / 2**20)
            for child in this.children(recursive=True):
                self.worker = max(self.worker, child.memory_info().rss / 2**20)
                self.spent[child.pid] = sum(child.cpu_times()[:2])


def main(folder: Path, kind: str, n_images: int, n_workers: int) -> None:
    images = write_mosaics(folder / f"mosaics_{n_images}", n_images) if kind == "measure" else None
    with (
        dask.config.set({"distributed.worker.profile.enabled": False}),  # as in `open_executor`
        LocalCluster(n_workers=n_workers, threads_per_worker=1, dashboard_address=":0") as cluster,
        Client(cluster) as client,
        TemporaryDirectory(dir=folder) as place,
        Peaks() as peaks,
    ):
        executor = client.get_executor()

        def work() -> None:
            if kind == "synthesis":
                make(Path(place), n_images, executor=executor)
            else:
                quiet = {"executor": executor, "log": lambda line: None}
                measure_images(images, OtsuModel(), Path(place) / "out", pixel_size_nm=7.344, **quiet)

        taken = duration(work)
        n_bytes = sum(path.stat().st_size for path in Path(place).rglob("*") if path.is_file())
    print(
        f"| {kind} | {n_images} | {n_workers} | {taken:.0f} | {1000 * sum(peaks.spent.values()) / n_images:.0f} | "
        f"{peaks.client:.0f} | {peaks.worker:.0f} | {n_bytes / n_images / 1024:.0f} |"
    )


if __name__ == "__main__":
    place, what, images, workers = sys.argv[1:]
    main(Path(place), what, int(images), int(workers))
