"""Typed settings: what is accepted, what is refused, and by which name."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from pydantic import ValidationError

from drgan_lib.config import (
    APPEARANCES,
    DETECTOR_BOUNDS,
    MATERIALS,
    PROFILES,
    SEM_BOUNDS,
    SHAPES,
    ConfigError,
    DatasetSettings,
    EmpiricalSizes,
    GanSettings,
    SegmentationSettings,
    ShapeSettings,
    load_experiment,
    materials,
    parse_overrides,
)


@pytest.fixture
def write(tmp_path):
    """Writes a material's file under the name `mine`, with changes, and returns its path."""

    def make(material: str, **changes) -> str:
        tree = yaml.safe_load((MATERIALS / f"{material}.yaml").read_text())
        path = tmp_path / "mine.yaml"
        path.write_text(yaml.safe_dump(tree | {"name": "mine"} | changes))
        return str(path)

    return make


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("material", materials())
def test_every_material_loads_at_every_profile(material, profile):
    exp = load_experiment(material, profile)
    assert exp.material.name == material
    assert exp.run_dir == Path("runs") / material / profile
    gan, beyond = exp.profile.gan, exp.profile.name in ("laptop", "gpu")
    assert gan.appearance == ("sem" if beyond and not exp.material.dataset.twin_of else "principled")
    known = APPEARANCES[gan.appearance] + (tuple(DETECTOR_BOUNDS) if gan.detector == "poisson_gaussian" else ())
    assert exp.material.parameters == tuple(name for name in known if name in exp.material.bounds)


def test_the_paper_profile_is_the_paper():
    exp = load_experiment("tio2_sem", "paper")
    gan, scene = exp.profile.gan, exp.material.scene
    assert (gan.epochs, gan.lr_generator, gan.lr_discriminator, gan.betas) == (50, 2e-4, 1e-4, (0.5, 0.999))
    assert (gan.objective, gan.appearance, gan.support, gan.detector) == ("gan", "principled", "flat", "gaussian")
    assert (gan.dropout, gan.hidden, gan.discriminator_layers, gan.discriminator_channels) == (0.2, 128, 3, 64)
    assert (scene.camera_y, scene.fov_deg, scene.size_px) == (6.0, 40.0, 256)
    assert (scene.stage_y, scene.stage_half_extent) == (-4.0, 10.0)
    assert (scene.torus_radius, scene.torus_radiance) == (15.0, 1.0)
    assert (scene.top_y, scene.top_half_extent, scene.top_radiance) == (8.0, 10.0, 0.1)
    assert exp.material.bounds["base_color"] == (0.01, 5.0)
    assert exp.profile.synthesis.n_images == 1000
    assert not exp.profile.synthesis.textures
    assert exp.profile.segmentation.trainer == "default"


def test_the_materials_are_those_of_the_paper_real_ones_and_a_twin():
    paper = {"tio2_him", "sio2_him", "tio2_sem", "agnw_sem"}
    real = {"microspheres_sem", "ellipsoids_sem", "spheres_sem", "rods_sem"}
    assert set(materials()) == paper | real | {"twin"}
    assert load_experiment("tio2_him").material.dataset.modality == "HIM"


@pytest.mark.parametrize(
    ("name", "count", "stage", "noise", "contour", "spp", "filter_std"),
    [
        ("tio2_him", 15, 0.3, 0.2, 4, 16, 3.0),
        ("sio2_him", 20, 0.3, 0.2, 4, 16, 3.0),
        ("tio2_sem", 40, 0.4, 0.1, 1, 121, 0.5),
        ("agnw_sem", 10, 5.0, 0.2, 4, 121, 0.5),
    ],
)
def test_the_papers_materials_have_its_settings(name, count, stage, noise, contour, spp, filter_std):
    material = load_experiment(name, "paper").material
    assert (material.meshes.count, material.contour_px) == (count, contour)
    assert (material.scene.spp, material.scene.filter_std_px) == (spp, filter_std)
    limits = dict.fromkeys(("roughness", "base_color", "sheen", "spec_tint"), (0.01, 5.0))
    assert material.bounds == {**limits, "stage_base_color": (0.01, stage), "noise_sigma": (0.001, noise)}


