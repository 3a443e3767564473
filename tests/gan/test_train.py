import dataclasses
import shutil

import numpy as np
import pandas as pd
import pytest
import torch

from drgan_lib.gan import CheckpointError, TrainingError, checkpoint, lsgan_loss, train
from drgan_lib.gan.features import Features
from drgan_lib.gan.history import read_history
from drgan_lib.gan.trainer import Trainer
from drgan_lib.scene import Renderer, make_meshes, sample_layout
from drgan_lib.store import Store
from tests.gan.conftest import OneByOne

# The mean of each channel in place of a network's features.
CHEAP = Features("fd_efficientnet_lite0", lambda images: images.mean(dim=(2, 3)), "cpu")


@pytest.fixture(scope="module", autouse=True)
def cheap_features():
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("drgan_lib.gan.trainer.choose_features", lambda *_, **__: CHEAP)
        yield


@pytest.fixture(scope="module")
def run(world):
    """Trains an experiment in the small world; keywords replace parts of it."""

    def call(exp, folder, *, log=lambda _: None, **changes):
        parts = {"images": world.images, "renderer": world.renderer, "layouts": world.layouts, **changes}
        return train(exp, folder=folder, log=log, **parts)

    return call


def test_scan_lines_of_real_patches_stay_rows_where_the_detector_has_lines(small, world, monkeypatch):
    ramps, seen = np.tile(np.linspace(0, 1, 64, dtype=np.float32)[:, None], (6, 1, 64)), []
    monkeypatch.setattr(Trainer, "step", lambda self, real, layouts, *, seeds: seen.append(real) or torch.zeros(5))
    for detector, all_rows in (("gaussian", False), ("poisson_gaussian", True)):
        seen.clear()
        Trainer(small(**{"gan.detector": detector}), ramps, world.renderer, world.layouts).epoch(1)
        assert (torch.cat(seen).std(dim=3).max() < 1e-6) == all_rows


@pytest.fixture(scope="module")
def whole(small, run, tmp_path_factory):
    """Folder of four epochs in one go."""
    folder = tmp_path_factory.mktemp("whole")
    run(small(), folder)
    return folder


@pytest.fixture
def again(whole, tmp_path):
    """A copy of `whole`, to go on in."""
    shutil.copytree(whole, tmp_path / "again")
    return tmp_path / "again"


def weights(folder, epoch=4):
    """All weights of both networks, in one row."""
    content = checkpoint.read(checkpoint.checkpoint_path(folder / "checkpoints", epoch))
    networks = content["generator"], content["objective"]["discriminator"]
    return torch.cat([x.flatten() for network in networks for x in network.values()])


def untimed(folder):
    return read_history(folder).filter(regex="^(?!seconds)")


class Interrupting(OneByOne):
    """A renderer that is interrupted at its n-th image."""

    variant = "analytic"

    def __init__(self, inner, at):
        self.inner, self.left = inner, at

    def prepare(self, layouts, *, executor, log):
        self.inner.prepare(layouts, executor=executor, log=log)

    def image(self, parameters, layout, *, seed):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return self.inner.image(parameters, layout, seed=seed)


@pytest.mark.parametrize("way", ["between epochs", "within an epoch", "with more epochs"])
def test_a_resumed_run_equals_the_uninterrupted_one_to_the_bit(small, run, world, whole, tmp_path, way):
    if way == "between epochs":
        run(small(), tmp_path, stop_after=2)
    elif way == "with more epochs":
        run(small(**{"gan.epochs": 2}), tmp_path)
    else:
        with pytest.raises(KeyboardInterrupt):
            # evaluations and epochs render 6 images each: this is the 3rd of epoch 3
            run(small(), tmp_path, renderer=Interrupting(world.renderer, 6 + 2 * 12 + 3))
    assert len(read_history(tmp_path)) == len(checkpoint.available(tmp_path / "checkpoints")) == 3
    torch.rand(7)
    np.random.default_rng().random()
    lines = []
    run(small(), tmp_path, log=lines.append)
    assert lines[0] == "resuming after epoch 2 of 4"
    pd.testing.assert_frame_equal(untimed(tmp_path), untimed(whole), check_exact=True)
    assert torch.equal(weights(tmp_path), weights(whole))


