"""The lights: their triangles are the torus and the square, and places on them are drawn by what they give."""

import numpy as np
import pytest

from drgan_lib.config import SceneSettings
from drgan_lib.scene import lights
from drgan_lib.scene.backend import dr, mi
from drgan_lib.scene.lights import Lights, as_mesh, probabilities, ring_light, top_light
from tests.scene.conftest import small_material

SETTINGS = SceneSettings()
CENTRE = np.array([0, SETTINGS.stage_y, 0])
RADIANCES = np.repeat([1.0, 0.1], (len(ring_light(SETTINGS)), len(top_light(SETTINGS))))


@pytest.fixture(scope="module")
def triangles() -> np.ndarray:
    return np.concatenate([ring_light(SETTINGS), top_light(SETTINGS)])


def irradiance(triangles: np.ndarray, normal: np.ndarray, place: np.ndarray) -> float:
    """That of a surface by light of radiance 1, from triangles cut into 64 each."""
    fine = as_mesh(triangles).subdivide().subdivide().subdivide()
    way = fine.triangles_center - place
    square = (way**2).sum(axis=1)
    leaving, arriving = np.maximum(-(fine.face_normals * way).sum(axis=1), 0), np.maximum(way @ normal, 0)
    return float((fine.area_faces * leaving * arriving / square**2).sum())


def drawn(normal, place, n: int = 512, **scene) -> lights.LightSample:
    """n x n places, evenly in the unit square of random numbers, for one surface."""
    si = dr.zeros(mi.SurfaceInteraction3f, n * n)
    si.p, si.sh_frame = mi.Point3f(*map(float, place)), mi.Frame3f(mi.Normal3f(*map(float, normal)))
    u = (np.indices((n, n)).reshape(2, -1) + 0.5) / n
    u = mi.Point2f(*(mi.Float(part.astype(np.float32)) for part in u))
    return Lights(small_material(**scene)).sample(si, u, mi.Bool(True))


@pytest.mark.parametrize("stretch", [0.5, 2.0])
def test_the_ring_light_is_the_inner_half_of_a_stretched_torus(stretch):
    settings = SETTINGS.model_copy(update={"torus_stretch": stretch})
    ring = as_mesh(ring_light(settings))
    x, y, z = ring.vertices.T
    away = np.hypot(np.hypot(x, z) - settings.torus_radius, (y - settings.torus_y) / stretch)
    assert away == pytest.approx(settings.torus_tube)
    assert np.hypot(x, z).max() == pytest.approx(settings.torus_radius)
    radial = ring.triangles_center[:, [0, 2]]
    assert ((ring.face_normals[:, [0, 2]] * radial).sum(axis=1) < 0).all(), "it faces the axis"


def test_the_ring_light_has_the_area_of_the_torus():
    """Closed form, Pappus: the inner half of a round tube of radius r at R has 2 pi R pi r - 4 pi r^2."""
    ring = as_mesh(ring_light(SETTINGS.model_copy(update={"torus_stretch": 1.0})))
    r, big = SETTINGS.torus_tube, SETTINGS.torus_radius
    assert ring.area == pytest.approx(2 * np.pi**2 * big * r - 4 * np.pi * r**2, rel=3e-3)


def test_the_upper_light_is_a_square_that_faces_down():
    mesh = as_mesh(top_light(SETTINGS))
    assert mesh.area == pytest.approx((2 * SETTINGS.top_half_extent) ** 2)
    assert mesh.face_normals == pytest.approx(np.tile([0, -1, 0], (len(mesh.faces), 1)))


@pytest.mark.parametrize("normal", [(0, 1, 0), (0.6, 0.8, 0), (-1, 0, 0), (0, -0.6, 0.8)], ids=str)
@pytest.mark.parametrize("place", [(0, -4, 0), (3, -2, -3)], ids=str)
def test_weights_sum_to_the_irradiance(triangles, normal, place):
    """For surfaces that the table is not made for, too: its chances only say where samples are many."""
    found = drawn(normal, place)
    cosine = np.maximum(np.array(dr.dot(found.direction, mi.Normal3f(*map(float, normal)))), 0)
    given = np.array(found.weight) * cosine
    ring = np.array(found.light) == 0
    expected = irradiance(ring_light(SETTINGS), np.array(normal), np.array(place))
    assert (given * ring).mean() == pytest.approx(expected, rel=0.01)
    if normal[1] > 0:
        expected = irradiance(top_light(SETTINGS), np.array(normal), np.array(place))
        assert (given * ~ring).mean() == pytest.approx(expected, rel=0.03)


def test_places_lie_on_their_light():
    found = drawn((0, 1, 0), CENTRE)
    x, y, z = np.array(found.point)
    top = np.array(found.light) == 1
    assert 0.05 < top.mean() < 0.3
    assert y[top] == pytest.approx(SETTINGS.top_y, abs=1e-4)
    away = np.hypot(np.hypot(x, z) - SETTINGS.torus_radius, (y - SETTINGS.torus_y) / SETTINGS.torus_stretch)[~top]
    assert away == pytest.approx(SETTINGS.torus_tube, rel=0.02), "triangles between points of the torus"


def test_chances_follow_the_irradiance_and_none_is_zero(triangles):
    normals = np.array([[0, 1, 0], [0.8, 0.6, 0]])
    chances = probabilities(triangles, RADIANCES, normals, CENTRE)
    assert chances.sum(axis=(1, 2)) == pytest.approx(1)
    assert (chances > 0).all()
    ring = chances[:, : len(ring_light(SETTINGS))].sum(axis=(1, 2))
    for share, normal in zip(ring, normals, strict=True):
        given = [irradiance(light(SETTINGS), normal, CENTRE) for light in (ring_light, top_light)]
        assert share == pytest.approx(given[0] / (given[0] + 0.1 * given[1]), abs=0.05)
    east = triangles.mean(axis=2)[..., 0] > 0
    assert chances[1][east].sum() > 3 * chances[1][~east].sum(), "a surface that looks east is lit from there"


@pytest.mark.parametrize("radiances", [[0.0, 0.1], [1.0, 0.0], [0.0, 0.0]])
def test_a_light_that_is_off_leaves_chances_that_can_be_drawn_from(triangles, radiances):
    radiances = np.repeat(radiances, (len(ring_light(SETTINGS)), len(top_light(SETTINGS))))
    chances = probabilities(triangles, radiances, np.array([[0, 1.0, 0]]), CENTRE)
    assert np.isfinite(chances).all()
    assert (chances > 0).all()


def test_places_are_less_noisy_than_evenly_drawn_ones(monkeypatch):
    """The estimate of the irradiance varies little from place to place."""

    def variation() -> float:
        found = drawn((0.3, 0.95, 0), (1, -3.5, 1))
        given = np.array(found.weight * dr.maximum(dr.dot(found.direction, mi.Normal3f(0.3, 0.95, 0)), 0))
        given *= np.where(np.array(found.light) == 0, 1.0, 0.1)
        return given.std() / given.mean()

    chosen = variation()
    monkeypatch.setattr(lights, "DEFENSIVE", 1.0)
    assert chosen < 0.4
    assert variation() > 1.3 * chosen