def test_the_spheres_of_the_paper_are_of_two_sizes():
    law = load_experiment("sio2_him").material.layout.sizes
    assert law.mean[1] / law.mean[0] == pytest.approx(0.3 / 0.8)
    assert law.share == 0.7


@pytest.mark.parametrize("material", materials())
def test_every_material_can_be_run_on_its_own_twin(material):
    exp = load_experiment(material, "demo", [f"dataset.twin_of={material}"])
    dataset, twin = exp.material.dataset, exp.material.twin
    assert (dataset.twin_of, dataset.registry, dataset.subset, dataset.sample_rows) == (material, None, None, None)
    for name, (low, high) in exp.material.bounds.items():
        mean, std = twin.truth[name]
        assert low < mean - 2 * std < mean + 2 * std < high


def test_a_profile_changes_patches_and_an_override_has_the_last_word():
    assert load_experiment("twin", "demo").material.patches.max_train == PROFILES["demo"].patches["max_train"]
    exp = load_experiment("twin", "demo", ["patches.max_train=5", "gan.epochs=2", "bounds.roughness=[0, 1]"])
    assert exp.material.patches.max_train == 5
    assert exp.profile.gan.epochs == 2
    assert exp.material.bounds["roughness"] == (0, 1)


def test_a_detector_learns_its_own_parameters_too(write):
    paper = load_experiment("tio2_sem", "demo").material
    exp = load_experiment("tio2_sem", "demo", ["gan.detector=poisson_gaussian", "bounds.blur_px=[0, 3]"])
    assert exp.material.bounds == paper.bounds | DETECTOR_BOUNDS | {"blur_px": (0, 3)}
    assert exp.material.parameters == (*paper.parameters, *DETECTOR_BOUNDS)
    assert exp.material.model_copy(update={"bounds": paper.bounds}) == paper
    mine = write("tio2_sem", bounds=paper.model_dump(mode="json")["bounds"] | {"shot_noise": [0, 0.3]})
    assert load_experiment(mine, "demo").material.bounds == paper.bounds, "the paper's learns none of them"
    exp = load_experiment(mine, "demo", ["gan.detector=poisson_gaussian"])
    assert exp.material.bounds["shot_noise"] == (0, 0.3)


@pytest.mark.parametrize(
    "text",
    ["/a b/c#d", "2024-11-26", "no", "50%", "'quoted'", '"x"', "~/Bilder/Größe", "1e3", "[a]", "a: b", ""],
)
def test_texts_and_paths_are_taken_as_they_stand(text):
    keys = ("dataset.path", "meshes.path", "layout.sizes.table", "dataset.licence", "title", "gan.inception_weights")
    assert parse_overrides([f"{key}={text}" for key in keys]) == dict.fromkeys(keys, text)
    assert parse_overrides(["dataset.path=null", "gan.spp=null"]) == {"dataset.path": None, "gan.spp": None}


