"""The benchmarks run and say what they measured; their times are judged by `make bench`, never by a test."""

from benchmarks.rendering import benchmark, row


def test_the_rendering_benchmark_measures_both_figures():
    results = benchmark(repeats=1)
    assert set(results) == {"reference_training_step", "image_with_instance_ids"}
    for entry in results.values():
        assert set(entry) == {"value", "unit", "target", "met"}
        assert entry["value"] > 0
        assert entry["met"] == (entry["value"] <= entry["target"])


def test_a_figure_without_a_target_is_neither_met_nor_missed():
    assert row(1.5, "s", None) == {"value": 1.5, "unit": "s", "target": None, "met": None}
    assert row(1.5, "s", 1.0)["met"] is False
