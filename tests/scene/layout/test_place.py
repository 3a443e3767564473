"""Any layout: no intersection, inside the field, resting where it should, with the size distribution asked for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.sparse.csgraph import connected_components

from drgan_lib.config import SHAPES, ConfigError
from drgan_lib.scene.layout import (
    CLEARANCE,
    LayoutError,
    coverage,
    poisson_disk_seeds,
    sample_layout,
    separation,
    size_distribution,
)
from tests.scene.layout.conftest import bodies, lowest, material_of, meshes_of

TOUCHING = 2 * CLEARANCE
BIMODAL = {"law": "bimodal", "mean": [0.8, 0.3], "std": [0.05, 0.05], "share": 0.7}
PIXEL_SIZE_NM = 4.0
UNITS = {unit: material_of(pixel_size_nm=PIXEL_SIZE_NM).scene_units(unit) for unit in ("scene", "px", "nm")}
PLACES = [(placement, space) for placement in ("random", "agglomerated") for space in ("planar", "stacked", "volume")]
PLACES += [("packed", "planar"), ("packed", "stacked")]


def distributions(scale):
    """Settings of any distribution with formulas in any unit, of sizes about `scale` scene units."""
    return st.sampled_from(["scene", "px", "nm"]).flatmap(lambda unit: _of_unit(scale / UNITS[unit], unit))


def _of_unit(scale, unit):
    spread, size = st.floats(0.01, 0.4), st.floats(0.5 * scale, 1.2 * scale)
    lognormal = st.builds(lambda m, s: {"law": "lognormal", "median": m, "sigma": s}, size, spread)
    normal = st.builds(lambda m, s: {"law": "normal", "mean": m, "std": s * m}, size, spread)
    bimodal = st.builds(
        lambda a, b, s, share: {"law": "bimodal", "mean": [a, b], "std": [s * a, s * b], "share": share},
        size,
        size,
        spread,
        st.floats(0.1, 0.9),
    )
    return (lognormal | normal | bimodal).map(lambda sizes: sizes | {"unit": unit})


@st.composite
def asked(draw):
    """A shape, and a material of it."""
    shape = draw(st.sampled_from(SHAPES))
    placement, space = draw(st.sampled_from(PLACES))
    return shape, material_of(
        shape,
        n_particles=[1, draw(st.integers(1, 25))],
        sizes=draw(distributions({"wire": 0.1, "rod": 0.2}.get(shape, 0.5))),
        placement=placement,
        space=space,
        orientation=draw(st.sampled_from(["free", "lying"])),
        clusters=[1, draw(st.integers(1, 5))],
        tightness=[draw(st.floats(0.3, 0.6)), draw(st.floats(0.6, 1))],
        stacking=[0, draw(st.floats(0, 1))],
        height=draw(st.floats(1, 6)),
        pixel_size_nm=PIXEL_SIZE_NM,
    )


@settings(max_examples=40, deadline=None)
@given(asked=asked(), seed=st.integers(0, 2**31))
def test_any_material_gives_disjoint_particles_in_the_field_at_rest(asked, seed):
    shape, material = asked
    meshes, settings = meshes_of(shape), material.layout
    layout = sample_layout(material, meshes, seed=seed)
    assert 1 <= len(layout) <= len(layout) + layout.missing <= settings.n_particles[1]
    sizes = layout.transforms[:, 3].astype(float)
    assert stats.kstest(sizes, size_distribution(material).cdf).pvalue > 1e-6
    gaps, bottoms = separation(layout, meshes), lowest(layout, meshes) - material.scene.stage_y
    assert gaps.min() > 0.5 * CLEARANCE  # what a plane proves is at most the gap that was left
    assert np.abs(layout.transforms[:, [0, 2]]).max() <= settings.field_margin * material.scene.half_field + 1e-5
    assert np.linalg.det(layout.rotations) == pytest.approx(1, abs=1e-5)
    on_stage = bottoms < TOUCHING
    height = layout.transforms[:, 1] - material.scene.stage_y
    assert bottoms.min() > 0
    assert (on_stage | (height <= settings.height * size_distribution(material).median + 1e-5)).all()
    if settings.space == "planar":
        assert on_stage.all()
    if settings.space == "stacked":
        assert (on_stage | (gaps.min(axis=1) < TOUCHING)).all()


def sampled(material, shape, n):
    """n layouts, and the transforms of all their particles."""
    layouts = [sample_layout(material, meshes_of(shape), seed=seed) for seed in range(n)]
    return layouts, np.concatenate([layout.transforms for layout in layouts])


@pytest.mark.parametrize(
    ("shape", "changes"),
    [
        ("cube", {"sizes": {"law": "lognormal", "median": 0.82, "sigma": 0.4}}),
        ("cube", {"sizes": {"law": "normal", "mean": 0.6, "std": 0.3}, "space": "volume"}),
        ("sphere", {"sizes": BIMODAL, "space": "planar", "clusters": [1, 1]}),
        ("sphere", {"sizes": BIMODAL, "space": "planar", "placement": "random"}),
        ("wire", {"placement": "random", "orientation": "lying", "height": 8}),
    ],
)
def test_placed_sizes_follow_the_distribution(shape, changes):
    """Placement must not prefer small particles, also where there is little room."""
    material = material_of(shape, **changes)
    layouts, transforms = sampled(material, shape, 20)
    assert sum(layout.missing for layout in layouts) == 0
    assert stats.kstest(transforms[:, 3], size_distribution(material).cdf).pvalue > 0.01


def test_particles_without_a_place_do_not_distort_the_distribution():
    sizes = {"law": "lognormal", "median": 0.8, "sigma": 0.4}
    material = material_of("sphere", space="planar", placement="random", sizes=sizes, n_particles=[10, 90])
    layouts, transforms = sampled(material, "sphere", 12)
    assert sum(layout.missing for layout in layouts) > 20
    assert stats.kstest(transforms[:, 3], size_distribution(material).cdf).pvalue > 0.01


def test_placed_sizes_follow_a_table(tmp_path):
    nm = np.random.default_rng(1).gamma(20, 5, size=300)
    (tmp_path / "sizes.csv").write_text("diameter_nm\n" + "\n".join(f"{d:.1f}" for d in nm))
    material = material_of(sizes={"law": "empirical", "table": str(tmp_path / "sizes.csv")}, pixel_size_nm=7.0)
    _, transforms = sampled(material, "cube", 20)
    assert stats.ks_2samp(transforms[:, 3], nm * material.scene_units("nm")).pvalue > 0.01


def test_random_particles_lie_anywhere():
    material = material_of(placement="random", space="volume", sizes={"law": "lognormal", "median": 0.3, "sigma": 0.1})
    x, y, z, size = sampled(material, "cube", 15)[1].T
    half_width = material.layout.field_margin * material.scene.half_field
    for along in (x, z):
        assert stats.kstest(along, stats.uniform(-half_width, 2 * half_width).cdf).pvalue > 0.01
    assert y.min() > material.scene.stage_y
    assert np.quantile(y - material.scene.stage_y, 0.95) > 0.8 * material.layout.height * np.median(size)


@pytest.mark.parametrize("shape", ["wire", "platelet"])
def test_lying_particles_lie_flat_on_either_side(shape):
    layout = sample_layout(material_of(shape, orientation="lying", placement="random"), meshes_of(shape), seed=2)
    vertical = layout.rotations[:, :, 1]  # where each mesh's y points
    assert np.abs(vertical[:, [0, 2]]).max() < 1e-6
    assert set(np.round(vertical[:, 1])) == {-1.0, 1.0}
    angle = np.arctan2(layout.rotations[:, 2, 0], layout.rotations[:, 0, 0])
    assert stats.kstest(angle, stats.uniform(-np.pi, 2 * np.pi).cdf).pvalue > 0.01


def test_aligned_wires_point_one_way():
    material = material_of("wire", orientation="lying", placement="random", alignment=[0.4, 0.6], space="volume")
    for seed in range(3):
        rotations = sample_layout(material, meshes_of("wire"), seed=seed).rotations
        directions = np.degrees(np.arctan2(rotations[:, 2, 0], rotations[:, 0, 0])) % 180
        apart = np.abs(directions[:, None] - directions) % 180
        alike = (np.minimum(apart, 180 - apart) < 20).mean(axis=1).max()
        assert 0.3 < alike < 0.85


def test_crossing_wires_lie_level_on_each_other():
    material = material_of("wire", placement="random", orientation="lying", height=12)
    layout, meshes = sample_layout(material, meshes_of("wire"), seed=3), meshes_of("wire")
    bottoms = lowest(layout, meshes) - material.scene.stage_y
    heights = np.array([np.ptp(body.vertices[:, 1]) for body in bodies(layout, meshes)])
    assert 5 < np.sum(bottoms < TOUCHING) < 25
    assert heights == pytest.approx(layout.transforms[:, 3], rel=0.05)


@pytest.mark.parametrize("space", ["planar", "volume"])
@pytest.mark.parametrize("clusters", [1, 3])
def test_tight_clusters_hang_together(space, clusters):
    material = material_of("sphere", space=space, clusters=[clusters, clusters], tightness=1.0)
    layout = sample_layout(material, meshes_of("sphere"), seed=4)
    assert connected_components(separation(layout, meshes_of("sphere")) < TOUCHING)[0] <= clusters


def test_loose_clusters_are_wider():
    def spread(tightness):
        material = material_of("sphere", space="planar", clusters=[1, 1], tightness=tightness)
        layouts, _ = sampled(material, "sphere", 6)
        return np.mean([layout.transforms[:, [0, 2]].std(axis=0) for layout in layouts])

    assert spread(0.5) > 1.2 * spread(1.0)


def test_each_layout_draws_its_own_tightness():
    material = material_of("sphere", space="planar", clusters=[1, 1], tightness=[0.4, 1.0])
    gaps = [
        np.median(separation(layout, meshes_of("sphere")).min(axis=1))
        for layout in (sample_layout(material, meshes_of("sphere"), seed=seed) for seed in range(8))
    ]
    assert min(gaps) < 0.02 < 0.06 < max(gaps)


@pytest.mark.parametrize("stacking", [0.0, 0.3, 0.8])
def test_the_share_that_rests_on_others_is_the_one_asked_for(stacking):
    changes = {"n_particles": [20, 20], "sizes": {"law": "lognormal", "median": 0.5, "sigma": 0.1}}
    material = material_of("sphere", clusters=[1, 1], stacking=stacking, **changes)
    layouts, _ = sampled(material, "sphere", 20)
    bottoms = np.concatenate([lowest(layout, meshes_of("sphere")) for layout in layouts]) - material.scene.stage_y
    # Some of them come down beside their neighbour, and the first of each agglomerate has none.
    assert 0.75 * stacking <= (bottoms > TOUCHING).mean() <= stacking


def test_what_finds_no_place_beside_others_rests_on_them():
    sizes = {"law": "lognormal", "median": 1.3, "sigma": 0.05}
    material = material_of("sphere", sizes=sizes, n_particles=[50, 50], clusters=[2, 2], stacking=0.0)
    layout = sample_layout(material, meshes_of("sphere"), seed=7)
    bottoms = lowest(layout, meshes_of("sphere")) - material.scene.stage_y
    assert len(layout) == 50
    assert (bottoms > TOUCHING).sum() >= 5


@pytest.mark.parametrize("tightness", [0.7, 1.0])
def test_packed_spheres_have_six_neighbours_at_the_distance_of_the_lattice(tightness):
    sizes = {"law": "lognormal", "median": 0.5, "sigma": 0.0}
    changes = {"space": "planar", "clusters": [1, 1], "n_particles": [37, 37], "tightness": tightness}
    material = material_of("sphere", placement="packed", sizes=sizes, **changes)
    layout = sample_layout(material, meshes_of("sphere"), seed=5)
    places = layout.transforms[:, [0, 2]].astype(float)
    distances = np.linalg.norm(places[:, None] - places, axis=2) + 10 * np.eye(len(places))
    spacing = distances.min()
    assert 0.5 / tightness < spacing < 1.1 * 0.5 / tightness
    inner = np.argsort(np.linalg.norm(places - places.mean(axis=0), axis=1))[:7]  # a crystal with its first shell
    assert ((distances[inner] < 1.01 * spacing).sum(axis=1) == 6).all()


def test_a_full_layer_leaves_the_others_to_the_second_one():
    sizes = {"law": "lognormal", "median": 1.5, "sigma": 0.05}
    material = material_of("sphere", placement="packed", sizes=sizes, n_particles=[30, 30], height=3.0, stacking=0.0)
    layout = sample_layout(material, meshes_of("sphere"), seed=6)
    bottoms = lowest(layout, meshes_of("sphere")) - material.scene.stage_y
    assert (bottoms < TOUCHING).sum() >= 10
    assert (bottoms > 0.5).sum() >= 3


@pytest.mark.parametrize("dimensions", [2, 3])
def test_seeds_keep_their_distance(dimensions):
    high = np.full(dimensions, 4.0)
    seeds = poisson_disk_seeds(6, 1.5, -high, high, np.random.default_rng(3))
    distances = np.linalg.norm(seeds[:, None] - seeds[None], axis=2) + 10 * np.eye(len(seeds))
    assert seeds.shape == (6, dimensions)
    assert distances.min() >= 1.5
    assert len(poisson_disk_seeds(50, 3.0, -high, high, np.random.default_rng(3))) < 50


def test_the_number_varies_and_reaches_both_ends():
    assert {len(layout) for layout in sampled(material_of(n_particles=[3, 6]), "cube", 30)[0]} == {3, 4, 5, 6}


def test_the_largest_number_fits_in_every_layout():
    material = material_of(n_particles=[40, 40], sizes={"law": "lognormal", "median": 0.82, "sigma": 0.2})
    assert {len(layout) for layout in sampled(material, "cube", 20)[0]} == {40}


def test_particles_without_a_place_are_counted():
    crowded = {"space": "planar", "placement": "random", "sizes": {"law": "lognormal", "median": 1.0, "sigma": 0.1}}
    meshes = meshes_of("sphere")
    layout = sample_layout(material_of("sphere", n_particles=[35, 60], **crowded), meshes, seed=0)
    assert len(layout) >= 35
    assert layout.missing > 0
    with pytest.raises(LayoutError, match=r"only \d\d of 60 particles found a place .* cover 59% of the field"):
        sample_layout(material_of("sphere", n_particles=[60, 60], **crowded), meshes, seed=1)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"space": "planar"}, r"150 particles of the mean size .* take \d+% of the field's area, and at most 84%"),
        ({"space": "stacked", "height": 0.5}, r"field's volume, and at most 64% can be filled; lower"),
        ({"space": "volume", "height": 0.5}, r"field's volume"),
        ({"space": "volume", "height": 9.0}, r"expected less than the camera's height, 10 scene units, got 9 median"),
        ({"clusters": [5, 5], "seed_radius": 200.0}, r"5 seeds cannot be layout\.seed_radius=200 apart in the field"),
        ({"clusters": [2, 9], "seed_radius": 12.0}, r"2 seeds cannot .* 8\.01 x 8\.01 scene units; lower one of"),
        ({"clusters": [60, 60], "seed_radius": 3.0, "space": "volume"}, r"60 seeds .* 8\.01 x 8\.01 x 3\.9 scene"),
    ],
)
def test_sizes_that_cannot_fit_are_refused(changes, says):
    sizes = {"law": "lognormal", "median": 1.3, "sigma": 0.1}
    with pytest.raises(ConfigError, match=says):
        sample_layout(material_of(n_particles=[150, 150], sizes=sizes, **changes), meshes_of("cube"), seed=0)


def test_clusters_without_room_are_counted():
    def missing(n, seed_radius, seed):
        material = material_of(clusters=[n, n], seed_radius=seed_radius)
        return sample_layout(material, meshes_of("cube"), seed=seed).missing_clusters

    assert sum(missing(5, 4.0, seed) for seed in range(4)) > 0
    assert missing(5, 1.0, 0) == missing(1, 99.0, 0) == 0


@pytest.mark.parametrize("space", ["planar", "stacked", "volume"])
def test_nothing_stands_up_to_the_camera(space):
    sizes = {"law": "bimodal", "mean": [1.0, 12.0], "std": [0.0, 0.0], "share": 0.8}
    material = material_of("sphere", n_particles=[1, 8], sizes=sizes, space=space, height=1)
    layouts, _ = sampled(material, "sphere", 6)
    assert sum(layout.missing for layout in layouts) > 0
    for layout in layouts:
        tops = [body.vertices[:, 1].max() for body in bodies(layout, meshes_of("sphere"))]
        assert max(tops) < material.scene.camera_y
        assert 0 < coverage(layout, meshes_of("sphere"), material) < 1
    with pytest.raises(LayoutError, match=r"only \d of 8 particles are lower than the camera, 10 scene units, and at"):
        sample_layout(material_of("sphere", n_particles=[8, 8], sizes=sizes, height=1), meshes_of("sphere"), seed=0)


@pytest.mark.parametrize(("placement", "space"), PLACES)
def test_the_seed_decides_the_layout(placement, space):
    material, meshes = material_of(placement=placement, space=space, n_particles=[5, 15]), meshes_of("cube")
    first, second, other = (sample_layout(material, meshes, seed=seed) for seed in (5, 5, 6))
    assert first.key == second.key != other.key


@pytest.mark.parametrize("space", ["planar", "stacked", "volume"])
def test_sintered_particles_are_those_of_the_loose_layout_drawn_together(space):
    """One agglomerate, so that its middle is that of all particles."""
    share, alike = 0.3, {"space": space, "clusters": [1, 1], "n_particles": [12, 12]}
    material, meshes = material_of(**alike, sintering=[share, share]), meshes_of("cube")
    loose, sintered = (sample_layout(m, meshes, seed=4) for m in (material_of(**alike), material))
    assert np.array_equal(loose.rotations, sintered.rotations)
    assert np.array_equal(loose.transforms[:, 3], sintered.transforms[:, 3])
    before, after = loose.transforms[:, :3], sintered.transforms[:, :3]
    middle = before.mean(axis=0)
    assert (after - middle)[:, [0, 2]] == pytest.approx((1 - share) * (before - middle)[:, [0, 2]], abs=1e-5)
    stage_y = material.scene.stage_y
    above = [lowest(layout, meshes) - stage_y for layout in (loose, sintered)]
    assert above[1] - CLEARANCE == pytest.approx((1 - share) * (above[0] - CLEARANCE), abs=1e-4)
    assert separation(loose, meshes).min() > 0 > separation(sintered, meshes).min()


def test_particles_at_random_cannot_sinter():
    with pytest.raises(ConfigError, match="no agglomerates to sinter in, but sintering is"):
        material_of(placement="random", sintering=[0, 0.2])


def test_what_cannot_be_arranged_is_refused():
    with pytest.raises(ConfigError, match="set it to planar or stacked"):
        material_of(placement="packed", space="volume")
    with pytest.raises(ConfigError, match="set orientation to lying"):
        material_of(orientation="free", alignment=0.5)
    with pytest.raises(ConfigError, match="low <= high"):
        material_of(tightness=[0.9, 0.5])
