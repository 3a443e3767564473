"""The benchmarks run and say what they measured; their times are judged by `make bench`, never by a test."""

import math

import numpy as np
import pandas as pd
import pytest

from benchmarks import layouts, network, rendering, steadiness, synthesis, training, transport, workers
from benchmarks.measure import line, row
from drgan_lib.samples import Sample, SampleSet

PARTS = (
    "generator_forward",
    "discriminator_forward",
    "backward_to_the_image",
    "generator_backward",
    "discriminator_backward",
    "optimisers",
)


def check(results, names):
    """Every figure is there, positive, and judged by its limits."""
    assert set(results) == set(names)
    for entry in results.values():
        assert set(entry) == {"value", "unit", "at_most", "at_least", "met"}
        assert entry["value"] > 0
        assert (entry["met"] is None) == (entry["at_most"] is None and entry["at_least"] is None)


def test_the_benchmark_of_layouts_measures_each_shape():
    check(layouts.benchmark(n_layouts=1), {f"layouts_of_{shape}" for shape in ("cubes", "spheres", "wires")})


def test_the_rendering_benchmark_measures_both_figures():
    check(rendering.benchmark(repeats=1), {"reference_training_step", "image_with_instance_ids"})


def test_the_transport_benchmark_measures_speed_and_what_it_costs():
    results = transport.benchmark(repeats=1, n_layouts=1)
    kinds = ("mitsuba_direct", "mitsuba", "transport", "speedup_over_direct")
    steps = {f"generator_step_{name}" for name in kinds}
    costs = {
        "precomputation_per_layout",
        "precomputation_beside_a_busy_process",
        "precomputation_beside_two",
        "precomputation_against_splatting",
        "memory_of_126_layouts",
        "grain_at_100_samples",
    }
    check(results, steps | costs)
    slow, _, fast, ratio = (results[f"generator_step_{name}"]["value"] for name in kinds)
    assert ratio == slow / fast


def test_the_training_benchmark_breaks_the_step_down():
    results = training.benchmark(repeats=1, n_layouts=1)
    beside = ("", "_beside_a_busy_process", "_beside_two")
    steps = {f"{name}{words}" for name in ("training_step", "training_step_with_moments") for words in beside}
    parts = {f"training_step_{part}" for part in PARTS}
    check(results, {*steps, *parts, "training_images_per_second_at_batch_8"})


def test_the_synthesis_benchmark_writes_images():
    check(synthesis.benchmark(n_images=1), {"synthesis_per_accepted_image"})


@pytest.mark.slow
def test_the_network_benchmark_trains_alone_and_beside_a_busy_process():
    found = network.benchmark(epochs=2, patch_px=32, features=4, stages=3)
    check(found, {"network_iteration", "network_iteration_beside_a_busy_process", "network_iteration_beside_two"})


@pytest.mark.xdist_group("dask")
def test_the_benchmark_of_workers_compares_them_with_one_process(monkeypatch):
    monkeypatch.setattr(workers, "SHARD", 1)
    check(workers.benchmark(n_shards=1), {"synthesis_serial_per_small_image", "synthesis_dask_against_serial"})


def test_sets_that_differ_are_told_apart():
    def made(*grays, ids=0):
        image = np.ones((4, 4), np.float32)
        return SampleSet.of(
            Sample(str(k), gray * image, None, ids + np.eye(4, dtype=int)) for k, gray in enumerate(grays)
        )

    same = {"images": 0, "names": 0, "ids": 0, "gray": 0, "most_gray_levels": 0}
    assert workers.differences(made(0.2, 0.4), made(0.2, 0.4)) == same
    assert workers.differences(made(0.2, 0.4), made(0.2, 0.6)) == same | {"gray": 1, "most_gray_levels": 51}
    assert workers.differences(made(0.2, 0.4), made(0.2, ids=1)) == same | {"images": 1, "ids": 1}


def test_steadiness_records_memory_and_step_time(tmp_path):
    table = steadiness.record(4, every=2, n_layouts=1)
    assert list(table["iteration"]) == [2, 4]
    assert (table[["memory_mib", "step_s"]] > 0).all(axis=None)
    steadiness.plot(table, tmp_path / "steadiness.png")
    assert (tmp_path / "steadiness.png").stat().st_size > 0


def test_drift_is_the_slope_of_memory_and_the_ratio_of_step_times():
    iteration = range(20, 2001, 20)
    table = pd.DataFrame({"iteration": iteration, "memory_mib": [900 + 0.01 * k for k in iteration], "step_s": 0.1})
    table.loc[table["iteration"] <= 200, "memory_mib"] = 0
    table.loc[table["iteration"] > 1500, "step_s"] = 0.12
    assert steadiness.drift(table) == pytest.approx((10, 1.2))
    growth, ratio = steadiness.drift(table.head(4))
    assert math.isnan(growth)
    assert ratio == 1


@pytest.mark.parametrize(
    ("limits", "met", "said"),
    [
        ({}, None, ""),
        ({"at_most": 1.0}, False, "at most 1"),
        ({"at_most": 2.0}, True, "at most 2"),
        ({"at_least": 1.0}, True, "at least 1"),
        ({"at_least": 2.0}, False, "at least 2"),
    ],
)
def test_a_figure_is_judged_by_its_limits(limits, met, said):
    entry = row(1.5, "s", **limits)
    assert entry == {"value": 1.5, "unit": "s", "at_most": None, "at_least": None, "met": met} | limits
    assert said in line("name", entry)
    assert ("MISSED" in line("name", entry)) == (met is False)
