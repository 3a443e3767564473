"""Checks before training, the child process and its failures; one small training is marked slow."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from nnunetv2.preprocessing.normalization.default_normalization_schemes import (
    RescaleTo01Normalization,
    ZScoreNormalization,
)
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from skimage.io import imread, imsave

from drgan_lib.config import load_experiment
from drgan_lib.files import read_json, write_json
from drgan_lib.segmentation import SegmentationError, evaluate, load_model, nnunet, segment
from drgan_lib.segmentation.arms import write_training_set
from drgan_lib.segmentation.checks import check_raw
from drgan_lib.segmentation.predictions import read_class_map
from drgan_lib.segmentation.trainers.atomic import AtomicTrainer
from drgan_lib.segmentation.trainers.compact import CompactTrainer
from drgan_lib.segmentation.worker.predict import normalised_by


@pytest.fixture
def raw(fabricate, folder) -> Path:
    """Training set of nnU-Net of four fabricated synthetic images."""
    exp = fabricate()
    return write_training_set(exp, folder, "synthetic", exp.run_dir / "arm")


def test_a_good_training_set_passes(raw):
    assert check_raw(raw, patch_px=64) == 6


def test_a_missing_training_set_names_what_writes_it(tmp_path):
    with pytest.raises(SegmentationError, match="write it with write_training_set first"):
        check_raw(tmp_path / "nothing", patch_px=64)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (np.zeros((64, 64), np.uint8), "holds a particle"),
        (np.full((64, 64), 255, np.uint8), r"got values \[255\]"),
        (np.ones((64, 32), np.uint8), r"one 2-D shape, got \(64, 64\), \(64, 32\)"),
    ],
)
def test_labels_that_cannot_be_learned_are_refused_before_the_start(fabricate, folder, monkeypatch, label, message):
    monkeypatch.setattr(nnunet, "run_worker", lambda *_, **__: pytest.fail("started"))
    exp = fabricate(n_train=1)
    raw = write_training_set(exp, folder, "synthetic", exp.run_dir / "arm")
    imsave(raw / "labelsTr" / "synthetic_00000.png", label, check_contrast=False)
    with pytest.raises(SegmentationError, match=message):
        nnunet.train(exp, raw, exp.run_dir / "network", seed=0)


def test_image_without_label_is_refused(raw):
    (raw / "labelsTr" / "synthetic_00002.png").unlink()
    with pytest.raises(SegmentationError, match="'synthetic_00002'"):
        check_raw(raw, patch_px=64)


def test_images_smaller_than_a_patch_are_refused(raw):
    with pytest.raises(SegmentationError, match="at least 128 x 128"):
        check_raw(raw, patch_px=128)


def test_environment_stays_below_the_network(tmp_path):
    before, variables = dict(os.environ), nnunet._environment(tmp_path, tmp_path / "raw", tmp_path / "pre")
    assert dict(os.environ) == before
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        assert Path(variables[name]).is_relative_to(tmp_path.resolve())
    assert (Path(variables["nnUNet_extTrainer"]) / "compact.py").is_file()


def test_a_network_that_is_not_trained_is_not_asked(tmp_path):
    with pytest.raises(SegmentationError, match="run the segmentation stage first"):
        nnunet.predict(tmp_path, [(tmp_path, tmp_path / "out")], tmp_path / "nnunet.log")


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (f"import os; os.kill(os.getpid(), {int(signal.SIGKILL)})", "lack of memory"),
        ("raise RuntimeError('worker is 6 feet under')", "lack of memory"),
        ("raise RuntimeError('One or more background workers are no longer alive.')", r"lack of memory.*nnunet\.log"),
        ("raise RuntimeError('DefaultCPUAllocator: can\\'t allocate memory')", "lack of memory"),
        ("raise RuntimeError('CUDA out of memory. Tried to allocate')", "lack of memory"),
        ("raise ValueError('the reason')", "ValueError: the reason"),
    ],
)
def test_a_failing_process_is_explained(tmp_path, monkeypatch, program, message):
    script = tmp_path / "python"
    script.write_text(f"#!{nnunet.sys.executable}\n{program}\n")
    script.chmod(0o755)
    monkeypatch.setattr(nnunet.sys, "executable", str(script))
    with pytest.raises(SegmentationError, match=message):
        nnunet.run_worker({}, dict(os.environ), tmp_path / "nnunet.log", log=print)


def test_a_training_stands_until_its_labels_its_seed_or_its_code_change(fabricate, raw, tmp_path, monkeypatch):
    exp, trainers, network = fabricate(), tmp_path / "code" / "trainers", tmp_path / "network"
    trainers.mkdir(parents=True)
    code = trainers / "compact.py", trainers.parent / "train.py"
    for path in code:
        path.write_text("value = 1\n")
    monkeypatch.setattr(nnunet, "TRAINERS", trainers)
    monkeypatch.setattr(nnunet, "TRAIN", code[1])
    trained = network / "nnUNet_results" / "checkpoint_final.pth"

    def stands(exp=exp, seed=0) -> bool:
        nnunet._start_anew_if_changed(exp, network, raw, seed)
        stood = trained.is_file()
        trained.parent.mkdir(exist_ok=True)
        trained.touch()
        return stood

    assert not stands()
    assert stands()
    assert stands(exp=fabricate(segmentation__arms="synthetic:3,otsu"))
    assert not stands(exp=fabricate(segmentation__iterations=7))
    assert not stands(seed=1)
    assert not stands()
    code[0].write_text("value = 1  # a comment\n")
    assert stands()
    about = raw / "dataset.json"
    write_json(about, read_json(about) | {"description": "in other words"})
    assert stands()
    write_json(about, read_json(about) | {"channel_names": {"0": "rescale_to_0_1"}})
    assert not stands()
    for path in (*code, raw / "labelsTr" / "synthetic_00000.png"):
        path.write_bytes(path.read_bytes() + b"more = 1\n")
        assert not stands()
        assert stands()


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


def test_both_trainers_save_without_half_written_checkpoints(fabricate, tmp_path):
    compact = fabricate()
    default = load_experiment("tio2_sem", "paper", runs=tmp_path)
    names = [nnunet._request(exp, tmp_path, tmp_path, 0)["trainer"] for exp in (compact, default)]
    assert names == ["CompactTrainer", "AtomicTrainer"]


def test_a_part_is_normalised_as_the_image_that_it_is_of():
    scheme = ZScoreNormalization(use_mask_for_norm=False, intensityproperties={}, target_dtype=np.float32)
    part = np.array([[1.0, 5.0]], np.float32)
    to_01 = RescaleTo01Normalization(use_mask_for_norm=False, intensityproperties={}, target_dtype=np.float32)
    with normalised_by({"mean": 2.0, "std": 4.0, "min": 0.0, "max": 10.0}):
        np.testing.assert_allclose(scheme.run(part.copy()), [[-0.25, 0.75]])
        np.testing.assert_allclose(to_01.run(part.copy()), [[0.1, 0.5]])
    with normalised_by(None):
        np.testing.assert_allclose(scheme.run(part.copy()), [[-1, 1]])
        np.testing.assert_allclose(to_01.run(part.copy()), [[0, 1]])


def test_five_folds_are_five_networks(fabricate, tmp_path):
    folds = [nnunet._request(fabricate(segmentation__fold=f), tmp_path, tmp_path, 0)["folds"] for f in ("all", "five")]
    assert folds == [["all"], ["0", "1", "2", "3", "4"]]


def test_progress_is_a_few_lines():
    lines = []
    report = nnunet.Reporter(40, lines.append)
    for epoch in range(40):
        report(f"2026-01-01: Epoch {epoch}\n")
        report("2026-01-01: noise\n")
        report("2026-01-01: train_loss -0.5\n")
    report("STAGE trained\n")
    assert len(lines) == 21
    assert lines[0] == "nnU-Net: epoch 2/40, training loss -0.500"


@pytest.mark.slow
def test_trains_resumes_predicts_and_scores(fabricate, folder):
    """Three epochs, cut off in the second; the next call goes on there and finishes; a third has nothing to do."""
    exp = fabricate(n_train=60, segmentation__iterations=120, segmentation__arms="synthetic+background,otsu")
    with pytest.raises(KeyboardInterrupt):
        segment(exp, folder, log=_interrupt_at("epoch 2/3"))
    network, lines = exp.stage_dir("segmentation") / "arms" / "synthetic+background" / "seed0", []
    assert len(list(network.rglob("checkpoint_latest.pth"))) == 1
    segment(exp, folder, log=lines.append)
    assert not [line for line in lines if "epoch 1/3" in line]
    assert [line for line in lines if "epoch 3/3" in line]
    for name in ("sem0", "sem1"):
        found = read_class_map(network / "predictions", name)
        assert (found.classes.shape, found.particle.dtype) == ((72, 80), np.float32)
        assert (found.classes == 1)[found.particle > 0.5].all()
        assert (found.particle > 1 / 3 - 1e-4)[found.classes == 1].all()
        truth = imread(folder / "masks" / f"{name}.png")[:72] > 0
        for edge, true in ((found.classes[0], truth[0]), (found.classes[:, -1], truth[:, -1])):
            assert not true.any() or (edge == 1)[true].mean() > 0.5, "particles reach the border"
    model = load_model(exp.run_dir)
    assert (model.arm, model.seed, model.patch_px, model.folder) == ("synthetic+background", 0, 64, network)
    figures = evaluate(exp, folder, log=lines.append)
    assert figures["dsc"]["value"] > 0.6
    assert figures["border_core_pq"]["value"] > 0.1
    plans = json.loads(next(network.rglob("plans.json")).read_text())
    compact = plans["configurations"]["2d_compact"]
    assert compact["architecture"]["arch_kwargs"]["features_per_stage"] == [4, 8, 16]
    assert (compact["patch_size"], compact["batch_size"]) == ([64, 64], 2)
    before = (network / "nnunet.log").read_bytes()
    segment(exp, folder, log=lines.append)
    assert (network / "nnunet.log").read_bytes() == before


def _interrupt_at(text: str):
    def log(line: str) -> None:
        if text in line:
            raise KeyboardInterrupt

    return log