def test_overrides_are_read_as_yaml():
    pairs = parse_overrides(["gan.lr_generator=0.001", "dataset.path=/images", "contour_px = 2"])
    assert pairs == {"gan.lr_generator": 0.001, "dataset.path": "/images", "contour_px": 2}
    assert parse_overrides({"a.b": "1"}) == {"a.b": "1"}
    assert parse_overrides(None) == {}


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["gan.epoch=3"], "gan.epoch"),
        (["gna.epochs=3"], "unknown section 'gna'"),
        (["gan.epochs=many"], "gan.epochs"),
        (["gan.epochs=0"], "gan.epochs"),
        (["gan.epochs.first=1"], "goes deeper"),
        (["gan.epochs"], "expected section.key=value"),
        (["bounds.colour=[0, 1]"], "unknown parameter 'colour'"),
        (["bounds.roughness=[2, 1]"], "0 <= low < high"),
        (["patches.size_px=128"], "scene.size_px is 256"),
        (["scene.camera_y=9"], "stage_y < camera_y < top_y"),
        (["layout.n_particles=[0, 4]"], "expected at least 1"),
        (["layout.n_particles=[9, 4]"], "swap them"),
        (["dataset.twin_of=null"], "no source of images"),
        (["dataset.subset=rods_sem"], "no dataset.registry to take it from"),
        (["meshes.max_triangles=6000"], "meshes.max_triangles"),
        (["gan.epochs=[1"], "'gan.epochs=[1': not valid YAML"),
        (["licence=2020-13-45"], "not valid YAML"),
        (["twin.n_particles=[80, 25]"], "swap them"),
        (["twin.clusters=[0, 3]"], "expected at least 1"),
        (["twin.truth.roughness=[0.6, 0]"], "deviation above 0"),
        (["twin.size_px=256", "patches.size_px=512", "scene.size_px=512"], "twin.size_px"),
        (["twin.size_px=1024"], "twin.size_px: expected at most 639"),  # 20 units of 35.2 px, with the margin of 1.1
        (["twin.truth.roughness=[9, 0.01]"], "twin.truth.roughness: expected a mean within the bounds, 0.05 to 1"),
        (["dataset.path=mine", "dataset.twin_of=twin"], "got dataset.path=mine and dataset.twin_of=twin"),
        (["dataset.path=mine", "dataset.registry=emps"], "leave out all but one"),
        (["dataset.twin_of=gold"], "dataset.twin_of: unknown material 'gold'"),
        (["dataset.twin_of=agnw_sem", "twin.n_train=1"], "twin.n_train: describes the twin of twin"),
        (["dataset.path=mine", "twin.seed=1", "twin.spp=2"], "twin.seed, twin.spp: describes"),
        (["meshes.shape=banana"], "meshes: Input tag 'banana'"),
        (["layout.sizes.law=normal"], "layout.sizes.mean: Field required"),
        (
            ["layout.sizes.law=bimodal", "layout.sizes.mean=[0, 1]"],
            "layout.sizes.mean.0: Input should be greater than 0",
        ),
        (["meshes.shape=rod", "meshes.cap=[0, 2]"], "meshes.cap: expected values from 0 to 1"),
        (["twin.dose=[0, 9]"], "twin.dose: expected at least 1"),
        (["patches.size_px=120", "scene.size_px=120", "twin.size_px=256"], "expected a multiple of 16"),
        (["segmentation.trainer=default", "segmentation.iterations=9"], "segmentation.iterations"),
        (["name=../up"], "unknown section 'name'"),
        (["gan.appearance=him"], "gan.appearance: Input should be 'principled' or 'sem'"),
        (["gan.appearance=sem"], "the twin of twin is rendered with gan.appearance=principled, got sem"),
        (
            ["dataset.path=mine", "gan.appearance=sem", "gan.renderer=mitsuba"],
            "needs gan.renderer=transport, got mitsuba",
        ),
        (["gan.appearance=sem", "bounds.detector_x=[-2, 1]"], "detector_x: expected -1 <= low < high"),
        (["gan.appearance=sem", "bounds.sheen=[0, 1]"], "bounds.sheen: is not learned with gan.appearance=sem"),
        (["bounds.tilt=[0, 1]"], "bounds.tilt: is not learned with gan.appearance=principled"),
        (["gan.detector=poisson"], "gan.detector"),
        (["bounds.blur_px=[0, 1]"], "is not learned with gan.appearance=principled and gan.detector=gaussian; change"),
        (["gan.detector=poisson_gaussian", "bounds.blur_px=[1, 0]"], "blur_px: expected 0 <= low < high"),
    ],
)
def test_what_cannot_be_is_refused_by_name(overrides, message):
    with pytest.raises(ConfigError) as caught:
        load_experiment("twin", "demo", overrides)
    assert message in str(caught.value)


