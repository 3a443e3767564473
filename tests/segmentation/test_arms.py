"""Arms as configuration names them."""

from __future__ import annotations

import pytest

from drgan_lib.config import ConfigError, load_experiment


@pytest.mark.parametrize(
    ("text", "arms", "needs_masks"),
    [
        ("real:3, synthetic:3,otsu", {"real": 3, "synthetic": 3, "otsu": 1}, True),
        ("real+synthetic", {"real+synthetic": 1}, True),
        ("synthetic@nnunet,discs@threshold:2", {"synthetic@nnunet": 1, "discs@threshold": 2}, False),
        ({"synthetic": 2}, {"synthetic": 2}, False),
        ("synthetic+self,synthetic+background+self:2", {"synthetic+self": 1, "synthetic+background+self": 2}, False),
    ],
)
def test_arms_as_text_or_as_a_table(text, arms, needs_masks, toys):
    settings = load_experiment("twin", "demo", {"segmentation.arms": text}).profile.segmentation
    assert (settings.arms, settings.needs_masks) == (arms, needs_masks)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "real,ruehle",
            "unknown arm 'ruehle'; expected one of otsu, or different ones of real, synthetic, background, self",
        ),
        ("real+real", "unknown arm 'real+real'"),
        ("synthetic+real", "expected the parts of 'synthetic+real' in the order real, synthetic, background"),
        ("real,real:2", "real stands there twice"),
        ("self+synthetic", "expected the parts of 'self+synthetic' in the order real, synthetic, background, self"),
        ("background", "no particles to learn from"),
        ("self", "the arm 'self' has no particles to learn from; add real or synthetic to it"),
        ("background+self", "no particles to learn from"),
        ("real+self", "real+self: self is for a network of nnunet that has seen no mask of the training micrographs"),
        ("real@otsu", "otsu learns from nothing"),
        ("otsu:3", "otsu: expected 1 seed"),
        ("real:0", "real: expected at least 1 seed"),
        ("real:x", "arms.real"),
        ({}, "at least 1 item"),
    ],
)
def test_other_arms_are_refused(text, message):
    with pytest.raises(ConfigError) as caught:
        load_experiment("twin", "demo", {"segmentation.arms": text})
    assert message in str(caught.value)


@pytest.mark.parametrize("settings", [{"segmentation.trainer": "default"}, {"segmentation.fold": "five"}])
def test_self_is_for_one_network_of_the_compact_trainer(settings):
    profile = "paper" if "segmentation.trainer" in settings else "demo"
    with pytest.raises(ConfigError, match="only a single network of the compact trainer goes on"):
        load_experiment("twin", profile, settings | {"segmentation.arms": "synthetic+self"})


def test_self_is_for_a_network(toys):
    with pytest.raises(ConfigError, match="self is for a network of nnunet"):
        load_experiment("twin", "demo", {"segmentation.arms": "discs+self@threshold"})