def test_training_on_moments_lowers_them_and_resumes_to_the_bit(small, run, tmp_path):
    moments = {"gan.objective": "moments", "gan.batch_size": 3, "gan.lr_generator": 3e-3}
    whole = run(small(**moments), tmp_path / "whole")
    assert whole["loss_generator"].iloc[-1] < whole["loss_generator"].iloc[1]
    assert "loss_discriminator" not in whole
    run(small(**moments), tmp_path / "parts", stop_after=2)
    run(small(**moments), tmp_path / "parts")
    pd.testing.assert_frame_equal(untimed(tmp_path / "whole"), untimed(tmp_path / "parts"), check_exact=True)


def test_distances_are_taken_to_the_reference_and_nothing_else_changes(small, run, tmp_path, world, whole):
    settings, bright = small(**{"gan.epochs": 1}), world.images + 0.5
    of_other = run(settings, tmp_path, reference=bright)
    both = pd.concat([untimed(whole).iloc[:2], of_other[untimed(whole).columns]])
    assert both["loss_generator"].iloc[1] == both["loss_generator"].iloc[3]
    assert (both["fd"].iloc[2:] > both["fd"].iloc[:2] + 0.1).all()


def test_checkpoints_may_lie_elsewhere_and_serve_another_folder(small, run, whole, tmp_path):
    store, lines = Store(tmp_path / "store"), []
    run(small(**{"gan.epochs": 2}), tmp_path / "two", store=store)
    run(small(), tmp_path / "four", store=store, log=lines.append)
    assert lines[0] == "resuming after epoch 2 of 4"
    assert len(list((tmp_path / "store/training").iterdir())) == 1
    assert (len(read_history(tmp_path / "two")), len(read_history(tmp_path / "four"))) == (3, 5)
    pd.testing.assert_frame_equal(untimed(tmp_path / "four"), untimed(whole), check_exact=True)
    assert torch.equal(weights(tmp_path / "four"), weights(whole))
    run(small(**{"gan.lr_generator": 1e-3, "gan.epochs": 1}), tmp_path / "other", store=store)
    assert len(list((tmp_path / "store/training").iterdir())) == 2, "another training has a folder of its own"


def test_with_mitsuba_a_resumed_run_gives_the_same_losses(small, run, tmp_path):
    histories = []
    exp = small(**{"gan.epochs": 2, "meshes.count": 3})
    meshes = make_meshes(exp.material)
    layouts = [sample_layout(exp.material, meshes, seed=k) for k in range(3)]
    for name, first in (("whole", None), ("parts", 1)):
        renderer = Renderer(exp.material, meshes, spp=4)
        run(exp, tmp_path / name, renderer=renderer, layouts=layouts, stop_after=first)
        table = run(exp, tmp_path / name, renderer=renderer, layouts=layouts)
        histories.append(table[["loss_generator", "loss_discriminator", "fd"]].to_numpy())
    assert np.array_equal(*histories, equal_nan=True)
    assert len(histories[0]) == 3


def test_history_logs_and_checkpoints(small, run, tmp_path):
    exp, lines = small(), []
    table = run(exp, tmp_path, log=lines.append)
    pd.testing.assert_frame_equal(table, read_history(tmp_path), check_exact=True)
    assert table.index.tolist() == [0, 1, 2, 3, 4]
    trained_only = ["loss_generator", "loss_discriminator", "score_real", "score_synthetic"]
    assert table.loc[0, trained_only].isna().all()
    assert table.loc[1:].notna().all(axis=None)
    assert table.drop(columns=trained_only).notna().all(axis=None)
    assert (table["features"] == "fd_efficientnet_lite0").all()
    low, high = exp.material.bounds["base_color"]
    assert table["base_color_mean"].between(low, high).all()
    assert [line.split(":")[0] for line in lines] == [f"epoch {k}/4" for k in range(5)]
    files = checkpoint.available(tmp_path / "checkpoints")
    complete = [all(key in checkpoint.read(file) for key in checkpoint.RESUME_KEYS) for file in files]
    assert complete == [False, False, False, True, True]
    assert not list(tmp_path.rglob(".*")), "no temporary files stay"