@pytest.mark.parametrize("material", materials())
def test_a_folder_of_ones_own_takes_nothing_from_the_materials_images(material):
    settings = load_experiment(material, "demo", ["dataset.path=mine", "dataset.pixel_size_nm=2"]).material.dataset
    assert settings == DatasetSettings(path="mine", pixel_size_nm=2)
    assert load_experiment(material, "demo", ["dataset.path=null"]) == load_experiment(material)


def test_another_registry_takes_nothing_from_the_materials_images():
    for material in ("twin", "tio2_sem"):
        overrides = ["dataset.registry=emps", "dataset.subset=rods_sem"]
        settings = load_experiment(material, "demo", overrides).material.dataset
        assert settings == DatasetSettings(registry="emps", subset="rods_sem")


def test_two_sources_in_a_file_are_refused(write):
    path = write("twin", dataset={"path": "mine", "registry": "emps"})
    with pytest.raises(
        ConfigError, match=r"dataset: expected one source.* dataset\.path=mine and dataset\.registry=emps"
    ):
        load_experiment(path)


@pytest.mark.parametrize("material", ["twin", "tio2_sem", "tio2_him"])
@pytest.mark.parametrize("source", ["agnw_sem", "sio2_him", "tio2_sem"])
def test_the_twin_of_another_material_brings_its_pixel_size_and_modality(material, source):
    found = load_experiment(material, "demo", {"dataset.twin_of": source}).material.dataset
    expected = load_experiment(source).material.dataset
    assert (found.modality, found.pixel_size_nm) == (expected.modality, expected.pixel_size_nm)
    assert (found.twin_of, found.registry, found.annotations) == (source, None, "all, it is a twin")
    overrides = {"dataset.twin_of": source, "dataset.pixel_size_nm": 3.5}
    assert load_experiment(material, "demo", overrides).material.dataset.pixel_size_nm == 3.5


def test_a_file_that_names_anothers_twin_has_its_pixel_size_too(write):
    path = write("tio2_sem", dataset={"twin_of": "agnw_sem"})
    assert load_experiment(path).material.dataset.pixel_size_nm == 12


@pytest.mark.parametrize("section", [{"twin.n_train": 1}, {"twin": {"truth": {}}}])
def test_settings_of_a_twin_that_is_not_used_are_refused(section):
    with pytest.raises(ConfigError, match=r"^twin.* others; add dataset\.twin_of=tio2_sem"):
        load_experiment("tio2_sem", "demo", section)
    used = load_experiment("tio2_sem", "demo", {"dataset.twin_of": "tio2_sem", "twin.n_train": 1})
    assert used.material.twin.n_train == 1


def test_the_twin_reaches_no_further_than_the_stage():
    scene = {"scene.stage_half_extent": 16.1, "twin.size_px": 1024}
    assert load_experiment("twin", "demo", scene).material.twin.size_px == 1024
    with pytest.raises(ConfigError, match=r"expected at most 959.*lower it or layout\.field_margin"):
        load_experiment("twin", "demo", {**scene, "scene.stage_half_extent": 15})


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("material", materials())
def test_any_material_takes_any_shape(material, shape):
    before = load_experiment(material).material.meshes
    meshes = load_experiment(material, "demo", {"meshes.shape": shape}).material.meshes
    common = {name: getattr(before, name) for name in ShapeSettings.model_fields}
    assert meshes == (before if shape == before.shape else type(meshes)(**common))
    again = load_experiment(material, "demo", {"meshes.shape": shape, "meshes.count": 3}).material.meshes
    assert again == meshes.model_copy(update={"count": 3})


@pytest.mark.parametrize(
    "law",
    [
        {"law": "normal", "mean": 30, "std": 1},
        {"law": "bimodal", "mean": [30, 60], "std": [1, 2], "share": 0.4},
        {"law": "lognormal", "median": 30, "sigma": 0.1},
    ],
)
@pytest.mark.parametrize("material", ["twin", "sio2_him", "rods_sem"])
def test_any_material_takes_any_law_and_keeps_its_unit(material, law):
    overrides = {f"layout.sizes.{name}": value for name, value in law.items()}
    sizes = load_experiment(material, "demo", overrides).material.layout.sizes
    unit = load_experiment(material).material.layout.sizes.unit
    assert sizes == type(sizes)(**law, unit=unit)


