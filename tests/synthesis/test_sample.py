import itertools

import numpy as np
import pytest

from drgan_lib.classes import three_class
from drgan_lib.files import read_json
from drgan_lib.synthesis import (
    SynthesisError,
    annotate,
    contrast,
    load_synthetic,
    sample,
    store,
    synthesize,
)

quiet = {"log": lambda line: None}


def contents(folder):
    """Bytes of every file of a folder by its relative path."""
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_files_of_the_stage(make_stage):
    stage = make_stage()
    assert synthesize(*stage.arguments, **quiet) == stage.folder
    made = load_synthetic(stage.exp)
    assert made.images.shape == made.instances.shape == made.labels.shape == (4, 48, 48)
    assert (made.images.dtype, made.instances.dtype, made.labels.dtype) == (np.uint8, np.uint16, np.uint8)
    assert list(made.table["image"]) == ["00000", "00001", "00002", "00003"]
    assert set(stage.exp.material.parameters) <= set(made.table.columns)
    for image, instances, label, row in zip(
        made.images, made.instances, made.labels, made.table.itertuples(), strict=True
    ):
        np.testing.assert_array_equal(label, three_class(instances, stage.exp.material.contour_px))
        assert row.n_particles == len(np.unique(instances)) - 1
        assert row.contrast == pytest.approx(contrast(image, instances))
        assert row.contrast >= 0.15
        assert row.base_color == pytest.approx(image[instances > 0].mean() / 255, abs=0.02)
    acceptance = read_json(stage.folder / "acceptance.json")
    assert acceptance["accepted"] == 4
    assert acceptance["attempts"] == made.table["attempts"].sum()
    figure = read_json(stage.folder / "figures.json")["acceptance_rate"]
    assert figure["value"] == acceptance["rate"] == 4 / acceptance["attempts"]


def test_an_image_depends_on_seed_and_number_only(make_stage):
    few, many, other = (
        make_stage("few"),
        make_stage("many", overrides={"synthesis.n_images": 7}),
        make_stage(seed=1),
    )
    for stage in (few, many, other):
        synthesize(*stage.arguments, **quiet)
    np.testing.assert_array_equal(load_synthetic(few.exp).images, load_synthetic(many.exp, 4).images)
    assert not np.array_equal(load_synthetic(few.exp).images, load_synthetic(other.exp).images)
    layouts = {load_synthetic(many.exp).instances[k].tobytes() for k in range(7)}
    assert len(layouts) == 7


def test_an_interrupted_run_goes_on_and_ends_equal(make_stage, monkeypatch):
    whole, broken = make_stage("whole", base_color=(0.15, 0.4)), make_stage("broken", base_color=(0.15, 0.4))
    synthesize(*whole.arguments, **quiet)
    calls = itertools.count()
    write_entry = sample.write_entry

    def interrupted(*arguments):
        if next(calls) == 2:
            raise KeyboardInterrupt
        return write_entry(*arguments)

    monkeypatch.setattr(sample, "write_entry", interrupted)
    with pytest.raises(KeyboardInterrupt):
        synthesize(*broken.arguments, **quiet)
    with pytest.raises(FileNotFoundError, match="stage 04"):
        load_synthetic(broken.exp)
    # What a kill leaves behind: a temporary file, and images whose row was not reached.
    (broken.folder / "images" / ".00002.abc.png").write_bytes(b"half")
    (broken.folder / "images" / "00002.png").write_bytes(b"half")
    monkeypatch.undo()
    before = broken.renderer.calls
    synthesize(*broken.arguments, **quiet)
    assert contents(broken.folder) == contents(whole.folder)
    assert broken.renderer.calls == whole.renderer.calls + (before - _attempts(whole, 2))
    assert read_json(whole.folder / "acceptance.json")["attempts"] > 4


def _attempts(stage, n):
    """Renders that the first n images took (all rejections of the stand-in are for contrast)."""
    return int(load_synthetic(stage.exp, n).table["attempts"].sum())


@pytest.mark.parametrize("damaged", ["images/00001.png", "instances/00001.png", "labels/00001.png", "rows/00001.json"])
@pytest.mark.parametrize("damage", ["cut", "lost"])
def test_damaged_files_are_made_again(make_stage, damaged, damage):
    stage = make_stage()
    synthesize(*stage.arguments, **quiet)
    before, calls = contents(stage.folder), stage.renderer.calls
    path = stage.folder / damaged
    path.unlink() if damage == "lost" else path.write_bytes(path.read_bytes()[:40])
    synthesize(*stage.arguments, **quiet)
    assert contents(stage.folder) == before
    assert stage.renderer.calls == calls + _attempts(stage, 2) - _attempts(stage, 1)


