import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from drgan_lib.gan import CheckpointError, TrainingError, checkpoint, train
from drgan_lib.gan.networks import lsgan_loss
from drgan_lib.gan.precision import precision_of
from drgan_lib.gan.train import checkpoint_folder
from drgan_lib.gan.trainer import Trainer
from drgan_lib.scene import Renderer, make_meshes, sample_layout


def quiet(_):
    pass


@pytest.fixture
def run(world):
    """Trains an experiment in the small world; keywords replace parts of it."""

    def call(exp, *, patches=None, renderer=None, layouts=None, log=quiet, stop_after=None):
        return train(
            exp,
            patches or world.patches,
            renderer or world.renderer,
            world.layouts if layouts is None else layouts,
            log=log,
            stop_after=stop_after,
        )

    return call


def weights(exp, epoch):
    content = checkpoint.read(checkpoint.checkpoint_path(checkpoint_folder(exp), epoch))
    return {
        f"{network}.{name}": tensor
        for network in ("generator", "discriminator")
        for name, tensor in content[network].items()
    }


class Interrupting:
    """A renderer that is interrupted at its n-th image."""

    variant = "analytic"

    def __init__(self, inner, at):
        self.inner, self.left = inner, at

    def prepare(self, layouts, *, log):
        self.inner.prepare(layouts, log=log)

    def image(self, parameters, layout, *, seed):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt
        return self.inner.image(parameters, layout, seed=seed)


@pytest.mark.parametrize("way", ["between epochs", "within an epoch"])
def test_a_resumed_run_equals_the_uninterrupted_one_to_the_bit(small, run, world, way):
    whole, parts = small(runs="whole"), small(runs="parts")
    run(whole)
    if way == "between epochs":
        run(parts, stop_after=1)
    else:
        with pytest.raises(KeyboardInterrupt):
            # evaluations and epochs render 6 images each: this is the 3rd of epoch 2
            run(parts, renderer=Interrupting(world.renderer, 6 + 12 + 3))
        assert len(checkpoint.available(checkpoint_folder(parts))) == 2
    torch.rand(7)
    np.random.default_rng().random()
    lines = []
    run(parts, log=lines.append)
    assert any("resuming after epoch 1" in line for line in lines)
    tables = [pd.read_csv(exp.stage_dir("gan") / "history.csv") for exp in (whole, parts)]
    tables = [table[[name for name in table if not name.startswith("seconds")]] for table in tables]
    pd.testing.assert_frame_equal(*tables, check_exact=True)
    one, other = weights(whole, 3), weights(parts, 3)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_with_mitsuba_a_resumed_run_gives_the_same_losses(small, run):
    """Mitsuba's threads add samples in no fixed order, so images repeat up to rounding, and so do the losses."""
    histories = []
    for name, first in (("whole", None), ("parts", 1)):
        exp = small(runs=name, **{"gan.epochs": 2, "meshes.count": 3})
        meshes = make_meshes(exp.material)
        renderer = Renderer(exp.material, meshes, spp=4)
        layouts = [sample_layout(exp.material, meshes, seed=k) for k in range(3)]
        run(exp, renderer=renderer, layouts=layouts, stop_after=first)
        run(exp, renderer=renderer, layouts=layouts)
        table = pd.read_csv(exp.stage_dir("gan") / "history.csv")
        histories.append(table[["loss_generator", "loss_discriminator", "fd"]].to_numpy())
    assert histories[0] == pytest.approx(histories[1], rel=1e-3, nan_ok=True)
    assert len(histories[0]) == 3