def test_finished_training_is_left_alone_and_fewer_epochs_shorten_the_history(small, run, again, whole):
    lines = []
    assert run(small(**{"gan.epochs": 2}), again, log=lines.append).index.tolist() == [0, 1, 2]
    assert run(small(), again, log=lines.append).index.tolist() == [0, 1, 2, 3, 4]
    assert lines == ["resuming after epoch 4 of 2", "resuming after epoch 4 of 4"]
    assert torch.equal(weights(again), weights(whole))


def test_a_damaged_checkpoint_falls_back_to_the_one_before(small, run, again, whole):
    path = checkpoint.checkpoint_path(again / "checkpoints", 4)
    path.write_bytes(path.read_bytes()[:1000])
    lines = []
    run(small(), again, log=lines.append)
    assert "epoch_004.pt cannot be read" in lines[0]
    assert "resuming after epoch 3" in lines[1]
    assert torch.equal(weights(again), weights(whole))


def test_damage_to_all_that_could_be_resumed_from_is_an_error(small, run, again):
    for epoch in (3, 4):
        checkpoint.checkpoint_path(again / "checkpoints", epoch).write_bytes(b"")
    with pytest.raises(CheckpointError, match="delete the folder"):
        run(small(), again)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"gan.discriminator_channels": 16}, "gan.discriminator_channels: 8 there, 16 now"),
        ({"gan.lr_generator": 1e-3}, "gan.lr_generator"),
        ({"bounds.base_color": [0.01, 2.0]}, "bounds"),
        ({"seed": 1}, "seed: 0 there, 1 now"),
        ({"scene.torus_radiance": 2.0}, "scene.torus_radiance"),
    ],
)
def test_checkpoints_of_another_experiment_are_refused(small, run, whole, change, named):
    with pytest.raises(CheckpointError, match=named):
        run(small(**change), whole)


def test_checkpoints_of_another_material_patches_layouts_or_features_are_refused(small, run, world, whole, monkeypatch):
    exp = small()
    other = exp.model_copy(update={"material": exp.material.model_copy(update={"name": "other"})})
    with pytest.raises(CheckpointError, match="material: twin there, other now"):
        run(other, whole)
    with pytest.raises(CheckpointError, match="training patches"):
        run(exp, whole, images=world.images[:4])
    moved = [dataclasses.replace(layout, transforms=layout.transforms + 1) for layout in world.layouts]
    with pytest.raises(CheckpointError, match="layouts"):
        run(exp, whole, layouts=moved)
    other = dataclasses.replace(CHEAP, name="fid")
    monkeypatch.setattr("drgan_lib.gan.trainer.choose_features", lambda *_, **__: other)
    with pytest.raises(CheckpointError, match="measured with fd_efficientnet_lite0, and fid was asked for"):
        run(exp, whole)


def test_a_loss_that_is_not_finite_names_epoch_and_iteration(small, run, world, tmp_path):
    class Breaking(Interrupting):
        def image(self, parameters, layout, *, seed):
            self.left -= 1
            return self.inner.image(parameters, layout, seed=seed) * (1 if self.left else float("nan"))

    with pytest.raises(TrainingError, match="nan at epoch 2, iteration 3"):
        run(small(), tmp_path, renderer=Breaking(world.renderer, 6 + 12 + 3))
    assert len(checkpoint.available(tmp_path / "checkpoints")) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": np.zeros((0, 64, 64))}, "at least 2 training patches"),
        ({"images": np.zeros((1, 64, 64))}, "at least 2 training patches"),
        ({"images": np.zeros((64, 64))}, "at least 2 training patches"),
        ({"layouts": []}, "1 layout"),
        ({"images": np.zeros((6, 32, 32))}, "patches' size"),
    ],
)
def test_unusable_input_is_refused(small, run, tmp_path, change, message):
    with pytest.raises(TrainingError, match=message):
        run(small(), tmp_path, **change)


