from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drgan_lib.config import load_experiment
from drgan_lib.samples import Sample, SampleSet
from drgan_lib.synthesis import Origin, SynthesisError, training_samples
from drgan_lib.synthesis.sources import bare_support, even_starts, lay_texture

RNG = np.random.default_rng(0)
SETTINGS = {"patches.size_px": 32, "scene.size_px": 32, "segmentation.stages": 3}


def drawn(name: str, shape=(32, 32), *, known: bool = True, **provenance) -> Sample:
    instances = RNG.integers(0, 3, shape) if known else None
    image = RNG.integers(0, 256, shape) / np.float32(255)
    return Sample(name, image, 2.0, instances, provenance=provenance)


@pytest.fixture
def origin() -> Origin:
    return Origin(
        load_experiment("tio2_sem", "demo", SETTINGS, seed=4),
        SampleSet.of([drawn("sem_a", (40, 48)), drawn("sem_b", (40, 48), known=False), drawn("sem_c")]),
        SampleSet.of(drawn(f"patch {k}", known=False) for k in range(2)),
        SampleSet.of(drawn(f"{k:05d}") for k in range(4)),
    )


PATCHES = ["real_sem_a_0000_0000", "real_sem_a_0000_0016", "real_sem_a_0008_0000", "real_sem_a_0008_0016"]
PATCHES += ["real_sem_c_0000_0000"]
MADE = ["synthetic_00000", "synthetic_bare_00000", "synthetic_00001", "synthetic_00002", "synthetic_00003"]
MADE += ["synthetic_bare_00003"]
EMPTY = ["background_000", "background_001"]


@pytest.mark.parametrize(
    ("arm", "names"),
    [
        ("real", PATCHES),
        ("synthetic", MADE),
        ("synthetic+background", MADE + EMPTY),
        ("real+synthetic@nnunet", PATCHES + MADE),
        ("otsu", []),
    ],
)
def test_an_arm_learns_from_its_sources_one_after_the_other(origin, arm, names):
    samples = training_samples(arm, origin)
    assert [s.name for s in samples] == names
    assert {s.name for s in samples if not s.instances.any()} == {n for n in names if "bare" in n or n in EMPTY}
    assert {s.pixel_size_nm for s in samples} <= {2.0}


def test_real_patches_are_windows_of_their_micrograph(origin):
    for s in training_samples("real", origin):
        row, column = (int(text) for text in s.name.split("_")[-2:])
        whole = next(m for m in origin.micrographs if m.name == s.provenance["group"])
        window = np.s_[row : row + 32, column : column + 32]
        np.testing.assert_array_equal(s.image, whole.image[window])
        np.testing.assert_array_equal(s.instances, whole.instances[window])


def test_patches_with_burnt_in_text_are_left_out(origin):
    text = SampleSet.of([drawn("a", (40, 48), overlays=[[0, 0, 5, 5]])])
    samples = training_samples("real", replace(origin, micrographs=text))
    assert [s.name for s in samples] == ["real_a_0000_0016", "real_a_0008_0000", "real_a_0008_0016"]


def test_real_patches_need_masks(origin):
    with pytest.raises(SynthesisError, match="masks of training micrographs for the arm 'real', found none"):
        training_samples("real", replace(origin, micrographs=origin.micrographs[1:2]))


def test_textures_are_those_of_one_generator_in_whatever_order_they_are_read(origin):
    generator, expected = np.random.default_rng(origin.exp.seed), []
    for number, s in enumerate(origin.synthetic):
        expected.append(lay_texture(s.image, generator=generator))
        if number % 3 == 0:
            expected.append(bare_support(s.image, s.instances, generator=generator))
    samples = training_samples("synthetic", origin)
    for k in (5, 0, 3, 1, 4, 2):
        np.testing.assert_allclose(samples[k].image, expected[k], atol=0.5 / 255 + 1e-6)
    np.testing.assert_array_equal(samples[3].instances, origin.synthetic[2].instances)


def test_without_textures_the_images_are_the_renders(origin):
    plain = load_experiment("tio2_sem", "demo", SETTINGS | {"synthesis.textures": False})
    samples = training_samples("synthetic", replace(origin, exp=plain))
    for s, made in zip(samples, origin.synthetic, strict=True):
        assert s.name == f"synthetic_{made.name}"
        np.testing.assert_array_equal(s.image, made.image)


@given(st.integers(1, 300), st.integers(0, 3000))
def test_windows_cover_with_the_fewest(size, more):
    length = size + more
    starts = even_starts(length, size)
    assert (starts[0], starts[-1]) == (0, length - size)
    assert len(starts) == -(-length // size)
    assert all(0 < b - a <= size for a, b in pairwise(starts))