def test_history_logs_and_checkpoints(small, run):
    exp, lines = small(), []
    path = run(exp, log=lines.append)
    table = pd.read_csv(path)
    assert table["epoch"].tolist() == [0, 1, 2, 3]
    assert table["loss_generator"].isna().tolist() == [True, False, False, False]
    assert (table["features"] == "fd_efficientnet_lite0").all()
    assert (
        table.notna().all(axis=0).drop(["loss_generator", "loss_discriminator", "score_real", "score_synthetic"]).all()
    )
    low, high = exp.material.bounds["base_color"]
    assert table["base_color_mean"].between(low, high).all()
    assert "not FID" in lines[0]
    assert [line.split(":")[0] for line in lines[1:]] == [f"epoch {k}/3" for k in range(4)]
    files = checkpoint.available(checkpoint_folder(exp))
    complete = [all(key in checkpoint.read(file) for key in checkpoint.RESUME_KEYS) for file in files]
    assert complete == [False, False, True, True]
    assert not list(checkpoint_folder(exp).glob(".*")), "no temporary files stay"


def test_finished_training_is_left_alone_and_more_epochs_go_on(small, run):
    run(small())
    before = weights(small(), 3)
    run(small())
    run(small(**{"gan.epochs": 4}))
    assert all(torch.equal(tensor, before[name]) for name, tensor in weights(small(), 3).items())
    assert len(checkpoint.available(checkpoint_folder(small()))) == 5


def test_fewer_epochs_leave_the_later_ones_out_of_the_history(small, run):
    run(small())
    assert pd.read_csv(run(small(**{"gan.epochs": 2})))["epoch"].tolist() == [0, 1, 2]


def test_a_damaged_checkpoint_falls_back_to_the_one_before(small, run):
    whole, exp = small(runs="whole"), small()
    run(whole)
    run(exp, stop_after=2)
    path = checkpoint.checkpoint_path(checkpoint_folder(exp), 2)
    path.write_bytes(path.read_bytes()[:1000])
    lines = []
    run(exp, log=lines.append)
    assert "epoch_002.pt cannot be read" in lines[0]
    assert any("resuming after epoch 1" in line for line in lines)
    assert all(torch.equal(tensor, weights(whole, 3)[name]) for name, tensor in weights(exp, 3).items())


def test_damage_to_all_that_could_be_resumed_from_is_an_error(small, run):
    exp = small()
    run(exp, stop_after=2)
    for epoch in (1, 2):
        checkpoint.checkpoint_path(checkpoint_folder(exp), epoch).write_bytes(b"")
    with pytest.raises(CheckpointError, match="delete the folder"):
        run(exp)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"gan.discriminator_channels": 16}, "gan.discriminator_channels: 8 there, 16 now"),
        ({"gan.lr_generator": 1e-3}, "gan.lr_generator"),
        ({"bounds.base_color": [0.01, 2.0]}, "bounds"),
        ({"name": "other"}, "material: twin there, other now"),
        ({"seed": 1}, "seed: 0 there, 1 now"),
        ({"scene.torus_radiance": 2.0}, "scene.torus_radiance"),
    ],
)
def test_checkpoints_of_another_run_are_refused(small, run, change, named):
    run(small(), stop_after=0)
    seed, name = change.pop("seed", 0), change.pop("name", None)
    exp = small(seed=seed, **change)
    if name:
        source = checkpoint_folder(exp)
        exp = exp.model_copy(update={"material": exp.material.model_copy(update={"name": name})})
        source.rename(exp.stage_dir("gan") / "checkpoints")
    with pytest.raises(CheckpointError, match=named):
        run(exp)


def test_other_patches_or_layouts_are_refused(small, run, world):
    run(small(), stop_after=0)
    with pytest.raises(CheckpointError, match="training patches"):
        run(small(), patches=type(world.patches)(train=world.patches.train[:4]))
    moved = [dataclasses.replace(layout, transforms=layout.transforms + 1) for layout in world.layouts]
    with pytest.raises(CheckpointError, match="layouts"):
        run(small(), layouts=moved)


