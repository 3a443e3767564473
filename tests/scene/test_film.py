"""The film: a loop over all samples, Mitsuba's, and what owners may do to each other (nothing)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from drgan_lib.scene import film
from drgan_lib.scene.backend import mi
from drgan_lib.scene.film import Fragments, add_up

N_PIXELS = 30


SPP = 25


def scattered(n: int, n_owners: int, seed: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pixel, owner and values [3, n] of n samples, nearly in the order of their pixels."""
    random = np.random.default_rng(seed)
    pixel = np.clip(np.sort(random.integers(N_PIXELS, size=n)) + random.integers(2, size=n), 0, N_PIXELS - 1)
    owner, values = random.integers(n_owners, size=n), random.random((3, n), dtype=np.float32)
    return tuple(map(torch.from_numpy, (pixel, owner, values)))


def filmed(pixel, owner, values) -> Fragments:
    return add_up(lambda some: values[:, some], pixel, owner, SPP, n_images=len(values))


def whole(fragments: Fragments, n_pixels: int = N_PIXELS) -> torch.Tensor:
    """float32 [n_images, n_pixels]: the sum of the fragments."""
    image = torch.zeros(len(fragments.values), n_pixels)
    return image.index_add(1, fragments.pixel, fragments.values)


@settings(max_examples=30)
@given(seed=st.integers(0, 2**31), n=st.integers(1, 400), n_owners=st.integers(1, 7))
def test_each_fragment_is_the_sum_of_its_owners_samples_over_all_of_the_pixel(seed, n, n_owners):
    pixel, owner, values = scattered(n, n_owners, seed)
    expected = np.zeros((3, N_PIXELS, n_owners))
    np.add.at(expected, np.s_[:, pixel.numpy(), owner.numpy()], values.double().numpy())
    expected /= SPP
    fragments = filmed(pixel, owner, values)
    places = fragments.pixel.numpy(), fragments.owner.numpy()
    assert fragments.values.numpy() == pytest.approx(expected[:, *places], abs=1e-6)
    assert (fragments.pixel.diff() >= 0).all()
    assert len(set(zip(*map(np.ndarray.tolist, places), strict=True))) == len(fragments.pixel)
    assert whole(fragments).numpy() == pytest.approx(expected.sum(axis=2), abs=1e-5)


def test_it_is_mitsubas_film():
    """Against Mitsuba's own accumulation of the same samples, and what its film develops from it."""
    random, size = np.random.default_rng(0), 12
    pixel = np.repeat(np.arange(size**2), SPP)
    position = np.stack([pixel % size, pixel // size]).astype(np.float32) + random.uniform(0, 0.99, (2, len(pixel)))
    values = random.random(len(pixel), dtype=np.float32)
    theirs = mi.load_dict(
        {
            "type": "hdrfilm",
            "width": size,
            "height": size,
            "pixel_format": "luminance",
            "component_format": "float32",
            "rfilter": {"type": "box"},
        }
    )
    theirs.prepare([])
    block = theirs.create_block()
    block.put(mi.Point2f(*position), [mi.Float(values)] * 3 + [mi.Float(1.0)])  # colours, weight
    theirs.put_block(block)
    pixel = torch.from_numpy(pixel)
    ours = whole(filmed(pixel, torch.zeros_like(pixel), torch.from_numpy(values)[None]), size**2)
    assert ours.numpy().reshape(size, size) == pytest.approx(np.array(theirs.develop())[..., 0], abs=1e-6)


def test_samples_are_evaluated_in_blocks_with_the_same_result(monkeypatch):
    pixel, owner, values = scattered(900, 3, seed=2)
    at_once = filmed(pixel, owner, values)
    monkeypatch.setattr(film, "SAMPLES_AT_ONCE", 70)
    asked = []

    def evaluate(some):
        asked.append(len(some))
        return values[:, some]

    in_blocks = add_up(evaluate, pixel, owner, SPP, n_images=len(values))
    assert len(asked) > 5
    assert max(asked) <= 70
    assert sum(asked) == 900
    assert torch.equal(in_blocks.values, at_once.values)


def test_no_samples_give_no_fragments():
    none = torch.zeros(0, dtype=torch.long)
    fragments = add_up(lambda some: torch.zeros(4, 0), none, none, SPP, n_images=4)
    assert fragments.values.shape == (4, 0)
    assert len(fragments.pixel) == len(fragments.owner) == 0
