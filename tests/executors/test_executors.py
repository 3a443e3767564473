"""Work over many items, here and by workers of Dask: two processes that all tests of this module share."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import pytest
import torch
from distributed import Client, LocalCluster
from PIL import Image

from drgan_lib import executors
from drgan_lib.config import load_experiment
from drgan_lib.executors import ExecutorError, check_executor, local_workers, open_executor, outcomes
from drgan_lib.gan.networks import Generator
from drgan_lib.quantify import measure_images
from drgan_lib.samples import open_samples
from drgan_lib.scene import BasisCache, TransportRenderer, at_position, make_renderer, sample_layout
from drgan_lib.shared import Shared
from drgan_lib.synthesis import grow
from tests.executors.tasks import Factor, die, die_once, inverse, loads, threads
from tests.quantify.test_measure import DISCS, Threshold, as_image, draw
from tests.synthesis.conftest import make_stage  # noqa: F401
from tests.synthesis.test_grow import assert_equal

SMALL = {"scene.size_px": 32, "patches.size_px": 32, "layout.n_particles": [2, 3], "scene.stage_half_extent": 100.0}
pytestmark = pytest.mark.xdist_group("dask")


@pytest.fixture(scope="module")
def dask(tmp_path_factory):
    with open_executor("dask", tmp_path_factory.mktemp("store")) as executor:
        yield executor


@pytest.fixture
def scheduler(monkeypatch):
    """A scheduler that answers at an address; its only worker is a thread of this process."""
    monkeypatch.setattr(executors, "CONNECT_S", 2)
    settings = {
        "n_workers": 1,
        "threads_per_worker": 1,
        "processes": False,
        "protocol": "tcp",
        "dashboard_address": ":0",
    }
    with LocalCluster(**settings) as cluster:
        yield cluster


def values(pairs) -> dict:
    return {item: future.result() for item, future in pairs}


def test_a_run_starts_its_workers_once(monkeypatch, tmp_path):
    monkeypatch.setenv("DRGAN_EXECUTOR", "dask")
    with local_workers("tests.executors.tasks"):
        schedulers = []
        for _ in range(2):
            with open_executor(None, tmp_path) as executor:
                assert values(outcomes(inverse, [2, 4], executor)) == {2: 0.5, 4: 0.25}
            schedulers.append(os.environ["DRGAN_EXECUTOR"])
    assert schedulers[0] == schedulers[1] != "dask"
    assert os.environ["DRGAN_EXECUTOR"] == "dask"


def test_without_an_executor_items_come_in_order_and_one_error_stops_no_other():
    found = list(outcomes(inverse, [2, 0, 4]))
    assert [item for item, _ in found] == [2, 0, 4]
    assert [future.exception() is None for _, future in found] == [True, False, True]
    with pytest.raises(ZeroDivisionError):
        found[1][1].result()


def test_without_an_executor_a_call_is_made_when_it_is_asked_for():
    called = []
    pairs = outcomes(called.append, range(5))
    next(pairs)
    assert called == [0]


def test_items_are_taken_as_they_are_needed(monkeypatch):
    monkeypatch.setattr(executors, "AHEAD", 7)
    taken = iter(range(1000))
    with ThreadPoolExecutor(2) as threads:
        pairs = outcomes(str, taken, threads)
        next(pairs)
        assert next(taken) == 7
        pairs.close()


def test_what_is_shared_is_read_once_by_each_worker(dask, tmp_path):
    with Shared(Factor(3), tmp_path) as shared:
        found = values(outcomes(partial(loads, shared), range(1, 40), dask))
        assert len(list(tmp_path.iterdir())) == 1
        assert {process: misses for process, misses, _ in found.values()}.keys() != {os.getpid()}
    assert len({(process, misses) for process, misses, _ in found.values()}) <= 2
    assert [found[n][2] for n in range(1, 40)] == [3 * n for n in range(1, 40)]
    assert not list(tmp_path.iterdir())
    assert Shared([], tmp_path).value == []


def test_an_error_in_a_worker_is_that_of_its_item(dask):
    found = dict(outcomes(inverse, [2, 0, 4], dask))
    assert isinstance(found.pop(0).exception(), ZeroDivisionError)
    assert {item: future.result() for item, future in found.items()} == {2: 0.5, 4: 0.25}


def test_the_item_of_a_killed_worker_goes_to_another(dask, tmp_path):
    assert values(outcomes(partial(die_once, tmp_path / "mark"), range(8), dask)) == {n: n for n in range(8)}


def test_an_error_of_dask_itself_is_no_answer():
    class Careless(ThreadPoolExecutor):
        """Loses the first answers, as Dask does where a worker is lost with a result that is being fetched."""

        submitted = 0

        def submit(self, function, *arguments):
            self.submitted += 1
            return super().submit(inverse, 0) if self.submitted <= 3 else super().submit(function, *arguments)

    with Careless(2) as executor:
        assert values(outcomes(inverse, [2, 4, 8], executor)) == {2: 0.5, 4: 0.25, 8: 0.125}


def test_an_item_that_kills_every_worker_is_given_up(dask):
    found = dict(outcomes(die, range(3), dask))
    with pytest.raises(ExecutorError, match="its workers were lost, perhaps for want of memory"):
        found[1].result()
    assert (found[0].result(), found[2].result()) == (0, 2)


def test_a_lost_scheduler_is_said(scheduler, tmp_path):
    with open_executor(scheduler.scheduler_address, tmp_path) as executor:
        pairs = outcomes(inverse, range(1, 10**6), executor)
        next(pairs)
        scheduler.close()
        with pytest.raises(ExecutorError, match="lost; what was written stands: start a scheduler and give the same"):
            values(pairs)


def test_workers_make_the_set_of_the_serial_run(dask, make_stage, monkeypatch):  # noqa: F811
    monkeypatch.setattr(grow, "SHARD", 2)
    settings = {"base_color": (0.15, 0.4), "overrides": {"synthesis.n_images": 7}}
    here, there = make_stage("here", **settings), make_stage("there", **settings)
    expected, said = here.synthesize(), []
    arguments = there.exp, there.generator, there.renderer, there.store
    made = grow.synthesize(*arguments, executor=dask, log=said.append)
    assert_equal(made, expected)
    assert there.renderer.calls == 0
    assert said[-1].startswith("7 of 7 images, ")
    names = sorted(path.name for path in there.place.iterdir())
    assert names == ["0000000", "0000002", "0000004", "0000006", "identity.json"]


def test_workers_give_up_a_generator_that_makes_nothing_useful(dask, make_stage):  # noqa: F811
    stage = make_stage(base_color=(0.1, 0.1))
    with pytest.raises(grow.SynthesisError, match="only 0 of the images 0 to 3"):
        grow.synthesize(stage.exp, stage.generator, stage.renderer, stage.store, executor=dask)
    assert not len(open_samples(stage.place))


def test_workers_measure_a_folder_but_for_the_damaged_image(dask, tmp_path):
    (tmp_path / "images").mkdir()
    for k in range(5):
        Image.fromarray(np.roll(as_image(draw((120, 110), DISCS)), k, axis=1)).save(tmp_path / "images" / f"{k}.png")
    (tmp_path / "images" / "3.png").write_bytes(b"broken")
    found, said = {}, []
    for name, executor in {"here": None, "there": dask}.items():
        arguments = tmp_path / "images", Threshold(), tmp_path / name
        found[name] = measure_images(*arguments, pixel_size_nm=2.0, executor=executor, log=said.append)
        assert list(found[name].left_out) == [str(tmp_path / "images" / "3.png")]
    assert found["there"].table.equals(found["here"].table)
    assert sorted(said) == sorted(2 * list(set(said))), "both say the same"
    results = [sorted(p.relative_to(tmp_path / name) for p in (tmp_path / name).rglob("*")) for name in found]
    assert results[0] == results[1]


def test_workers_trace_layouts_into_the_cache(dask, tmp_path, monkeypatch):
    exp = load_experiment("twin", "demo", SMALL)
    ours = TransportRenderer(
        exp.material, make_renderer(exp, stage="gan").meshes[:2], spp=4, cache=BasisCache(tmp_path)
    )
    layouts = [sample_layout(exp.material, ours.meshes, seed=seed) for seed in range(3)]
    monkeypatch.setattr(TransportRenderer, "scene", None)  # here
    ours.prepare(layouts, executor=dask, log=lambda line: None)
    assert {path.stem for path in tmp_path.iterdir()} == {ours.key(layout) for layout in layouts}
    monkeypatch.undo()
    alone = TransportRenderer(exp.material, ours.meshes, spp=4)
    for layout in layouts:
        images = [renderer.image(at_position(exp.material, 0.4), layout) for renderer in (ours, alone)]
        torch.testing.assert_close(*images, atol=1e-5, rtol=1e-5)


def test_a_generator_and_a_renderer_travel(tmp_path):
    exp = load_experiment("twin", "demo", SMALL)
    generator, renderer = Generator(exp.material, exp.profile.gan), make_renderer(exp, stage="synthesis")
    layout = sample_layout(exp.material, renderer.meshes, seed=0)
    ids, (image, parameters) = renderer.instance_ids(layout), generator.sample(renderer, [layout], seeds=[5])
    with Shared((generator, renderer), tmp_path) as shared:
        remade, arguments = shared.__reduce__()
        generator, renderer = remade(*arguments).value
    np.testing.assert_array_equal(renderer.instance_ids(layout), ids)
    again = generator.sample(renderer, [layout], seeds=[5])
    torch.testing.assert_close(again[1], parameters, atol=0, rtol=0)
    torch.testing.assert_close(again[0], image, atol=1e-5, rtol=1e-4)


def test_the_environment_names_the_executor(monkeypatch, scheduler, tmp_path):
    monkeypatch.delenv(executors.VARIABLE, raising=False)
    with open_executor(None, tmp_path) as executor:
        assert executor is None
    monkeypatch.setenv(executors.VARIABLE, scheduler.scheduler_address)
    check_executor(None, tmp_path / "new")
    with open_executor(None, tmp_path) as executor:
        assert values(outcomes(inverse, [2, 4], executor)) == {2: 0.5, 4: 0.25}
    assert [path.name for path in tmp_path.iterdir()] == ["new"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("slurm", "expected dask or an address such as tcp://scheduler:8786, got 'slurm'"),
        ("tcp://127.0.0.1:9", "no scheduler of Dask answers at tcp://127.0.0.1:9"),
        ("tcp://nowhere", "no scheduler of Dask answers at tcp://nowhere"),
    ],
)
def test_what_is_no_executor_is_refused_early(name, message, monkeypatch, tmp_path):
    monkeypatch.setattr(executors, "CONNECT_S", 1)
    with pytest.raises(ExecutorError, match=message):
        check_executor(name, tmp_path)


@pytest.mark.parametrize("name", ["dask", "tcp://127.0.0.1:9"])
def test_without_dask_the_error_says_what_to_install(name, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ExecutorError, match=r"pip install 'drgan\[cluster\]'"):
        check_executor(name, tmp_path)
    check_executor(None, tmp_path)
    assert values(outcomes(inverse, [2])) == {2: 0.5}


def test_a_scheduler_without_workers_is_refused(scheduler, tmp_path):
    scheduler.scale(0)
    with Client(scheduler) as client:
        while client.nthreads():
            pass
    with pytest.raises(ExecutorError, match=r"has no workers; start some \(dask worker\)"):
        check_executor(scheduler.scheduler_address, tmp_path)


def test_a_worker_with_other_code_is_refused(scheduler, tmp_path, monkeypatch):
    answers = iter(["drgan of code 2", "drgan of code 1"])
    monkeypatch.setattr(executors, "fingerprint", lambda: next(answers))
    with pytest.raises(ExecutorError, match="has drgan of code 2, but this process drgan of code 1; install the same"):
        check_executor(scheduler.scheduler_address, tmp_path)


def test_a_worker_that_does_not_see_the_store_is_refused(scheduler, tmp_path, monkeypatch):
    monkeypatch.setattr(executors.os, "listdir", lambda folder: [])
    with pytest.raises(ExecutorError, match=f"does not see {tmp_path}; keep results on a disk that all machines see"):
        check_executor(scheduler.scheduler_address, tmp_path)


def test_a_worker_with_several_threads_is_refused(monkeypatch, tmp_path):
    settings = {
        "n_workers": 1,
        "threads_per_worker": 2,
        "processes": False,
        "protocol": "tcp",
        "dashboard_address": ":0",
    }
    with LocalCluster(**settings) as cluster, pytest.raises(ExecutorError, match="has 2 threads, but a renderer"):
        check_executor(cluster.scheduler_address, tmp_path)


def test_threads_of_a_worker_are_one(dask):
    assert dask.submit(threads, None).result() == (1, 1)
