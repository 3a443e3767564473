"""What the keys of stages and pages see, and what not."""

from __future__ import annotations

import shutil

import pytest

from drgan_lib.config import MATERIALS, REGISTRIES, ConfigError, load_experiment
from drgan_lib.runs import keys
from drgan_lib.runs.keys import STAGES

TESTED = {"segmentation", "quantification"}
AFTER_DATA = {"data", "gan", "synthesis"} | TESTED


def keys_of(exp, notebooks):
    return {name: keys.key_of(parts) for name, parts in keys.stage_parts(exp, notebooks).items()}


@pytest.fixture
def notebooks(tmp_path):
    folder = tmp_path / "notebooks"
    folder.mkdir()
    for stage in STAGES:
        (folder / f"{stage.notebook}.py").write_text("x = 1\n")
    return folder


@pytest.fixture
def images(tmp_path):
    """Five micrographs, of which e.tif is for testing; keys do not read them, so they are just bytes."""
    folder = tmp_path / "images"
    (folder / "masks").mkdir(parents=True)
    for name in "abcde":
        (folder / f"{name}.tif").write_text(name)
        (folder / f"masks/{name}.tif").write_text(name)
    return folder


@pytest.fixture
def changed(images, notebooks):
    """Stages whose key, and whose page, differ between two calls."""
    last = []

    def compare(folder=images, material="tio2_sem", **overrides):
        overrides = {name.replace("__", "."): value for name, value in overrides.items()}
        exp = load_experiment(material, overrides={"dataset.path": str(folder), **overrides})
        now = keys_of(exp, notebooks), keys.page_keys(exp, notebooks)
        before = last[-1] if last else now
        last.append(now)
        return tuple({name for name in new if new[name] != old[name]} for new, old in zip(now, before, strict=True))

    compare()
    return compare


def test_comments_change_the_page_and_code_changes_the_key(changed, notebooks):
    scene = notebooks / "02_scene_design.py"
    scene.write_text("# a remark\nx = 1\n")
    assert changed() == (set(), {"scene"})
    scene.write_text("# a remark\nx = 2\n")
    assert changed() == ({"scene", "gan", "synthesis"} | TESTED, {"scene"})


def test_the_code_behind_a_notebook_counts_and_what_shows_results_concerns_the_page(changed, monkeypatch):
    code = {"segmentation/match.py": "a", "segmentation/plots.py": "a"}

    def behind(notebook, named, showing=False):
        mine = code if notebook.stem == "05_segmentation_evaluation" else {}
        return {name: value for name, value in mine.items() if showing or "plots" not in name}

    monkeypatch.setattr(keys, "code_behind", behind)
    changed()
    code["segmentation/plots.py"] = "b"
    assert changed() == (set(), {"segmentation"})
    code["segmentation/match.py"] = "b"
    assert changed() == (TESTED, {"segmentation"})


def test_what_differs_is_said(images, notebooks):
    exp = load_experiment("tio2_sem", overrides={"dataset.path": str(images)})
    before = keys.stage_parts(exp, notebooks)
    exp = load_experiment("tio2_sem", overrides={"dataset.path": str(images), "gan.epochs": 3}, seed=1)
    (images / "a.tif").write_text("other")
    now = keys.stage_parts(exp, notebooks)
    assert keys.differences(before["gan"], now["gan"]) == ["seed", "settings: profile.gan", "stages: data, scene"]
    assert keys.differences(before["data"], now["data"]) == ["seed", "data: train"]
    assert keys.differences(now["gan"], now["gan"]) == []


def test_training_images_count_by_content(changed, images):
    (images / "a.tif").touch()
    assert changed() == (set(), set())
    (images / "a.tif").write_text("other")
    assert changed() == (AFTER_DATA, set())


def test_masks_of_training_images_and_other_files_do_not_count(changed, images):
    (images / "masks/a.tif").write_text("other")
    (images / "notes.txt").write_text("other")
    assert changed() == (set(), set())


def test_masks_of_training_images_count_where_an_arm_learns_from_them(changed, images):
    changed(segmentation__arms="synthetic,real+synthetic")
    (images / "masks/a.tif").write_text("other")
    assert changed(segmentation__arms="synthetic,real+synthetic") == (TESTED, set())


def test_the_order_of_the_arms_counts(changed):
    """The first one gives the figures of the run."""
    changed(segmentation__arms="synthetic,otsu")
    assert changed(segmentation__arms="otsu,synthetic") == (TESTED, set())
    assert changed(segmentation__arms="otsu, synthetic:1") == (set(), set())


@pytest.mark.parametrize("name", ["e.tif", "masks/e.tif"])
def test_test_images_and_masks_concern_the_segmentation_and_the_list(changed, images, name):
    (images / name).write_text("other")
    assert changed() == (TESTED, {"data"})
    (images / "masks/e.tif").unlink()
    assert changed() == (TESTED, {"data"})


