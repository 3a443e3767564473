"""Metrics on disk and in words, and the names that arms are made of."""

from __future__ import annotations

import math

import pytest

from drgan_lib.metric import Metric, read_metrics, write_metrics
from drgan_lib.registry import SEGMENTERS, SOURCES, arm_in_words, split_arm


def test_a_metric_reads_as_value_unit_and_interval():
    assert str(Metric(165.2, "D50", unit="nm", low=138.4, high=197.0)) == "165 nm [138, 197]"
    assert str(Metric(0.93451, "DSC")) == "0.935"
    assert str(Metric(12, "count")) == "12"
    assert str(Metric(math.nan, "mean of nothing", unit="nm")) == "- nm"
    assert str(Metric(12345.6, "D50", unit="nm")) == "12346 nm"


def test_metrics_come_back_from_disk_and_what_is_not_defined_is_none(tmp_path):
    metrics = {"a": Metric(1.5, "one and a half", low=math.nan, high=math.inf, n=3, more={"min_area_px": 50})}
    again = read_metrics(write_metrics(tmp_path / "metrics.json", metrics))
    assert again == metrics
    assert again["a"].low is None is again["a"].high
    assert read_metrics(tmp_path / "none.json") == {}


def test_every_name_of_the_registry_is_there():
    for entry in (*SOURCES.values(), *SEGMENTERS.values()):
        assert entry.place.startswith("drgan_lib.")
        assert entry.words


def test_arms_are_sources_and_a_segmenter():
    assert split_arm("real") == (("real",), "nnunet")
    assert split_arm("real+synthetic@nnunet") == (("real", "synthetic"), "nnunet")
    assert split_arm("otsu") == ((), "otsu")
    assert arm_in_words("synthetic+background") == "synthetic images and real background"
    assert arm_in_words("synthetic+self") == "synthetic images and its own segmentations of micrographs"
    assert arm_in_words("otsu") == "nothing: Otsu threshold and watershed"


@pytest.mark.parametrize(
    ("arm", "message"),
    [
        ("gold", "unknown arm 'gold'; expected one of otsu, or different ones of real, synthetic, background"),
        ("real+real", "unknown arm"),
        ("real@gold", "unknown arm"),
        ("real@otsu", "learns from nothing"),
        ("synthetic+real", "in the order real, synthetic, background"),
    ],
)
def test_other_arms_are_refused(arm, message):
    with pytest.raises(ValueError, match=message.replace("+", r"\+")):
        split_arm(arm)