def test_a_full_disk_is_found_before_the_work(small, run, tmp_path, monkeypatch):
    monkeypatch.setattr("drgan_lib.files.shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    with pytest.raises(OSError, match="GAN training needs"):
        run(small(), tmp_path)


def gradients(trainer):
    """Gradients of both networks after a step, by name."""
    networks = {"generator": trainer.trained, "discriminator": trainer.objective.discriminator}
    return {f"{name}.{key}": weight.grad for name in networks for key, weight in networks[name].named_parameters()}


@pytest.mark.parametrize("decay", [0.0, 0.8])
def test_the_generator_is_the_running_mean_of_the_trained_weights(small, world, decay):
    trainer = Trainer(small(**{"gan.averaging": decay}), world.images, world.renderer, world.layouts)

    def flat(generator):
        return torch.cat([weight.detach().flatten() for weight in generator.parameters()])

    expected = flat(trainer.trained)
    assert torch.equal(flat(trainer.generator), expected)
    for seed in range(3):
        trainer.step(trainer.images[:1, None], world.layouts[:1], seeds=[seed])
        expected = decay * expected + (1 - decay) * flat(trainer.trained)
    torch.testing.assert_close(flat(trainer.generator), expected)
    assert torch.equal(flat(trainer.generator), flat(trainer.trained)) == (decay == 0)


def test_a_shared_pass_gives_the_gradients_of_separate_passes(small, world):
    """One pass over both images serves both losses; written out separately, the gradients are the same."""
    exp = small(**{"gan.precision": "float32"})
    shared = Trainer(exp, world.images, world.renderer, world.layouts)
    real = shared.images[:1, None]
    plain = Trainer(exp, world.images, world.renderer, world.layouts)
    shared.step(real, world.layouts[:1], seeds=[1])

    image, _ = plain.trained.sample(world.renderer, world.layouts[:1], seeds=[1])
    lsgan_loss(plain.objective.discriminator(image), 1.0).backward()
    plain.objective.discriminator.zero_grad()
    fake, true = plain.objective.discriminator(image.detach()), plain.objective.discriminator(real)
    (0.5 * (lsgan_loss(true, 1.0) + lsgan_loss(fake, 0.0))).backward()
    theirs = gradients(plain)
    for name, ours in gradients(shared).items():
        torch.testing.assert_close(ours, theirs[name], rtol=1e-3, atol=1e-6, msg=name)


def test_bfloat16_gives_the_losses_and_nearly_the_gradients_of_float32(small, world):
    values, found = {}, {}
    for precision in (torch.float32, torch.bfloat16):
        trainer = Trainer(small(), world.images, world.renderer, world.layouts)
        trainer.objective.precision = precision
        values[precision] = trainer.step(trainer.images[:1, None], world.layouts[:1], seeds=[1])[:4].tolist()
        found[precision] = gradients(trainer)
    assert values[torch.bfloat16] == pytest.approx(values[torch.float32], rel=0.02)
    for network in ("generator", "discriminator"):
        full, half = (
            torch.cat([g.flatten() for name, g in found[p].items() if name.startswith(network)]) for p in found
        )
        assert torch.nn.functional.cosine_similarity(full, half, dim=0) > 0.98


@pytest.mark.parametrize(
    ("asked", "capability", "expected"),
    [
        ("auto", "amx_bf16", torch.bfloat16),
        ("float32", "amx_bf16", torch.float32),
        ("auto", "avx2", torch.float32),
    ],
)
def test_float32_is_used_where_it_is_asked_for_or_all_there_is(small, world, monkeypatch, asked, capability, expected):
    monkeypatch.setattr("drgan_lib.hardware.torch.cpu.get_capabilities", lambda: {capability: True})
    monkeypatch.setattr("drgan_lib.gan.trainer.choose_device", lambda: torch.device("cpu"))
    exp = small(**{"gan.precision": asked})
    assert Trainer(exp, world.images, world.renderer, world.layouts).objective.precision == expected
