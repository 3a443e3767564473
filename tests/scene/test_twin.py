"""The twin: complete, recorded, deterministic, its masks exact, and other than what training renders."""

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
import trimesh
from scipy.ndimage import minimum_filter

from drgan_lib.config import ConfigError, load_experiment
from drgan_lib.scene import make_meshes, sample_layout, twin
from drgan_lib.scene.build import merge_particles
from drgan_lib.scene.render import Renderer
from drgan_lib.scene.twin import make_twin, recipe, true_parameters, twin_material

TINY = ["twin.n_train=1", "twin.n_test=1", "twin.size_px=256", "twin.spp=1"]
TINY += ["twin.n_particles=[5, 9]", "twin.clusters=[1, 2]", "meshes.count=4"]
IDEAL = ["twin.blur_px=[0, 0]", "twin.dose=null", "twin.line_noise=[0, 0]", "twin.truth.noise_sigma=[0.001, 1e-6]"]


def tiny(*overrides):
    return load_experiment("twin", "demo", [*TINY, *overrides]).material


def read(folder, kind="images", k=0):
    return tifffile.imread(folder / kind / f"twin_{k:03d}.tif")


def content(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def first_hits(origin, rays, triangles, owners):
    """Owner of the triangle [m, 3, 3] that each ray [n, 3] from `origin` meets first (Moeller-Trumbore), 0: none."""
    corner, edge, other = triangles[:, 0], triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    found = []
    for ray in rays:
        p = np.cross(ray, other)
        inverse = 1 / np.einsum("ij,ij->i", edge, p)
        u = np.einsum("ij,ij->i", origin - corner, p) * inverse
        q = np.cross(origin - corner, edge)
        v = q @ ray * inverse
        depth = np.where((u >= 0) & (v >= 0) & (u + v <= 1), np.einsum("ij,ij->i", other, q) * inverse, np.inf)
        found.append(owners[depth.argmin()] if np.isfinite(depth.min()) else 0)
    return np.array(found)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return make_twin(tiny(), tmp_path_factory.mktemp("twin"))


def test_a_twin_is_complete(made):
    table = pd.read_csv(made / "registry.tsv", sep="\t")
    assert list(table["kind"]) == ["image", "instances"] * 2
    assert list(table["split"]) == ["train", "train", "test", "test"]
    image, ids = read(made), read(made, "masks")
    assert (image.shape, image.dtype, ids.shape, ids.dtype) == ((256, 256), np.uint8, (256, 256), np.uint16)
    assert 1 <= len(np.unique(ids)) - 1 <= 9
    assert image[ids > 0].mean() > image[ids == 0].mean()


def test_the_truth_has_the_parameters_and_then_the_conditions(made):
    table, material = pd.read_csv(made / "truth.csv"), tiny()
    assert list(table) == ["split", *material.parameters, "blur_px", "dose", "line_noise", "shot_noise", "specks"]
    assert list(table["split"]) == ["train", "test"]
    for name in ("blur_px", "dose", "line_noise", "specks"):
        assert table[name].between(*getattr(material.twin, name)).all()
    assert table.nunique().drop(["split", "specks"]).eq(2).all(), "every micrograph has its own"


def test_what_an_interruption_left_does_not_look_complete_and_is_gone_on_with(made, tmp_path, monkeypatch):
    take, taken = Renderer.instance_ids, []

    def interrupt(self, layout):
        taken.append(layout)
        if len(taken) == 2:
            raise KeyboardInterrupt
        return take(self, layout)

    monkeypatch.setattr(Renderer, "instance_ids", interrupt)
    with pytest.raises(KeyboardInterrupt):
        make_twin(tiny(), tmp_path)
    left = content(tmp_path / made.name)
    assert sorted(path.name for path in left) == ["twin_000.tif", "twin_000.tif"], "no registry, nothing half-made"
    folder = make_twin(tiny(), tmp_path)
    assert len(taken) == 3, "the first micrograph was taken once"
    assert content(folder) == content(made), "the same settings give the same bytes"


def test_several_processes_take_the_same_micrographs(made, tmp_path, monkeypatch):
    monkeypatch.setattr(twin, "usable_cores", lambda: 2)
    monkeypatch.setattr(twin, "LEAST_JOBS", 1)
    monkeypatch.setattr(twin, "Camera", None)  # that of this process
    assert content(make_twin(tiny(), tmp_path)) == content(made)


def test_a_complete_twin_is_not_made_again_and_a_damaged_one_is(made, tmp_path, monkeypatch):
    path, other = made / "images/twin_000.tif", made / "images/twin_001.tif"
    before, times = path.read_bytes(), (path.stat().st_mtime_ns, other.stat().st_mtime_ns)
    assert make_twin(tiny(), made.parent) == made
    assert path.stat().st_mtime_ns == times[0]
    path.unlink()
    make_twin(tiny(), made.parent)
    assert path.read_bytes() == before
    assert other.stat().st_mtime_ns == times[1]


def test_masks_are_what_the_rays_through_the_pixel_centres_hit_first(made):
    material = tiny()
    seen = twin_material(material)
    meshes = make_meshes(seen)
    layout = sample_layout(seen, meshes, seed=1000 * material.twin.seed)
    vertices, _, faces, owners = merge_particles(layout, meshes)
    ids = read(made, "masks")
    on = np.argwhere(ids > 0)
    pixels = np.concatenate([on[:: max(1, len(on) // 300)], np.argwhere(ids == 0)[::500]])
    scene = seen.scene
    plane = (2 * (pixels[:, ::-1] + 0.5) / scene.size_px - 1) * scene.half_field  # x to the right, z down
    drop = np.full(len(pixels), scene.stage_y - scene.camera_y)
    rays = np.column_stack([plane[:, 0], drop, plane[:, 1]])
    expected = first_hits(np.array([0.0, scene.camera_y, 0.0]), rays, vertices[faces].astype(float), owners)
    assert (expected == ids[pixels[:, 0], pixels[:, 1]]).mean() > 0.995, "single precision may differ at an edge"


def test_dirt_lies_on_the_stage_under_the_particles_and_not_in_the_mask(tmp_path):
    clean, dirty = (make_twin(tiny(*IDEAL, f"twin.specks=[{n}, {n}]", "twin.spp=4"), tmp_path) for n in (0, 25))
    ids = read(clean, "masks")
    np.testing.assert_array_equal(ids, read(dirty, "masks"))
    changed = np.abs(read(clean).astype(int) - read(dirty)) > 1
    assert 200 < changed[ids == 0].sum() < 0.3 * (ids == 0).sum()
    inside = minimum_filter(ids > 0, size=5)  # the film's filter reaches 2 px
    assert not changed[inside].any()


def test_a_wide_filter_is_that_of_training(tmp_path):
    """Blurred after a narrow filter, the micrograph is what Mitsuba makes with the wide one, but for the samples."""
    material = tiny(*IDEAL, "twin.specks=[0, 0]", "twin.spp=4", "scene.filter_std_px=3")
    image = read(make_twin(material, tmp_path)) / 255
    seen = twin_material(material)
    wide = seen.model_copy(update={"scene": seen.scene.model_copy(update={"filter_std_px": 3.0})})
    meshes = make_meshes(seen)
    layout = sample_layout(seen, meshes, seed=1000 * material.twin.seed)
    values = torch.tensor(true_parameters(material, 2, seed=material.twin.seed).iloc[0].to_numpy(), dtype=torch.float32)
    expected = Renderer(wide, meshes, spp=4).image(values, layout, seed=0).clamp(0, 1).numpy()
    assert np.abs(image - expected)[12:-12, 12:-12].max() < 0.06
    assert np.abs(image - expected).mean() < 0.006


def test_its_particles_are_not_those_of_training():
    material = tiny()
    seen = twin_material(material)
    assert seen.meshes.seed not in (material.meshes.seed, twin_material(tiny("twin.seed=8")).meshes.seed)
    ours, theirs = make_meshes(seen), make_meshes(material)
    assert not any(np.array_equal(a.vertices, b.vertices) for a in ours for b in theirs)
    assert seen.scene_unit_px == pytest.approx(material.scene_unit_px)


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        (["contour_px=3"], True),
        (["patches.stride_px=32"], True),
        (["bounds.roughness=[0.1, 1]"], False),
        (["twin.seed=8"], False),
        (["twin.specks=[0, 1]"], False),
        (["dataset.pixel_size_nm=5"], False),
    ],
)
def test_the_recipe_changes_with_what_the_images_depend_on(changes, same):
    assert (recipe(tiny(*changes)) == recipe(tiny())) is same


def test_the_users_meshes_belong_to_the_recipe_by_content(tmp_path):
    for name in ("first", "second"):
        trimesh.creation.box().export((tmp_path / name).with_suffix(".ply"))
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.ply").write_bytes((tmp_path / f"{name}.ply").read_bytes())
    recipes = [recipe(tiny(f"meshes.path={tmp_path / name}")) for name in ("first", "second")]
    (tmp_path / "second/a.ply").write_bytes(b"other")
    recipes.append(recipe(tiny(f"meshes.path={tmp_path / 'second'}")))
    assert recipes[0] == recipes[1] != recipes[2]


def test_too_many_particles_are_found_before_the_first_image(tmp_path, monkeypatch):
    monkeypatch.setattr(Renderer, "image", lambda *_, **__: pytest.fail("rendered"))
    with pytest.raises(ConfigError, match=r"the twin of twin: layout\.n_particles: 900.*as twin\.n_particles"):
        make_twin(tiny("twin.n_particles=[900, 900]", "layout.sizes.median=2", "layout.space=planar"), tmp_path)


def test_true_parameters_follow_the_recorded_law():
    material = load_experiment("twin").material
    table = true_parameters(material, 4000, seed=0)
    for name, (low, high) in material.bounds.items():
        assert table[name].between(low, high).all()
    mean, std = material.twin.truth["roughness"]
    assert abs(table["roughness"].mean() - mean) < 0.2 * std
