"""Layouts: non-overlap, resting on the stage, inside the field, the asked size law."""

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import Delaunay

from drgan_lib.config import LogNormalSizes, load_experiment
from drgan_lib.scene.layout import (
    DIRECTIONS,
    OPPOSITE,
    Layout,
    LayoutError,
    poisson_disk_seeds,
    read_layouts,
    sample_layout,
    sample_sizes,
    separation,
    support,
    write_layouts,
)
from drgan_lib.scene.meshes import make_meshes, normalise

MATERIAL = load_experiment("tio2_sem").material
MESHES = make_meshes(MATERIAL)


def test_directions_are_unit_and_paired():
    assert np.linalg.norm(DIRECTIONS, axis=1) == pytest.approx(1)
    assert DIRECTIONS[OPPOSITE] == pytest.approx(-DIRECTIONS)
    assert DIRECTIONS[0] == pytest.approx([0, 1, 0])


def test_support_of_a_ball_is_its_radius():
    ball = normalise(trimesh.creation.icosphere(4))
    assert support(ball, np.eye(3), 3.0) == pytest.approx(1.5, rel=5e-3)


def test_separation_of_two_balls_is_their_gap():
    ball = normalise(trimesh.creation.icosphere(4))
    transforms = np.array([[0, 0, 0, 1.0], [0, 1.7, 0, 1.0]], dtype=np.float32)
    layout = Layout(transforms, np.stack([np.eye(3)] * 2), np.zeros(2, dtype=int))
    assert separation(layout, [ball])[0, 1] == pytest.approx(0.7, abs=0.01)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    n=st.integers(1, 30),
    sigma=st.floats(0, 0.4),
    tightness=st.floats(0.3, 1),
    stacking=st.floats(0, 1),
)
def test_any_layout_is_disjoint_supported_and_inside(seed, n, sigma, tightness, stacking):
    changed = {
        "n_particles": (1, n),
        "sizes": LogNormalSizes(median=0.82, sigma=sigma),
        "tightness": tightness,
        "stacking": stacking,
    }
    material = MATERIAL.model_copy(update={"layout": MATERIAL.layout.model_copy(update=changed)})
    layout = sample_layout(material, MESHES, seed=seed)
    assert 1 <= len(layout) <= n
    assert separation(layout, MESHES).min() > 0
    lowest = [
        (t[3] * (MESHES[m].vertices @ r.T))[:, 1].min() + t[1]
        for m, r, t in zip(layout.mesh_index, layout.rotations, layout.transforms, strict=True)
    ]
    assert min(lowest) >= material.scene.stage_y
    assert np.abs(layout.transforms[:, [0, 2]]).max() <= material.layout.field_margin * material.scene.half_field + 1e-5
    assert np.linalg.det(layout.rotations) == pytest.approx(1, abs=1e-5)


def test_separated_particles_do_not_intersect_by_their_meshes():
    """Against an independent judge: no vertex of one particle lies in the convex hull of another (Qhull)."""
    layout = sample_layout(MATERIAL, MESHES, seed=11)
    bodies = []
    for m, r, t in zip(layout.mesh_index, layout.rotations, layout.transforms, strict=True):
        body = MESHES[m].copy()
        body.vertices = t[3] * (body.vertices @ r.T) + t[:3]
        bodies.append(body)
    checked = 0
    for i, a in enumerate(bodies):
        for j, b in enumerate(bodies):
            if i != j and np.linalg.norm(a.centroid - b.centroid) < 1.2:
                checked += 1
                assert not (Delaunay(a.vertices).find_simplex(b.vertices) >= 0).any()
    assert checked > 10


def test_sizes_follow_the_lognormal_law():
    sizes = sample_sizes(MATERIAL.layout, 2000, np.random.default_rng(0))
    law = stats.lognorm(MATERIAL.layout.sizes.sigma, scale=MATERIAL.layout.sizes.median)
    assert stats.kstest(sizes, law.cdf).pvalue > 0.01


def test_seeds_keep_their_distance():
    seeds = poisson_disk_seeds(6, 1.5, 4.0, np.random.default_rng(3))
    distances = np.linalg.norm(seeds[:, None] - seeds[None], axis=2) + 10 * np.eye(len(seeds))
    assert len(seeds) == 6
    assert distances.min() >= 1.5


def test_seed_decides_the_layout_and_files_keep_it(tmp_path):
    a, b = (sample_layout(MATERIAL, MESHES, seed=5) for _ in range(2))
    assert np.array_equal(a.transforms, b.transforms)
    other = sample_layout(MATERIAL, MESHES, seed=6)
    write_layouts(tmp_path / "layouts.npz", [a, other])
    back = read_layouts(tmp_path / "layouts.npz")
    assert np.array_equal(back[0].rotations, a.rotations)
    assert np.array_equal(back[1].mesh_index, other.mesh_index)


def test_vector_is_padded_and_too_many_refused():
    layout = sample_layout(MATERIAL, MESHES, seed=5)
    vector = layout.vector(50)
    assert vector.shape == (200,)
    assert np.array_equal(vector[: 4 * len(layout)], layout.transforms.ravel())
    assert not vector[4 * len(layout) :].any()
    with pytest.raises(LayoutError, match="at most"):
        layout.vector(3)


def test_the_largest_number_fits_in_every_layout():
    full = MATERIAL.layout.model_copy(update={"n_particles": (40, 40)})
    material = MATERIAL.model_copy(update={"layout": full})
    assert {len(sample_layout(material, MESHES, seed=seed)) for seed in range(40)} == {40}


def test_impossible_layout_says_how_many_fit():
    crowded = MATERIAL.layout.model_copy(
        update={"n_particles": (400, 400), "sizes": LogNormalSizes(median=2.0, sigma=0.2)}
    )
    with pytest.raises(LayoutError, match="of 400 particles fit"):
        sample_layout(MATERIAL.model_copy(update={"layout": crowded}), MESHES, seed=0)