def test_the_place_and_the_terms_of_the_data_do_not_count(changed, images, tmp_path):
    shutil.copytree(images, tmp_path / "moved")
    assert changed(tmp_path / "moved") == (set(), set())
    assert changed(tmp_path / "moved", dataset__licence="CC0") == (set(), {"data"})


def test_the_registry_gives_the_files_without_reading_them(notebooks, monkeypatch, tmp_path):
    exp = load_experiment("tio2_sem")
    before = keys_of(exp, notebooks)
    registry = tmp_path / "tio2_sem/registry.tsv"
    registry.parent.mkdir(parents=True)
    lines = (REGISTRIES / "tio2_sem/registry.tsv").read_text().splitlines(keepends=True)
    shutil.copy(REGISTRIES / "tio2_sem/overlays.tsv", registry.parent)
    monkeypatch.setattr(keys, "REGISTRIES", tmp_path)

    def changed_if(kind: str, split: str) -> set[str]:
        which = next(i for i, line in enumerate(lines) if line.split("\t")[1:3] == [kind, split])
        edited = [
            line.replace("\t" + line.split("\t")[4], "\tdigest") if i == which else line for i, line in enumerate(lines)
        ]
        registry.write_text("".join(edited))
        return {name for name, key in keys_of(exp, notebooks).items() if key != before[name]}

    assert changed_if("image", "train") == AFTER_DATA
    assert changed_if("mask", "train") == set()
    assert changed_if("image", "test") == TESTED
    assert changed_if("mask", "test") == TESTED


def test_mesh_files_count_by_content(changed, tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.ply").write_text("a mesh")
    changed(meshes__path=str(tmp_path / "first"))
    assert changed(meshes__path=str(tmp_path / "second")) == (set(), set())
    (tmp_path / "second/a.ply").write_text("another mesh")
    assert changed(meshes__path=str(tmp_path / "second"))[0] == {stage.name for stage in STAGES}


def test_the_twin_of_another_material_counts_by_its_settings(notebooks, tmp_path):
    text = (MATERIALS / "twin.yaml").read_text().replace("name: twin\n", "name: other\n", 1)
    other = tmp_path / "other.yaml"

    def changed_if(old: str, new: str) -> set[str]:
        found = []
        for content in (text, text.replace(old, new)):
            other.write_text(content)
            exp = load_experiment("tio2_sem", overrides={"dataset.twin_of": str(other)})
            found.append(keys_of(exp, notebooks))
        return {name for name in found[0] if found[0][name] != found[1][name]}

    assert "specks:" in text
    assert changed_if("specks: [4, 12]", "specks: [4, 13]") == AFTER_DATA
    assert changed_if("count: 12, seed: 3", "count: 12, seed: 4") == AFTER_DATA
    assert changed_if("title: ", "title: The ") == set()
    assert changed_if("contour_px: 1", "contour_px: 2") == set()


def test_the_pixel_size_concerns_the_layouts_too(changed):
    """Layouts of sizes in nm depend on it."""
    overrides = {"layout__sizes__unit": "nm", "layout__sizes__median": 150}
    changed(dataset__pixel_size_nm=5.0, **overrides)
    assert changed(dataset__pixel_size_nm=5.0, **overrides) == (set(), set())
    assert changed(dataset__pixel_size_nm=8.0, **overrides)[0] == {stage.name for stage in STAGES}


def test_a_folder_without_meshes_is_not_taken_for_no_folder(changed, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match=r"meshes\.path: .* is empty"):
        changed(meshes__path=str(tmp_path / "empty"))
    with pytest.raises(ConfigError, match=r"meshes\.path: expected a folder of mesh files, got nowhere"):
        changed(meshes__path="nowhere")


def test_a_table_of_sizes_counts_by_content(changed, tmp_path):
    for name in ("first", "second"):
        (tmp_path / f"{name}.csv").write_text("diameter_nm\n150\n160\n")

    def with_table(name):
        sizes = {"law": "empirical", "table": str(tmp_path / f"{name}.csv")}
        return changed(layout__sizes=sizes, dataset__pixel_size_nm=7.3)[0]

    with_table("first")
    assert with_table("second") == set()
    (tmp_path / "second.csv").write_text("diameter_nm\n150\n170\n")
    assert with_table("second") == {stage.name for stage in STAGES}


def test_burnt_in_text_counts_where_it_is_used(changed, images):
    head = "path\ttop\tleft\tbottom\tright\n"
    (images / "overlays.tsv").write_text(head + "e.tif\t0\t0\t9\t9\n")  # that of a test image
    assert changed()[0] == {"segmentation", "quantification"}
    (images / "overlays.tsv").write_text(head + "a.tif\t0\t0\t9\t9\n")
    assert changed()[0] == AFTER_DATA
    (images / "overlays.tsv").write_text(head + "a.tif\t0\t0\t9\t8\n")
    assert changed()[0] == AFTER_DATA