def test_a_table_of_sizes_is_in_nm_whatever_the_file_says():
    overrides = {"layout.sizes.law": "empirical", "layout.sizes.table": "t.csv", "dataset.path": "mine"}
    sizes = load_experiment("rods_sem", "demo", {**overrides, "dataset.pixel_size_nm": 2}).material.layout.sizes
    assert sizes == EmpiricalSizes(table="t.csv")


def test_the_default_trainer_leaves_the_profiles_compact_settings_out():
    settings = load_experiment("twin", "demo", ["segmentation.trainer=default"]).profile.segmentation
    assert settings == SegmentationSettings(trainer="default", seam_px=2)
    with pytest.raises(ConfigError, match=r"segmentation\.features.*segmentation\.trainer=compact"):
        load_experiment("twin", "paper", ["segmentation.features=16"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected settings"),
        ("just words", "expected settings"),
        ("name: [", "not valid YAML"),
        ("patches: null", "patches: expected settings"),
        ("dataset: null", "dataset: expected settings"),
        ("1: 2", "bounds: Field required"),
    ],
)
def test_a_malformed_material_file_is_one_message(tmp_path, text, message):
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_experiment(str(path))


def test_unknown_names_come_with_the_known_ones():
    with pytest.raises(ConfigError, match=r"unknown material 'gold'.*tio2_sem, twin"):
        load_experiment("gold")
    with pytest.raises(ConfigError, match=r"unknown profile 'fast'.*demo, laptop, gpu, paper"):
        load_experiment("twin", "fast")


def test_a_material_of_ones_own_is_a_yaml_file(tmp_path):
    tree = yaml.safe_load((MATERIALS / "twin.yaml").read_text())
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump({**tree, "name": "mine"}))
    assert load_experiment(str(path)).material.name == "mine"
    for name in ("../up", ".hidden", "a b", ""):
        path.write_text(yaml.safe_dump({**tree, "name": name}))
        with pytest.raises(ConfigError, match=f"name: expected letters, digits.*got '{name}'"):
            load_experiment(str(path))
    del tree["bounds"]["base_color"]
    path.write_text(yaml.safe_dump(tree))
    with pytest.raises(ConfigError, match="bounds are missing for base_color"):
        load_experiment(str(path))


@pytest.mark.parametrize("name", materials())
def test_any_material_takes_the_appearance_of_electrons(name):
    """Bounds stay where they mean the same, the rest are the library's; overrides have the last word."""
    overrides = ["dataset.path=mine", "gan.appearance=sem", "bounds.tilt=[0, 2]"]
    material = load_experiment(name, "demo", overrides).material
    paper = load_experiment(name).material
    assert material.bounds == SEM_BOUNDS | {"noise_sigma": paper.bounds["noise_sigma"], "tilt": (0, 2)}
    assert (material.appearance, paper.appearance) == ("sem", "principled")


def test_a_file_may_have_bounds_for_each_appearance(write):
    paper = load_experiment("tio2_sem").material
    path = write("tio2_sem", bounds=paper.model_dump(mode="json")["bounds"] | {"flat": [0.2, 0.4]})
    assert load_experiment(path).material.bounds == paper.bounds
    electrons = load_experiment(path, "demo", ["gan.appearance=sem"]).material
    assert electrons.bounds["flat"] == (0.2, 0.4)
    assert electrons.parameters == tuple(SEM_BOUNDS)


def test_runs_come_from_the_argument_or_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("DRGAN_RUNS", str(tmp_path))
    assert load_experiment("twin").runs == tmp_path
    assert load_experiment("twin", runs="here").runs == Path("here")


def test_settings_cannot_be_changed():
    with pytest.raises(ValidationError):
        GanSettings().epochs = 3


def test_loading_an_experiment_makes_no_folder(tmp_path):
    exp = load_experiment("twin", runs=tmp_path / "runs")
    assert exp.run_dir == tmp_path / "runs/twin/demo"
    assert not exp.runs.exists()
