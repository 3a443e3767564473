"""The film: Mitsuba's, a loop over all samples, and what owners may do to each other (nothing)."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from drgan_lib.scene import splat
from drgan_lib.scene.backend import mi
from drgan_lib.scene.splat import Film, Fragments

SIZE = 12


def gaussian(stddev=0.5):
    return mi.load_dict({"type": "gaussian", "stddev": stddev})


def scattered(n, *, seed, size=SIZE):
    """Positions [n, 2] all over the film, the borders included, one sample at least in every pixel."""
    rng = np.random.default_rng(seed)
    rows, columns = np.divmod(np.arange(size * size), size)
    grid = np.stack([columns, rows], axis=1) + rng.random((size * size, 2))
    return torch.tensor(np.concatenate([grid, size * rng.random((n, 2))]), dtype=torch.float32)


def whole(fragments: Fragments, size=SIZE) -> torch.Tensor:
    """float32 [n_images, size, size]: the sum of the fragments."""
    image = torch.zeros(len(fragments.values), size * size, device=fragments.values.device)
    return image.index_add(1, fragments.pixel, fragments.values).view(-1, size, size).cpu()


def filtered(film, values, owner=None):
    number = torch.arange(values.shape[1])
    owner = torch.zeros_like(number) if owner is None else owner
    return film.fragments(lambda some: values[:, some], number, owner, n_images=len(values))


def brute_force(position, values, rfilter, size=SIZE):
    """Every sample against every pixel: the weighted mean of `values` [n_images, n]."""
    centre = torch.arange(size) + 0.5
    across, down = (
        torch.tensor(np.array(rfilter.eval(mi.Float((centre[:, None] - position[:, axis]).flatten().numpy()))))
        .view(size, -1)
        .double()
        for axis in (0, 1)
    )
    weight = down[:, None] * across[None]  # [rows, columns, n]
    return torch.einsum("rcn,in->irc", weight, values.double()) / weight.sum(dim=2)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), n=st.integers(1, 400), stddev=st.sampled_from([0.3, 0.5, 1.1]))
def test_film_is_the_weighted_mean_over_all_samples(seed, n, stddev):
    position, rfilter = scattered(n, seed=seed), gaussian(stddev)
    values = torch.rand(3, len(position), generator=torch.Generator().manual_seed(seed))
    fragments = filtered(Film(position, size=SIZE, rfilter=rfilter), values)
    assert whole(fragments) == pytest.approx(brute_force(position, values, rfilter), abs=1e-5)


@pytest.mark.parametrize("stddev", [0.3, 0.5, 1.1])
def test_film_is_mitsubas_image_block(stddev):
    """Against Mitsuba's own accumulation of the same samples, and what its film develops from it."""
    position = scattered(300, seed=1)
    values = torch.rand(len(position), generator=torch.Generator().manual_seed(0))
    film = mi.load_dict(
        {
            "type": "hdrfilm",
            "width": SIZE,
            "height": SIZE,
            "pixel_format": "luminance",
            "component_format": "float32",
            "rfilter": {"type": "gaussian", "stddev": stddev},
        }
    )
    film.prepare([])
    block = film.create_block()
    block.put(
        mi.Point2f(*(mi.Float(position[:, axis].numpy()) for axis in (0, 1))),
        [mi.Float(values.numpy())] * 3 + [mi.Float(1.0)],  # red, green, blue, weight
    )
    film.put_block(block)
    expected = torch.tensor(np.array(film.develop()))[..., 0]
    ours = whole(filtered(Film(position, size=SIZE, rfilter=film.rfilter()), values[None]))[0]
    assert ours == pytest.approx(expected, abs=1e-5)


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**31), n_owners=st.integers(1, 7))
def test_fragments_of_all_owners_sum_to_the_whole(seed, n_owners):
    position = scattered(200, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    values = torch.rand(2, len(position), generator=generator)
    owner = torch.randint(n_owners, (len(position),), generator=generator)
    film = Film(position, size=SIZE, rfilter=gaussian())
    parts = filtered(film, values, owner)
    assert whole(parts) == pytest.approx(whole(filtered(film, values)), abs=1e-5)
    assert (parts.owner.diff() >= 0).all()
    for k in range(n_owners):
        mine = parts.owner == k
        assert len(parts.pixel[mine].unique()) == mine.sum(), "one fragment per pixel and owner"
        alone = Fragments(parts.pixel[mine], parts.owner[mine], parts.values[:, mine])
        assert whole(alone) == pytest.approx(brute_force(position, values * (owner == k), gaussian()), abs=1e-5)


def test_a_pixel_shared_by_two_owners_has_a_fragment_of_each():
    position = scattered(0, seed=0)
    position = torch.cat([position, torch.tensor([[5.2, 5.5], [5.8, 5.5]])])
    values = torch.zeros(1, len(position))
    values[0, -2:] = torch.tensor([1.0, 3.0])
    owner = torch.zeros(len(position), dtype=torch.long)
    owner[-1] = 1
    film = Film(position, size=SIZE, rfilter=gaussian())
    parts = filtered(film, values, owner)
    shared = parts.pixel == 5 * SIZE + 5
    assert parts.owner[shared].tolist() == [0, 1]
    one, other = parts.values[0, shared]
    assert float(other) == pytest.approx(3 * float(one), rel=1e-5), "both lie 0.3 px from the centre"


def test_only_some_of_the_samples_carry_light_but_all_of_them_weigh():
    position = scattered(100, seed=2)
    film = Film(position, size=SIZE, rfilter=gaussian())
    lit = torch.arange(0, len(position), 3)
    values = torch.ones(1, len(position))
    expected = torch.zeros_like(values)
    expected[:, lit] = 1
    some = film.fragments(lambda some: values[:, lit[some]], lit, torch.zeros_like(lit), n_images=len(values))
    assert whole(some) == pytest.approx(whole(filtered(film, expected)), abs=1e-6)
    assert whole(filtered(film, values)) == pytest.approx(torch.ones(1, SIZE, SIZE), abs=1e-6)


def test_samples_on_the_very_border_stay_in_the_image():
    edge = torch.tensor([[0.0, 0.0], [SIZE, 0.0], [0.0, SIZE], [SIZE, SIZE], [SIZE, 5.5]])
    position = torch.cat([scattered(0, seed=3), edge])
    values = torch.zeros(1, len(position))
    values[0, -len(edge) :] = 1
    fragments = filtered(Film(position, size=SIZE, rfilter=gaussian()), values)
    assert fragments.pixel.min() >= 0
    assert fragments.pixel.max() < SIZE**2
    image = whole(fragments)
    assert image == pytest.approx(brute_force(position, values, gaussian()), abs=1e-5)
    assert image[0, 5, 0] == 0, "nothing wraps around to the other side"


def test_samples_are_filtered_in_blocks_with_the_same_result(monkeypatch):
    position = scattered(900, seed=2)
    values = torch.rand(3, len(position), generator=torch.Generator().manual_seed(0))
    at_once = filtered(Film(position, size=SIZE, rfilter=gaussian()), values)
    monkeypatch.setattr(splat, "SAMPLES_AT_ONCE", 70)
    monkeypatch.setattr(splat, "GROUPS_AT_ONCE", 7)
    asked = []
    number = torch.arange(len(position))

    def evaluate(some):
        asked.append(len(some))
        return values[:, some]

    film = Film(position, size=SIZE, rfilter=gaussian())
    in_blocks = film.fragments(evaluate, number, torch.zeros_like(number), n_images=len(values))
    assert len(asked) > 5
    assert max(asked) <= 70
    assert sum(asked) == len(position)
    assert whole(in_blocks) == pytest.approx(whole(at_once), abs=1e-6)


def test_no_samples_give_no_fragments():
    film = Film(scattered(0, seed=0), size=SIZE, rfilter=gaussian())
    none = torch.zeros(0, dtype=torch.long)
    fragments = film.fragments(lambda some: torch.zeros(4, 0), none, none, n_images=4)
    assert fragments.values.shape == (4, 0)
    assert len(fragments.pixel) == len(fragments.owner) == 0


def test_a_narrow_filter_that_misses_a_pixel_leaves_it_dark():
    """As Mitsuba does: a pixel that no sample reaches is 0."""
    position = torch.tensor([[0.05, 0.05], [5.5, 5.5]])
    fragments = filtered(Film(position, size=SIZE, rfilter=gaussian(0.1)), torch.ones(1, 2))
    image = whole(fragments)
    assert torch.isfinite(image).all()
    assert image[0, 5, 5] == 1
    assert image[0, 0, 0] == 0