def test_a_loss_that_is_not_finite_names_epoch_and_iteration(small, run, world):
    class Breaking(Interrupting):
        def image(self, parameters, layout, *, seed):
            self.left -= 1
            return self.inner.image(parameters, layout, seed=seed) * (1 if self.left else float("nan"))

    exp = small()
    with pytest.raises(TrainingError, match="nan at epoch 2, iteration 3"):
        run(exp, renderer=Breaking(world.renderer, 6 + 12 + 3))
    assert len(checkpoint.available(checkpoint_folder(exp))) == 2


def test_unusable_input_is_refused(small, run, world):
    for n in (0, 1):
        with pytest.raises(TrainingError, match="at least 2 training patches"):
            run(small(), patches=type(world.patches)(train=world.patches.train[:n]))
    with pytest.raises(TrainingError, match="1 layout"):
        run(small(), layouts=[])
    with pytest.raises(TrainingError, match="patches' size"):
        run(small(), patches=type(world.patches)(train=world.patches.train[:, :32, :32]))


def test_a_full_disk_is_found_before_the_work(small, run, monkeypatch):
    monkeypatch.setattr("drgan_lib.files.shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    with pytest.raises(OSError, match="GAN training needs"):
        run(small())


def gradients(trainer):
    """Gradients of both networks after a step, by name."""
    return {
        f"{network}.{name}": weight.grad
        for network in ("generator", "discriminator")
        for name, weight in getattr(trainer, network).named_parameters()
    }


def test_a_shared_pass_gives_the_gradients_of_separate_passes(small, world):
    """One pass over both images serves both losses; written out separately, the gradients are the same."""
    exp = small(**{"gan.precision": "float32"})
    real = torch.from_numpy(world.patches.train[:1])[None]
    shared = Trainer(exp, world.patches.train, world.renderer, world.layouts)
    plain = Trainer(exp, world.patches.train, world.renderer, world.layouts)
    shared.step(real, world.layouts[0], seed=1, where="test")

    image, _ = plain.generator.sample(world.renderer, world.layouts[0], seed=1)
    lsgan_loss(plain.discriminator(image), 1.0).backward()
    plain.discriminator.zero_grad()
    fake, true = plain.discriminator(image.detach()), plain.discriminator(real)
    (0.5 * (lsgan_loss(true, 1.0) + lsgan_loss(fake, 0.0))).backward()
    theirs = gradients(plain)
    for name, ours in gradients(shared).items():
        torch.testing.assert_close(ours, theirs[name], rtol=1e-3, atol=1e-6, msg=name)


def test_bfloat16_gives_the_losses_and_nearly_the_gradients_of_float32(small, world):
    real = torch.from_numpy(world.patches.train[:1])[None]
    values, found = {}, {}
    for precision in (torch.float32, torch.bfloat16):
        trainer = Trainer(small(), world.patches.train, world.renderer, world.layouts)
        trainer.precision = precision
        values[precision] = trainer.step(real, world.layouts[0], seed=1, where="test")
        found[precision] = gradients(trainer)
    assert values[torch.bfloat16] == pytest.approx(values[torch.float32], rel=0.02)
    for network in ("generator", "discriminator"):
        full, half = (
            torch.cat([g.flatten() for name, g in found[p].items() if name.startswith(network)]) for p in found
        )
        assert torch.nn.functional.cosine_similarity(full, half, dim=0) > 0.98


def test_float32_is_used_where_it_is_asked_for_and_where_there_is_nothing_else(small, monkeypatch):
    cpu = torch.device("cpu")
    monkeypatch.setattr("drgan_lib.gan.precision.torch.cpu.get_capabilities", lambda: {"amx_bf16": True})
    assert precision_of(small().profile.gan, cpu) == torch.bfloat16
    assert precision_of(small(**{"gan.precision": "float32"}).profile.gan, cpu) == torch.float32
    monkeypatch.setattr("drgan_lib.gan.precision.torch.cpu.get_capabilities", lambda: {"avx2": True})
    assert precision_of(small().profile.gan, cpu) == torch.float32
