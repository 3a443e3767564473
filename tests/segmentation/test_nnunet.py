"""Checks before training, the child process and its failures; one small training is marked slow."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
from skimage.io import imread, imsave

from drgan_lib.classes import nnunet_raw
from drgan_lib.config import load_experiment
from drgan_lib.segmentation import SegmentationError, evaluate, nnunet, segment
from drgan_lib.segmentation.checks import check_raw
from drgan_lib.segmentation.trainers.atomic import AtomicTrainer
from drgan_lib.segmentation.trainers.compact import CompactTrainer


def test_a_good_training_set_passes(fabricate):
    assert check_raw(nnunet_raw(fabricate()), patch_px=64) == 4


def test_missing_training_set_names_the_stage_to_run(tmp_path):
    with pytest.raises(SegmentationError, match="run the synthesis stage first"):
        check_raw(tmp_path / "nothing", patch_px=64)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (np.zeros((64, 64), np.uint8), "holds a particle"),
        (np.full((64, 64), 255, np.uint8), r"got values \[255\]"),
        (np.ones((64, 32), np.uint8), r"one 2-D shape, got \(64, 64\), \(64, 32\)"),
    ],
)
def test_labels_that_cannot_be_learned_are_refused(fabricate, folder, label, message):
    exp = fabricate(n_train=1)
    imsave(nnunet_raw(exp) / "labelsTr" / "00000.png", label, check_contrast=False)
    with pytest.raises(SegmentationError, match=message):
        segment(exp, folder)


def test_image_without_label_is_refused(fabricate, folder):
    exp = fabricate()
    (nnunet_raw(exp) / "labelsTr" / "00002.png").unlink()
    with pytest.raises(SegmentationError, match="'00002'"):
        segment(exp, folder)


def test_images_smaller_than_a_patch_are_refused(fabricate):
    with pytest.raises(SegmentationError, match="at least 128 x 128"):
        check_raw(nnunet_raw(fabricate()), patch_px=128)


def test_test_images_are_cropped_to_the_sample_rows(fabricate, folder):
    paths = nnunet.write_test_images(fabricate(), folder)
    assert [p.name for p in paths] == ["sem0.png", "sem1.png"]
    image = imread(paths[0])
    assert (image.shape, image.dtype) == ((72, 80), np.uint16)


def test_environment_stays_below_the_run(fabricate):
    exp = fabricate()
    before, variables = dict(os.environ), nnunet.environment(exp)
    assert dict(os.environ) == before
    for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        assert Path(variables[name]).is_relative_to(exp.run_dir.resolve())
    assert (Path(variables["nnUNet_extTrainer"]) / "compact.py").is_file()


@pytest.mark.parametrize(
    ("program", "message"),
    [
        (f"import os; os.kill(os.getpid(), {int(signal.SIGKILL)})", "lack of memory"),
        ("raise RuntimeError('worker is 6 feet under')", "lack of memory"),
        ("raise ValueError('the reason')", "ValueError: the reason"),
    ],
)
def test_a_failing_process_is_explained(tmp_path, monkeypatch, program, message):
    script = tmp_path / "python"
    script.write_text(f"#!{nnunet.sys.executable}\n{program}\n")
    script.chmod(0o755)
    monkeypatch.setattr(nnunet.sys, "executable", str(script))
    with pytest.raises(SegmentationError, match=message):
        nnunet.run_worker(tmp_path, dict(os.environ), epochs=1, log=print)


def test_a_training_stands_until_its_labels_or_its_code_change(fabricate, tmp_path, monkeypatch):
    exp, trainers = fabricate(), tmp_path / "code" / "trainers"
    trainers.mkdir(parents=True)
    code = trainers / "compact.py", trainers.parent / "worker.py"
    for path in code:
        path.write_text("value = 1\n")
    monkeypatch.setattr(nnunet, "TRAINERS", trainers)
    monkeypatch.setattr(nnunet, "WORKER", code[1])
    trained = exp.stage_dir("segmentation") / "nnUNet_results" / "checkpoint_final.pth"

    def stands() -> bool:
        nnunet._start_anew_if_changed(exp, exp.stage_dir("segmentation"), nnunet_raw(exp))
        stood = trained.is_file()
        trained.parent.mkdir(exist_ok=True)
        trained.touch()
        return stood

    assert not stands()
    assert stands()
    code[0].write_text("value = 1  # a comment\n")
    assert stands()
    for path in (*code, nnunet_raw(exp) / "labelsTr" / "00000.png"):
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
    names = [nnunet._request(exp, tmp_path, tmp_path)["trainer"] for exp in (compact, default)]
    assert names == ["CompactTrainer", "AtomicTrainer"]


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
    """Three epochs, cut off in the second; the next call goes on with the second and finishes."""
    exp = fabricate(segmentation__iterations=120)
    with pytest.raises(KeyboardInterrupt):
        segment(exp, folder, log=_interrupt_at("epoch 2/3"))
    results, lines = exp.stage_dir("segmentation") / "nnUNet_results", []
    assert len(list(results.rglob("checkpoint_latest.pth"))) == 1
    predictions = segment(exp, folder, log=lines.append)
    assert not [line for line in lines if "epoch 1/3" in line]
    assert [line for line in lines if "epoch 3/3" in line]
    assert sorted(p.name for p in predictions.glob("*.png")) == [
        "sem0.png",
        "sem0_probability.png",
        "sem1.png",
        "sem1_probability.png",
    ]
    assert evaluate(exp, folder, log=lines.append)["dsc"]["value"] > 0.6
    plans = json.loads(next(results.rglob("plans.json")).read_text())
    compact = plans["configurations"]["2d_compact"]
    assert compact["architecture"]["arch_kwargs"]["features_per_stage"] == [4, 8, 16]
    assert (compact["patch_size"], compact["batch_size"]) == ([64, 64], 2)


def _interrupt_at(text: str):
    def log(line: str) -> None:
        if text in line:
            raise KeyboardInterrupt

    return log
