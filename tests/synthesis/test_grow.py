import shutil
from unittest.mock import Mock

import numpy as np
import pytest

from drgan_lib.files import read_json
from drgan_lib.samples import open_samples, shard_folder
from drgan_lib.scene import LayoutError
from drgan_lib.synthesis import SynthesisError, annotate, attempt, contrast, grow


def attempts(samples) -> int:
    """Renders that `samples` took (all rejections of the stand-in are for contrast)."""
    return int(samples.table()["attempts"].sum())


def assert_equal(some, others):
    for a, b in zip(some, others, strict=True):
        np.testing.assert_array_equal(a.image, b.image)
        np.testing.assert_array_equal(a.instances, b.instances)
        assert (a.name, a.parameters, a.provenance) == (b.name, b.parameters, b.provenance)


def test_samples_are_what_was_rendered(stage):
    samples = open_samples(stage.place)
    assert [s.name for s in samples] == ["00000", "00001", "00002", "00003"]
    for s in samples:
        levels = np.rint(s.image * 255).astype(np.uint8)
        np.testing.assert_array_equal(s.image, levels / np.float32(255))
        assert s.image.shape == s.instances.shape == (48, 48)
        assert s.pixel_size_nm == stage.exp.material.dataset.pixel_size_nm
        assert list(s.parameters) == ["seed", "contrast", "attempts", *stage.exp.material.parameters]
        assert s.parameters["contrast"] == pytest.approx(contrast(levels, s.instances))
        assert s.parameters["contrast"] >= 0.15
        assert s.parameters["base_color"] == pytest.approx(s.image[s.instances > 0].mean(), abs=0.02)
        assert s.parameters["attempts"] == 1 + sum(s.provenance["rejected"].values())


def test_an_image_depends_on_seed_and_number_only(make_stage, stage):
    many, other = make_stage(overrides={"synthesis.n_images": 7}).synthesize(), make_stage(seed=1).synthesize()
    assert_equal(open_samples(stage.place), many[:4])
    assert not np.array_equal(other[0].image, many[0].image)
    assert len({sample.instances.tobytes() for sample in many}) == 7


@pytest.mark.parametrize("shard", [1, 3])
def test_an_interrupted_run_goes_on_and_ends_equal(make_stage, monkeypatch, shard):
    monkeypatch.setattr(grow, "SHARD", shard)
    settings = {"base_color": (0.15, 0.4), "overrides": {"synthesis.n_images": 6}}
    whole, broken = make_stage("whole", **settings), make_stage("broken", **settings)
    expected = whole.synthesize()
    assert attempts(expected) > 6
    sample, until = broken.generator.sample, attempts(expected[:4])

    def interrupted(renderer, layouts, *, seeds):
        if renderer.calls == until:
            raise KeyboardInterrupt
        return sample(renderer, layouts, seeds=seeds)

    broken.generator.sample = interrupted
    with pytest.raises(KeyboardInterrupt):
        broken.synthesize()
    assert len(open_samples(broken.place)) == 4
    del broken.generator.sample
    assert_equal(broken.synthesize(), expected)
    assert broken.renderer.calls == whole.renderer.calls


@pytest.mark.parametrize("damaged", ["table.parquet", "arrays.zarr/image/c/0/0/0", "arrays.zarr/instances/c/0/0/0"])
@pytest.mark.parametrize("damage", ["cut", "lost"])
def test_damaged_files_are_made_again(make_stage, monkeypatch, damaged, damage):
    monkeypatch.setattr(grow, "SHARD", 2)
    stage = make_stage()
    before, calls = list(stage.synthesize()), stage.renderer.calls
    path = stage.place / "0000002" / damaged
    path.unlink() if damage == "lost" else path.write_bytes(path.read_bytes()[:40])
    after = stage.synthesize()
    assert_equal(after, before)
    assert stage.renderer.calls == calls + attempts(after[2:])


