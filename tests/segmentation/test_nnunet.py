"""nnU-Net: what stands and what goes on, its process and its failures, and one small training in earnest."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from functools import partial
from itertools import product
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer

from drgan_lib.classes import SEAM, SEAM_LABELS
from drgan_lib.config import SegmentationSettings, load_experiment
from drgan_lib.files import read_json
from drgan_lib.hardware import has_bfloat16
from drgan_lib.samples import Sample, SampleSet
from drgan_lib.segmentation import NnUNet, SegmentationError, plain, score
from drgan_lib.segmentation import network as prediction
from drgan_lib.segmentation.instances import BorderCore
from drgan_lib.segmentation.nnunet import request_of
from drgan_lib.segmentation.tiles import apply_windows
from drgan_lib.segmentation.trainers import compact as compact_trainer
from drgan_lib.segmentation.trainers.compact import AtomicTrainer, Batches, CompactTrainer, in_order
from drgan_lib.segmentation.training import TRAINERS, Reporter, run_worker
from drgan_lib.store import Store
from tests.segmentation.conftest import micrographs


def compact(**changes) -> SegmentationSettings:
    return SegmentationSettings(trainer="compact", **{"iterations": 100, "features": 4, "stages": 3} | changes)


@pytest.fixture
def fit(tmp_path, calls):
    """Function that fits a network whose trainings and predictions are played; what was asked for since is `calls`."""

    def fitted(samples=None, *, seed: int = 0, min_area_px: int = 20, contour_px: int = 1, **changes) -> NnUNet:
        calls.clear()
        segmenter = NnUNet(
            compact(**changes), Store(tmp_path), patch_px=64, min_area_px=min_area_px, contour_px=contour_px
        )
        return segmenter.fit(micrographs(4) if samples is None else samples, seed=seed, log=[].append)

    return fitted


def test_a_training_stands_until_its_samples_its_seed_or_its_settings_change(fit, calls):
    first = fit()
    assert calls == ["train 4 images, seed 0"]
    assert not list(first.folder.glob("nnUNet_raw")), "what nothing needs any more is removed"
    assert fit(arms="synthetic:3,otsu").folder == first.folder
    assert fit(min_area_px=50).folder == first.folder
    assert calls == []
    moved = micrographs(4).map(lambda s: Sample(s.name, s.image, instances=np.roll(s.instances, 1)))
    for changed in (
        partial(fit, moved),
        partial(fit, seed=1),
        partial(fit, contour_px=2),
        partial(fit, seam_px=2),
        partial(fit, normalization="rescale_to_0_1"),
    ):
        assert changed().folder.parent != first.folder.parent
        assert len(calls) == 1
    assert fit().folder == first.folder
    assert calls == [], "a setting that is changed back finds its network again"


def test_the_code_that_trains_is_part_of_the_name_of_a_network(fit, calls):
    code = read_json(fit().folder.parent / "identity.json")["code"].keys()
    assert {f"segmentation/{name}.py" for name in ("worker", "raw", "trainers/compact")} <= code
    assert "classes.py" in code
    assert not code & {"segmentation/network.py", "segmentation/plots.py", "segmentation/instances.py"}


def test_more_iterations_go_on_from_the_longest_shorter_training(fit, calls):
    weights = [next(fit(iterations=n).folder.rglob("checkpoint_final.pth")).read_text() for n in (100, 50, 300, 70)]
    assert weights == ["100", "50", "100 + 300", "50 + 70"]
    grown = fit(iterations=300)
    assert calls == []
    assert (grown.folder / "nnunet.log").read_text() == "trained 100\ntrained 300\n"


def test_instances_are_tuned_once_on_images_set_aside(fit, calls):
    samples = micrographs(60, n_discs=3)
    first = fit(samples)
    assert calls == ["train 50 images, seed 0"] + 10 * ["predict"]
    assert len((first.folder / "border_core.csv").read_text().splitlines()) == 43
    again = fit(samples)
    assert calls == []
    assert again.border_core == first.border_core
    fit(samples, min_area_px=50)
    assert calls == 10 * ["predict"]
    assert fit().border_core == BorderCore(contour_px=1), "too few images to tune on"


def test_an_unusable_training_set_is_refused_before_the_start(fit, calls):
    with pytest.raises(SegmentationError, match="at least 64 x 64"):
        fit(micrographs(2, 32))
    assert calls == []


def test_a_network_that_is_not_trained_is_not_asked(tmp_path):
    segmenter = NnUNet(compact(), Store(tmp_path), patch_px=64)
    with pytest.raises(SegmentationError, match="expected a trained network in None, found none; call fit"):
        segmenter.segment(np.zeros((64, 64), np.float32))


def test_both_trainers_save_without_half_written_checkpoints_and_five_folds_are_five_networks():
    paper = load_experiment("tio2_sem", "paper").profile.segmentation
    trainers = [request_of(settings, patch_px=64, seed=0)["trainer"] for settings in (compact(), paper)]
    assert trainers == ["CompactTrainer", "AtomicTrainer"]
    folds = [request_of(compact(fold=fold), patch_px=64, seed=0)["folds"] for fold in ("all", "five")]
    assert folds == [["all"], ["0", "1", "2", "3", "4"]]


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (f"import os; os.kill(os.getpid(), {int(signal.SIGKILL)})", "lack of memory"),
        ("raise RuntimeError('worker is 6 feet under')", "lack of memory"),
        ("raise RuntimeError('DataLoader worker (pid 7) is killed by signal: Killed. ')", "lack of memory"),
        ("raise RuntimeError('One or more background workers are no longer alive.')", r"lack of memory.*nnunet\.log"),
        ("raise RuntimeError('DefaultCPUAllocator: can\\'t allocate memory')", "lack of memory"),
        ("raise RuntimeError('CUDA out of memory. Tried to allocate')", "lack of memory"),
        ("raise ValueError('the reason')", "ValueError: the reason"),
        ("import os; raise ValueError(os.environ['nnUNet_raw'] + os.environ['nnUNet_extTrainer'])", "/raw/.*trainers"),
    ],
)
def test_a_failing_process_is_explained(tmp_path, monkeypatch, program, message):
    script, before = tmp_path / "python", dict(os.environ)
    script.write_text(f"#!{os.sys.executable}\n{program}\n")
    script.chmod(0o755)
    monkeypatch.setattr(os.sys, "executable", str(script))
    with pytest.raises(SegmentationError, match=message):
        run_worker({}, {"nnUNet_raw": "/raw/"}, tmp_path / "nnunet.log")
    assert dict(os.environ) == before


@pytest.mark.parametrize("trainer", [AtomicTrainer, CompactTrainer])
def test_an_interrupted_save_leaves_the_last_checkpoint_whole(tmp_path, monkeypatch, trainer):
    path = tmp_path / "checkpoint_latest.pth"
    path.write_bytes(b"whole")

    def save(self, filename):
        Path(filename).write_bytes(b"new" if self.whole else b"ha")
        if not self.whole:
            raise KeyboardInterrupt

    monkeypatch.setattr(nnUNetTrainer, "save_checkpoint", save)
    made = object.__new__(trainer)
    made.whole = False
    with pytest.raises(KeyboardInterrupt):
        made.save_checkpoint(str(path))
    assert path.read_bytes() == b"whole"
    made.whole = True
    made.save_checkpoint(str(path))
    assert path.read_bytes() == b"new"
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


class Drawn:
    """A loader of nnU-Net, in that its batches come of both global generators."""

    def __next__(self) -> dict:
        return {"data": torch.rand(3), "target": [torch.from_numpy(np.random.rand(2))]}  # noqa: NPY002


def test_batches_are_the_same_from_other_processes_and_after_a_resumption():
    train, other = Batches(Drawn(), 0, 1), Batches(Drawn(), 0, 2)
    here = list(in_order(train, range(6), 0))
    torch.testing.assert_close(list(in_order(train, range(6), 2)), here, rtol=0, atol=0)
    torch.testing.assert_close(list(in_order(train, range(4, 6), 0)), here[4:], rtol=0, atol=0)
    drawn = [batch["data"].tolist() for batch in (*here, other[0], Batches(Drawn(), 1, 1)[0])]
    assert len(np.unique(drawn, axis=0)) == 8, "each batch, each use and each seed has its own"


def test_progress_is_a_few_lines():
    lines = []
    report = Reporter(40, lines.append)
    for epoch in range(40):
        report(f"2026-01-01: Epoch {epoch}\n")
        report("2026-01-01: noise\n")
        report("2026-01-01: train_loss -0.5\n")
    report("STAGE trained\n")
    assert len(lines) == 21
    assert lines[0] == "nnU-Net: epoch 2/40, training loss -0.500"


@pytest.mark.slow
@pytest.mark.xdist_group("trained")
def test_an_interrupted_training_resumes_and_learns(trained):
    assert not [line for line in trained.lines if "epoch 1/3" in line]
    assert [line for line in trained.lines if "epoch 3/3" in line]
    table = trained.training()
    assert table["epoch"].tolist() == [0, 1, 2]
    assert table["train_loss"].iloc[-1] < table["train_loss"].iloc[0]
    assert table[["dice_particle", "dice_contour"]].iloc[-1].between(0, 1).all()
    assert (table["seconds"] > 0).all()
    plans = json.loads(next(trained.folder.rglob("plans.json")).read_text())["configurations"]["2d_compact"]
    assert plans["architecture"]["arch_kwargs"]["features_per_stage"] == [4, 8, 16]
    assert (plans["patch_size"], plans["batch_size"]) == ([32, 32], 2)


@pytest.mark.slow
@pytest.mark.xdist_group("trained")
def test_a_resumed_training_equals_an_uninterrupted_one(trained, tmp_path):
    whole = NnUNet(trained.settings, Store(tmp_path), patch_px=32, min_area_px=20)
    whole.fit(micrographs(48), seed=0, log=lambda line: None)
    weights = [network._checkpoints()["all"]["network_weights"] for network in (trained, whole)]
    torch.testing.assert_close(*weights, rtol=0, atol=0)


@pytest.fixture
def start(trained, tmp_path, monkeypatch):
    """Function that gives a trainer on so many cores, before its first step; all have the same weights."""
    plans, dataset = (read_json(next(trained.folder.rglob(f"{name}.json"))) for name in ("plans", "dataset"))
    plans["configurations"]["2d_compact"]["batch_size"] = 3
    for name in ("preprocessed", "results"):
        monkeypatch.setenv(f"nnUNet_{name}", str(tmp_path))
    data = tmp_path / plans["dataset_name"] / plans["configurations"]["2d"]["data_identifier"] / "0.b2nd"
    data.parent.mkdir(parents=True)
    data.touch()  # by its suffix, nnU-Net chooses how it would read
    monkeypatch.setattr(torch, "set_num_threads", lambda n: None)
    monkeypatch.setattr(compact_trainer, "has_bfloat16", lambda device: False)

    def started(cores: int) -> CompactTrainer:
        monkeypatch.setattr(compact_trainer, "usable_cores", lambda: cores)
        settings = plans | {"continue_training": False}
        trainer = CompactTrainer(settings, "2d_compact", "all", dataset, torch.device("cpu"))
        trainer.initialize()
        return trainer

    return started


@pytest.mark.slow
@pytest.mark.xdist_group("trained")
def test_threads_that_divide_a_batch_find_the_gradients_of_the_whole(start):
    random = torch.Generator().manual_seed(0)
    images = torch.randn(3, 1, 32, 32, generator=random)
    classes = [torch.randint(0, 3, (3, 1, 32 // n, 32 // n), generator=random).float() for n in (1, 2)]

    def gradients(cores: int) -> list[torch.Tensor]:
        trainer = start(cores)
        trainer.on_train_epoch_start()
        loss = trainer.train_step({"data": images, "target": classes})["loss"]
        return [loss, *(weight.grad for weight in trainer.network.parameters())]

    whole = gradients(1)
    for cores in (2, 3, 8):
        torch.testing.assert_close(gradients(cores), whole, rtol=1e-4, atol=1e-6)


@pytest.mark.slow
@pytest.mark.xdist_group("trained")
def test_a_pixel_of_a_seam_counts_as_much_as_five(start):
    logits = torch.zeros(1, len(SEAM_LABELS), 1, 2, requires_grad=True)
    labels = product(range(SEAM + 1), range(SEAM + 1, len(SEAM_LABELS)))
    cross_entropy = start(1).loss.loss.ce
    for other, at_seam in labels:
        loss = cross_entropy(logits, torch.tensor([[[[other, at_seam]]]]))
        slopes = torch.autograd.grad(loss, logits)[0].abs().amax(dim=1).flatten()
        torch.testing.assert_close(slopes[1] / slopes[0], torch.tensor(5.0))


@pytest.mark.slow
@pytest.mark.xdist_group("trained")
def test_it_predicts_in_this_process_quietly_and_is_loaded_once(trained, capsys, monkeypatch):
    backend = matplotlib.get_backend()
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a process was started"))
    for sample in micrographs(2, 80, n_discs=8, seed=5):
        found = trained.class_map(sample.image)
        assert (found.classes.shape, found.particle.dtype) == ((80, 80), np.float32)
        assert (found.classes == 1)[found.particle > 0.5].all()
        assert (found.particle > 1 / 3 - 1e-4)[found.classes == 1].all()
        true = sample.instances > 0
        for edge, inside in ((found.classes[0], true[0]), (found.classes[:, -1], true[:, -1])):
            assert not inside.any() or (edge == 1)[inside].mean() > 0.5, "particles reach the border"
        assert score(sample.instances, plain(found.classes), min_area=20)["dsc"] > 0.6
        assert score(sample.instances, trained.segment(sample.image), min_area=20)["pq"] > 0.1
        monkeypatch.setattr(prediction, "read_json", lambda path: pytest.fail("loaded again"))
    assert capsys.readouterr().out == ""
    assert matplotlib.get_backend() == backend


@pytest.mark.slow
@pytest.mark.xdist_group("trained")
def test_gray_levels_are_those_of_the_whole_image_but_for_black_margins(trained):
    (sample,) = micrographs(1, 96, n_discs=12, seed=6)
    found = trained.class_map(sample.image)
    dark, framed = trained.class_map(sample.image / 2), trained.class_map(np.pad(sample.image, 50))
    assert (dark.classes == found.classes).mean() > 0.99
    inner = np.s_[20:-20, 20:-20]
    assert (framed.classes[50:-50, 50:-50][inner] == found.classes[inner]).mean() > 0.85
    assert not framed.classes[:50].any()
    assert trained.class_map(np.zeros((20, 30), np.float32)).particle.shape == (20, 30)


@pytest.mark.slow
@pytest.mark.xdist_group("trained")
def test_large_images_in_windows_come_out_as_a_whole(trained, monkeypatch):
    """Also an empty window, which on its own would be stretched until its noise looks like particles."""
    (left,) = micrographs(1, 160, n_discs=25, seed=7)
    right = np.random.default_rng(0).normal(60 / 255, 10 / 255, (160, 400))
    image = np.hstack([left.image, right]).astype(np.float32)
    whole = trained.class_map(image)
    monkeypatch.setattr(prediction, "apply_windows", partial(apply_windows, side_px=290))
    parts = trained.class_map(image)
    agree = parts.classes == whole.classes
    assert agree.mean() > 0.9
    assert agree[:, 200:].mean() > 0.9, "the empty part, of which one window sees nothing else"


@pytest.mark.slow
@pytest.mark.xdist_group("trained")
def test_more_iterations_go_on_from_the_checkpoint_that_is_there(trained):
    """110 iterations end 10 into the third epoch, which goes on there."""
    settings = trained.settings.model_copy(update={"iterations": 130})
    lines: list[str] = []
    grown = NnUNet(settings, trained.store, patch_px=32, min_area_px=20)
    grown.fit(micrographs(48), seed=0, log=lines.append)
    assert grown.folder.parent == trained.folder.parent
    assert [line for line in lines if "epoch 1/3" in line or "epoch 2/3" in line] == []
    table = grown.training()
    assert table["epoch"].tolist() == [0, 1, 2]
    assert table["learning_rate"].is_monotonic_decreasing
    assert read_json(grown.folder / "trained.json") == {"iterations": 130}
    assert grown.identity != trained.identity
    sample = SampleSet.of(micrographs(1, 80, n_discs=8, seed=5))[0]
    assert score(sample.instances, plain(grown.class_map(sample.image).classes))["dsc"] > 0.6


@pytest.mark.slow
@pytest.mark.xdist_group("trained")
@pytest.mark.parametrize("compact", [True, False])
def test_tiles_are_put_together_as_nnu_net_does(trained, monkeypatch, compact):
    from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor

    monkeypatch.setenv("nnUNet_extTrainer", str(TRAINERS))
    predictor = nnUNetPredictor(
        prediction.COMPACT_STEP if compact else prediction.STEP,
        use_mirroring=not compact,
        device=torch.device("cpu"),
        allow_tqdm=False,
    )
    (place,) = trained.folder.glob("nnUNet_results/*/*")
    predictor.initialize_from_trained_model_folder(str(place), ("all",), "checkpoint_final.pth")
    gray = torch.randn(70, 45, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=compact and has_bfloat16(torch.device("cpu"))):
        expected = predictor.predict_logits_from_preprocessed_data(gray[None, None])[:, 0]
    found = prediction.sliding_window([predictor.network.eval()], gray, (32, 32), compact=compact)
    assert found.shape == expected.shape
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
