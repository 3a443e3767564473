"""The lights: the bands are the ring, they are sampled by what they give, and the light stays the same."""

import numpy as np
import pytest
import trimesh

from drgan_lib.config import SceneSettings
from drgan_lib.scene import Renderer, at_position, build
from drgan_lib.scene.build import BANDS, Light, ring_bands, ring_light_mesh, sampling_weights, top_light
from tests.scene.conftest import small_material

SETTINGS = SceneSettings()


def _sorted_triangles(triangles: np.ndarray) -> np.ndarray:
    """[n, 9]: triangles in an order that does not depend on how they were given; windings are kept."""
    flat = np.round(triangles, 9).reshape(len(triangles), 9)
    return flat[np.lexsort(flat.T)]


def test_the_ring_light_faces_the_stage():
    ring = ring_light_mesh(SETTINGS)
    radial = ring.triangles_center[:, [0, 2]]
    assert ((ring.face_normals[:, [0, 2]] * radial).sum(axis=1) < 0).all()
    assert ring.bounds[0, 1] >= SETTINGS.stage_y - 1e-6


@pytest.mark.parametrize("stretch", [0.5, 2.0])
def test_the_bands_together_are_the_ring(stretch):
    settings = SETTINGS.model_copy(update={"torus_stretch": stretch})
    ring, bands = ring_light_mesh(settings), ring_bands(settings)
    assert [band.name for band in bands] == [f"ring_light_{k}" for k in range(BANDS)]
    assert sum(band.mesh.area for band in bands) == pytest.approx(ring.area)
    triangles = np.concatenate([band.mesh.triangles for band in bands])
    assert _sorted_triangles(triangles) == pytest.approx(_sorted_triangles(ring.triangles))


def test_the_bands_go_from_bottom_to_top_and_around():
    bands = ring_bands(SETTINGS)
    heights = [band.mesh.triangles_center[:, 1].mean() for band in bands]
    assert heights == sorted(heights)
    for band in bands:
        azimuth = np.arctan2(*band.mesh.triangles_center[:, [2, 0]].T)
        assert np.all(np.diff(azimuth) >= 0)


def test_irradiance_of_a_small_far_square():
    """Closed form: area / distance^2, since it faces the stage and lies on the axis."""
    settings = SETTINGS.model_copy(update={"top_half_extent": 0.05})
    distance = settings.top_y - settings.stage_y
    assert top_light(settings).irradiance == pytest.approx(0.1**2 / distance**2, rel=1e-4)


def test_irradiance_of_the_ring_is_that_of_finer_triangles():
    """Against the integral over the ring, its triangles cut into 64 each."""
    fine = ring_light_mesh(SETTINGS)
    fine = trimesh.Trimesh(fine.vertices, fine.faces, process=False).subdivide().subdivide().subdivide()
    way = fine.triangles_center - [0, SETTINGS.stage_y, 0]
    square = (way**2).sum(axis=1)
    leaving = np.maximum(-(fine.face_normals * way).sum(axis=1), 0)
    expected = (fine.area_faces * leaving * np.maximum(way[:, 1], 0) / square**2).sum()
    assert sum(band.irradiance for band in ring_bands(SETTINGS)) == pytest.approx(expected, rel=0.01)


def test_sampling_weights_are_positive_and_follow_the_irradiance():
    lights = [*ring_bands(SETTINGS), top_light(SETTINGS)]
    power = np.array([light.irradiance * r for light, r in zip(lights, [1.0] * BANDS + [0.1], strict=True)])
    weights = np.array(sampling_weights(lights, [1.0] * BANDS + [0.1]))
    assert (weights > 0).all()
    assert (np.argsort(weights) == np.argsort(power)).all()
    assert weights.sum() == pytest.approx(power.sum())
    assert np.diff(weights[np.argsort(power)]) == pytest.approx(0.9 * np.diff(np.sort(power)))


def test_a_light_that_shines_at_nothing_is_still_sampled():
    """A face turned away from the stage's centre may light the side of a particle."""
    mesh = top_light(SETTINGS).mesh
    weights = sampling_weights([Light("a", mesh, 1.0), Light("b", mesh, 0.0), Light("c", mesh, 1.0)], [1, 1, 0])
    assert weights[1] == pytest.approx(0.05)
    assert 0 < weights[2] < 1e-5
    assert min(sampling_weights([Light("a", mesh, 1.0)], [0.0])) > 0


def test_the_image_is_the_one_of_evenly_sampled_lights(monkeypatch, meshes, crowd):
    """No bias: converged images differ by no more than their standard errors say, and evenly is noisier."""
    material = small_material()
    parameters = at_position(material, 0.15)

    def images():
        renderer = Renderer(material, meshes, spp=64)
        return np.stack([renderer.image(parameters, crowd, seed=seed).numpy() for seed in range(24)])

    chosen = images()
    monkeypatch.setattr(build, "sampling_weights", lambda lights, radiances: [1.0] * len(lights))
    even = images()
    error = np.sqrt(chosen.var(axis=0, ddof=1) / len(chosen) + even.var(axis=0, ddof=1) / len(even))
    z = (chosen.mean(axis=0) - even.mean(axis=0)) / error
    # The filter correlates neighbours, so that a mean over the image has more than 1 / n of a pixel's variance.
    assert np.sqrt((z**2).mean()) < 1.3
    whole = [stack.mean(axis=(1, 2)) for stack in (chosen, even)]
    spread = np.sqrt(sum(means.var(ddof=1) / len(means) for means in whole))
    assert abs(whole[0].mean() - whole[1].mean()) < 5 * spread
    assert spread < 0.005 * whole[0].mean(), "the comparison would show a bias of 2.5 %"
    assert chosen.var(axis=0).mean() < even.var(axis=0).mean()