def test_more_images_keep_the_old_ones(make_stage):
    stage, larger = make_stage(), make_stage(overrides={"synthesis.n_images": 6})
    synthesize(*stage.arguments, **quiet)
    synthesize(*larger.arguments, **quiet)
    assert larger.renderer.calls == _attempts(larger, 6) - _attempts(larger, 4)


def test_images_of_another_generator_are_replaced(make_stage):
    stage, other = make_stage(), make_stage(base_color=(0.8, 0.9))
    other.generator.weights["w"] += 1
    synthesize(*stage.arguments, **quiet)
    lines = []
    synthesize(*other.arguments, log=lines.append)
    assert "made anew" in lines[0]
    assert load_synthetic(other.exp).table["base_color"].min() > 0.79


def test_code_counts_by_what_it_says(make_stage, tmp_path, monkeypatch):
    stage, library = make_stage(), tmp_path / "library"
    scene = [f"scene/{module}.py" for module in ("build", "detector", "render", "transport")]
    for name in (*scene, "gan/networks.py", "synthesis/sample.py", "synthesis/figures.py", "classes.py"):
        (library / name).parent.mkdir(parents=True, exist_ok=True)
        (library / name).write_text("value = 1\n")
    (library / "scene" / "render.py").write_text("from drgan_lib.scene.build import value\n")
    monkeypatch.setattr(store, "PACKAGE", library)
    recipe = store.recipe_of(stage.exp, stage.generator, stage.meshes)
    (library / "scene" / "build.py").write_text("# a comment\nvalue  =  1\n")
    for name in ("synthesis/figures.py", "scene/transport.py"):  # nothing of these is in an image
        (library / name).write_text("value = 2\n")
    assert store.recipe_of(stage.exp, stage.generator, stage.meshes) == recipe
    for name in ("gan/networks.py", "scene/build.py", "classes.py"):
        (library / name).write_text("value = 2\n")
        changed = store.recipe_of(stage.exp, stage.generator, stage.meshes)
        assert changed != recipe
        recipe = changed


def test_dark_particles_end_in_a_clear_error_and_keep_what_there_is(make_stage):
    stage = make_stage(base_color=(0.15, 0.6), overrides={"synthesis.max_attempts_per_image": 3})
    synthesize(*stage.arguments, **quiet)
    stage.generator.base_color = (0.1, 0.1)
    (stage.folder / "rows" / "00003.json").unlink()
    with pytest.raises(SynthesisError, match=r"only 3 of 4 .* attempts \(.*low contrast \(.*min_contrast"):
        synthesize(*stage.arguments, **quiet)
    assert len(list((stage.folder / "rows").glob("*.json"))) == 3


def test_layouts_out_of_view_are_rejected_without_rendering(make_stage, monkeypatch):
    stage = make_stage()
    monkeypatch.setattr(stage.renderer, "instance_ids", lambda layout: np.zeros((48, 48), np.uint16))
    with pytest.raises(SynthesisError, match=r"only 0 of 4 .*no particle in view \(20\)"):
        synthesize(*stage.arguments, **quiet)
    assert stage.renderer.calls == 0
    monkeypatch.setattr(stage.renderer, "instance_ids", lambda layout: np.ones((48, 48), np.uint16))
    assert annotate(*stage.arguments[:4], index=0).rejected == "no background in view"


def test_contrast_is_relative_to_the_background():
    instances = np.array([[0, 0], [3, 9]])
    assert contrast(np.array([[100, 100], [110, 120]]), instances) == pytest.approx(0.15)
    assert contrast(np.array([[0, 0], [1, 1]]), instances) == np.inf
    assert contrast(np.zeros((2, 2)), instances) == 0
    assert np.isnan(contrast(np.ones((2, 2)), np.zeros((2, 2), int)))
    assert np.isnan(contrast(np.ones((2, 2)), np.ones((2, 2), int)))


def test_a_full_disk_is_noticed_before_work(make_stage):
    stage = make_stage(overrides={"synthesis.n_images": 10**15})
    with pytest.raises(OSError, match="annotated set needs"):
        synthesize(*stage.arguments, **quiet)
    assert stage.renderer.calls == 0