def test_more_images_keep_the_old_ones_and_fewer_are_the_first_of_them(make_stage):
    stage, larger = make_stage(), make_stage(overrides={"synthesis.n_images": 6})
    stage.synthesize()
    assert larger.renderer.calls == 0
    made = larger.synthesize()
    assert larger.renderer.calls == attempts(made[4:])
    calls = stage.renderer.calls
    assert_equal(stage.synthesize(), made[:4])
    assert stage.renderer.calls == calls


def test_another_generator_has_a_set_of_its_own(make_stage):
    stage, other = make_stage(), make_stage(base_color=(0.8, 0.9))
    other.generator.weights["w"] += 1
    first = stage.synthesize()
    assert other.synthesize().table()["base_color"].min() > 0.79
    assert first.table()["base_color"].max() < 0.61, "the other set is untouched"


@pytest.mark.parametrize(
    ("same", "overrides"),
    [
        (True, {"synthesis.textures": False}),
        (True, {"contour_px": 3}),
        (False, {"synthesis.min_contrast": 0.2}),
        (False, {"layout.field_margin": 0.9}),
    ],
)
def test_settings_of_the_images_name_their_set(stage, make_stage, same, overrides):
    assert (make_stage(overrides=overrides).place.name == stage.place.name) == same


def test_the_code_that_an_image_passes_through_counts(stage):
    code = read_json(stage.place / "identity.json")["code"].keys()
    assert {"gan/networks.py", "scene/build.py", "scene/detector.py", "synthesis/attempt.py"} <= code
    assert not code & {"synthesis/plots.py", "synthesis/sources.py", "scene/transport.py", "gan/trainer.py"}


def test_dark_particles_end_in_a_clear_error_and_what_there_is_is_kept(make_stage, monkeypatch):
    """A shard decides alone: whatever others needed, it has its own number of attempts."""
    monkeypatch.setattr(grow, "SHARD", 3)
    stage = make_stage(base_color=(0.15, 0.6), overrides={"synthesis.max_attempts_per_image": 3})
    made = stage.synthesize()
    shutil.rmtree(shard_folder(stage.place, 3))
    stage.generator.base_color, calls = (0.1, 0.1), stage.renderer.calls
    with pytest.raises(
        SynthesisError, match=r"only 0 of the images 3 to 3 .* in 3 attempts .*low contrast \(3\).*min_contrast"
    ) as caught:
        stage.synthesize()
    assert stage.renderer.calls - calls == 3
    assert "synthesis.max_attempts_per_image, or lower synthesis.n_images: with these two the next" in str(caught.value)
    more = make_stage(base_color=(0.15, 0.6), overrides={"synthesis.max_attempts_per_image": 4})
    assert_equal(more.synthesize(), made)
    assert more.renderer.calls == attempts(made[3:])


def test_what_an_image_leaves_later_ones_of_its_shard_may_use(make_stage):
    stage = make_stage(overrides={"synthesis.max_attempts_per_image": 2})
    colours = iter([0.5, 0.5, 0.1, 0.1, 0.5, 0.5])  # the third image needs three attempts
    sample = stage.generator.sample

    def in_turn(*arguments, **more):
        stage.generator.base_color = (next(colours),) * 2
        return sample(*arguments, **more)

    stage.generator.sample = in_turn
    assert stage.synthesize().table()["attempts"].tolist() == [1, 1, 3, 1]


def test_layouts_out_of_view_are_rejected_without_rendering(make_stage, monkeypatch):
    stage = make_stage()
    monkeypatch.setattr(stage.renderer, "instance_ids", lambda layout: np.zeros((48, 48), np.uint16))
    with pytest.raises(SynthesisError, match=r"only 0 of the images 0 to 3 .*no particle in view \(20\)"):
        stage.synthesize()
    monkeypatch.setattr(stage.renderer, "instance_ids", lambda layout: np.ones((48, 48), np.uint16))
    assert annotate(stage.exp, stage.generator, stage.renderer, index=0) == (None, "no background in view")
    monkeypatch.setattr(attempt, "sample_layout", Mock(side_effect=LayoutError))
    assert annotate(stage.exp, stage.generator, stage.renderer, index=0) == (None, "layout does not fit")
    assert stage.renderer.calls == 0


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
        stage.synthesize()
    assert stage.renderer.calls == 0
