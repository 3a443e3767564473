"""Workers of Dask against one process: `benchmark`, and what is lost with them: `python -m benchmarks.workers FOLDER`.

The command makes `--images` small images of the twin with two workers. At a quarter of them one worker stands still for
a minute (SIGSTOP), at half the other is killed (SIGKILL), at three quarters the client, which is started again. Another
process makes the same set alone. Printed are times and the memory of each worker, and whether both sets are the same;
FOLDER/memory.csv has it by the second. Interrupted, the command goes on.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import psutil
import torch
from distributed import Client

from benchmarks.measure import duration, row
from drgan_lib.config import Experiment, load_experiment
from drgan_lib.executors import open_executor
from drgan_lib.files import atomic_path
from drgan_lib.gan.networks import Generator
from drgan_lib.samples import SampleSet, open_samples
from drgan_lib.scene import make_renderer
from drgan_lib.store import Store
from drgan_lib.synthesis import synthesize
from drgan_lib.synthesis.grow import SHARD

# A field of 64 px with 3 to 8 particles: a twentieth of a second an image on one core, so that 10,000 take minutes.
SMALL = {
    "scene.size_px": 64,
    "scene.fov_deg": 10.4,
    "patches.size_px": 64,
    "layout.n_particles": [3, 8],
    "layout.clusters": [1, 2],
    "meshes.count": 4,
    "synthesis.spp": 4,
}
PAUSE_S = 60
NO_PROFILE = {"DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False"}


def make(folder: Path, n_images: int, *, seed: int = 0, executor=None, log=lambda line: None) -> SampleSet:
    """The set of an untrained generator in a store in `folder`."""
    exp: Experiment = load_experiment("twin", "demo", SMALL | {"synthesis.n_images": n_images}, seed=seed)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        generator = Generator(exp.material, exp.profile.gan)
    renderer = make_renderer(exp, stage="synthesis")
    return synthesize(exp, generator, renderer, Store(folder), folder=folder, executor=executor, log=log)


def benchmark(n_shards: int = 6) -> dict[str, dict]:
    """How many times as fast workers, one a core, make a set as this process does; both have made one before."""
    with TemporaryDirectory() as place, open_executor("dask", place) as executor:
        taken = {}
        for name, workers in {"serial": None, "dask": executor}.items():
            make(Path(place) / name, 2 * SHARD, seed=1, executor=workers)
            taken[name] = duration(lambda n=name, w=workers: make(Path(place) / n, n_shards * SHARD, executor=w))
    gain = taken["serial"] / taken["dask"]
    return {
        "synthesis_serial_per_small_image": row(taken["serial"] / n_shards / SHARD, "s"),
        "synthesis_dask_against_serial": row(gain, "x"),
    }


def client(folder: Path, n_images: int, address: str) -> subprocess.Popen:
    """A process that makes the set in `folder`, alone if `address` is empty."""
    command = [sys.executable, "-m", "benchmarks.workers", str(folder), "--images", str(n_images), "--make", address]
    with (folder.parent / f"{folder.name}.log").open("a") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | {"OMP_NUM_THREADS": "1"})


def disturbed(folder: Path, n_images: int, address: str, nannies: int) -> pd.DataFrame:
    """Makes the set in `folder/dask` whatever happens; by the second, images there, and MiB of client and workers."""
    process, began = client(folder / "dask", n_images, address), time.monotonic()
    rows, told, paused, wake = [], [], None, float("inf")
    workers = worker_ids(nannies)
    while process.poll() is None:
        seconds, n_there = time.monotonic() - began, images_in(folder / "dask")
        workers = [*workers[:1], *(pid for pid in worker_ids(nannies) if pid != workers[0])]
        alive = [psutil.Process(pid) for pid in (process.pid, *workers) if psutil.pid_exists(pid)]
        rows += [(seconds, n_there, p.pid, p.pid == process.pid, p.memory_info().rss / 2**20) for p in alive]
        if "pause" not in told and n_there > n_images / 4:
            told, paused, wake = [*told, "pause"], workers[0], seconds + PAUSE_S
            os.kill(paused, signal.SIGSTOP)
            print(f"{seconds:.0f} s, {n_there} images: worker {paused} stopped for {PAUSE_S} s", flush=True)
        if seconds > wake:
            wake = float("inf")
            os.kill(paused, signal.SIGCONT)
            print(f"{seconds:.0f} s, {n_there} images: worker {paused} goes on", flush=True)
        if "kill" not in told and n_there > n_images / 2:
            told.append("kill")
            os.kill(workers[1], signal.SIGKILL)
            print(f"{seconds:.0f} s, {n_there} images: worker {workers[1]} killed", flush=True)
        if "client" not in told and n_there > 3 * n_images / 4:
            told.append("client")
            process.kill()
            process.wait()
            print(f"{seconds:.0f} s, {n_there} images: client killed, and started again", flush=True)
            process = client(folder / "dask", n_images, address)
        time.sleep(1)
    assert process.returncode == 0, f"see {folder / 'dask.log'}"
    print(f"{time.monotonic() - began:.0f} s: finished", flush=True)
    return pd.DataFrame(rows, columns=["seconds", "images", "pid", "client", "memory_mib"])


def worker_ids(nannies: int) -> list[int]:
    """Processes of the workers that the process `nannies` started."""
    children = psutil.Process(nannies).children(recursive=True)
    return [child.pid for child in children if "spawn_main" in " ".join(child.cmdline())]


def images_in(folder: Path) -> int:
    """Number of images of the set that is being made in `folder`."""
    places = [path.parent for path in folder.glob("synthetic/*/identity.json")]
    return len(open_samples(places[0])) if places else 0


def differences(one: SampleSet, other: SampleSet) -> dict[str, int]:
    """How two sets differ: in names and numbers, in ids (images), and in gray levels (images, and the most of one)."""
    found = {"images": len(one) - len(other), "names": 0, "ids": 0, "gray": 0, "most_gray_levels": 0}
    for a, b in zip(one, other, strict=False):
        levels = int(np.abs(np.rint(255 * a.image) - np.rint(255 * b.image)).max())
        found["names"] += a.name != b.name
        found["ids"] += a.instances.tobytes() != b.instances.tobytes()
        found["gray"] += levels > 0
        found["most_gray_levels"] = max(found["most_gray_levels"], levels)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=10_000)
    parser.add_argument("--make", metavar="ADDRESS", help="only make the set in FOLDER, alone if the address is empty")
    arguments = parser.parse_args()
    folder, n_images = arguments.folder.absolute(), arguments.images
    folder.mkdir(parents=True, exist_ok=True)
    if arguments.make is not None:
        with open_executor(arguments.make or None, folder) as executor:
            print(
                f"{duration(lambda: make(folder, n_images, executor=executor, log=print)):.1f} s for {n_images} images"
            )
        return 0
    command = [sys.executable, "-m", "dask"]
    scheduler = subprocess.Popen(
        [*command, "scheduler", "--port", "0", "--scheduler-file", str(folder / "address.json")]
    )
    workers = subprocess.Popen(
        [*command, "worker", "--scheduler-file", str(folder / "address.json"), "--nworkers", "2", "--nthreads", "1"],
        env=os.environ | NO_PROFILE,
    )
    try:
        with Client(scheduler_file=str(folder / "address.json"), timeout=30) as watcher:
            watcher.wait_for_workers(2, timeout=30)
            memory = disturbed(folder, n_images, watcher.scheduler.address, workers.pid)
    finally:
        for process in (workers, scheduler):
            process.terminate()
            process.wait()
    with atomic_path(folder / "memory.csv") as temporary:
        memory.to_csv(temporary, index=False)
    for pid, rows in memory.groupby("pid"):
        settled = rows[rows["seconds"] > rows["seconds"].min() + 30]["memory_mib"]
        name = "client" if rows["client"].all() else "worker"
        if len(settled) > 1:
            print(f"{name} {pid}: {settled.iloc[0]:.0f} MiB after 30 s, {settled.iloc[-1]:.0f} at its end")
    began = time.monotonic()
    assert client(folder / "serial", n_images, "").wait() == 0
    print(f"one process alone: {time.monotonic() - began:.0f} s", flush=True)
    sets = [open_samples(folder / name / "samples") for name in ("dask", "serial")]
    found = differences(*sets)
    print(f"{len(sets[0])} images, {sets[0].table()['name'].nunique()} names; differences: {found}")
    return bool(found["images"] or found["names"] or found["ids"] or found["most_gray_levels"] > 1)


if __name__ == "__main__":
    sys.exit(main())
