"""What a training of two epochs leaves: tables, the selected epoch, its generator, recovery of the truth, plots."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from matplotlib import pyplot as plt

from drgan_lib.gan import (
    CheckpointError,
    checkpoint,
    learned_parameters,
    load_generator,
    plot_curves,
    plot_parameters,
    plot_recovery,
    plot_rows,
    recovery,
    select_epoch,
    time_spent,
    train,
    write_summary,
)
from drgan_lib.gan.history import parameter_distance, read_history, true_parameters
from drgan_lib.metric import read_metrics


@pytest.fixture(scope="module")
def trained(small, world, tmp_path_factory):
    """An experiment after two epochs, and a truth.csv whose training micrographs have the middle of the bounds."""
    exp, folder = small(**{"gan.epochs": 2}), tmp_path_factory.mktemp("trained")
    train(exp, world.images, world.renderer, world.layouts, folder, log=lambda _: None)
    select_epoch(folder)
    rows = pd.DataFrame({name: 4 * [np.mean(bounds)] for name, bounds in exp.material.bounds.items()})
    rows.insert(0, "split", ["train", "train", "train", "test"])
    rows.iloc[3, 1:] = 0.0
    truth = tmp_path_factory.mktemp("twin") / "truth.csv"
    rows.assign(blur_px=0.5, specks=3).to_csv(truth, index=False)
    return SimpleNamespace(exp=exp, folder=folder, truth=truth)


def twin_of(exp, name):
    """The experiment on the twin of another material, or of none."""
    dataset = exp.material.dataset.model_copy(update={"twin_of": name})
    return exp.model_copy(update={"material": exp.material.model_copy(update={"dataset": dataset})})


@pytest.fixture
def foreign(trained, tmp_path):
    """The experiment on the twin of another material, and a truth.csv that knows no roughness."""
    pd.read_csv(trained.truth).rename(columns={"roughness": "sheen"}).to_csv(tmp_path / "truth.csv", index=False)
    return twin_of(trained.exp, "tio2_sem"), tmp_path / "truth.csv"


@pytest.mark.parametrize(
    ("distances", "spreads", "candidates", "chosen"),  # by epoch, of which 0 is untrained
    [
        # epoch 7 is broad but far
        (
            [1, 30, 20, 10, 40, 25, 50, 90, 91, 92, 93],
            [9, 0.1, 0.2, 0.3, 0.5, 0.4, 0.8, 0.9, 0.6, 0.6, 0.6],
            [3, 2, 5, 1, 4],
            4,
        ),
        ([9, 30, 20, 60, 70], [9, 0.1, 0.1, 0.3, 0.3], [2, 1], 2),
        ([1, 30, 20, 90, 80], [9, 0.1, 0.2, 0.9, 0.8], [2, 1], 2),
    ],
    ids=["the broadest of the five nearest", "the nearer of two as broad", "of the better half of four"],
)
def test_selection(tmp_path, distances, spreads, candidates, chosen):
    table = pd.DataFrame({"fd": distances, "spread": spreads}).assign(features="fid", kid=0.1, kid_std=0.01)
    table.to_csv(tmp_path / "history.csv", index_label="epoch")
    selected = select_epoch(tmp_path)
    assert selected["epoch"] == chosen
    assert [row["epoch"] for row in selected["candidates"]] == candidates
    assert json.loads((tmp_path / "selected.json").read_text()) == selected
    assert select_epoch(tmp_path, objective="moments") == selected | selected["candidates"][0] | {
        "rule": "lowest Frechet distance"
    }


def test_nothing_trained_is_an_error(small, tmp_path):
    for call in (select_epoch, read_history, learned_parameters, lambda folder: load_generator(small(), folder)):
        with pytest.raises(CheckpointError, match="train the GAN first"):
            call(tmp_path)
    (tmp_path / "history.csv").write_text("epoch,fd\n0,1.0\n")
    with pytest.raises(CheckpointError, match="no trained epoch"):
        select_epoch(tmp_path)


def test_generator_of_the_selected_epoch(trained, small):
    checkpoints = trained.folder / "checkpoints"
    generator = load_generator(trained.exp, trained.folder)
    epoch = json.loads((trained.folder / "selected.json").read_text())["epoch"]
    stored = checkpoint.read(checkpoint.checkpoint_path(checkpoints, epoch))["generator"]
    assert all(torch.equal(tensor, stored[name]) for name, tensor in generator.state_dict().items())
    untrained = load_generator(trained.exp, trained.folder, epoch=0)
    assert not torch.equal(generator.layers[0].bias, untrained.layers[0].bias)
    with pytest.raises(CheckpointError, match="bounds"):
        load_generator(small(**{"bounds.roughness": [0.0, 1.0]}), trained.folder)


def test_learned_parameters_are_those_of_the_history(trained):
    table, history = learned_parameters(trained.folder), read_history(trained.folder)
    assert table.index.tolist() == [(epoch, image) for epoch in range(3) for image in range(6)]
    for name, (low, high) in trained.exp.material.bounds.items():
        assert table[name].between(low, high).all()
        np.testing.assert_allclose(table[name].groupby("epoch").mean(), history[f"{name}_mean"])
        np.testing.assert_allclose(table[name].groupby("epoch").std(ddof=0), history[f"{name}_std"])


def test_the_shares_of_time_add_up(trained):
    history = read_history(trained.folder)
    spent = time_spent(history)
    assert spent["share"].sum() == pytest.approx(1)
    assert spent["seconds"].sum() == pytest.approx(history["seconds"].sum() + history["seconds_preparation"].sum())
    assert spent.loc["objective", "seconds"] == pytest.approx(history["seconds_objective"].sum())


def test_parameter_distance():
    a, b = np.zeros((5, 2)), np.tile([0.25, 1.0], (3, 1))
    np.testing.assert_allclose(parameter_distance(a, b), [0.25, 1.0])
    np.testing.assert_allclose(parameter_distance(b, b), 0)
    for other in (np.zeros((0, 2)), np.zeros((3, 1))):
        with pytest.raises(ValueError, match="two sets"):
            parameter_distance(a, other)


def test_recovery_has_true_learned_and_untrained_values_in_physical_units(trained):
    found = recovery(trained.exp, trained.folder, trained.truth)
    assert found["before"] == pytest.approx(0.3, abs=0.05), "starts at 0.2 of the bounds, the truth is at 0.5"
    assert 0 <= found["after"] <= 1
    assert (found["twin_of"], found["without_truth"]) == ("twin", [])
    assert list(found["parameters"]) == list(trained.exp.material.parameters)
    assert json.loads((trained.folder / "recovery.json").read_text()) == found
    table = pd.read_csv(trained.folder / "recovery.csv", index_col="parameter")
    history = read_history(trained.folder)
    for name, (low, high) in trained.exp.material.bounds.items():
        row = table.loc[name]
        assert row.to_dict() == pytest.approx(found["parameters"][name])
        assert (row["true_mean"], row["true_std"]) == pytest.approx(((low + high) / 2, 0))
        for kind, epoch in (("untrained", 0), ("learned", found["epoch"])):
            assert row[f"{kind}_mean"] == pytest.approx(history.loc[epoch, f"{name}_mean"])
            assert row[f"{kind}_std"] == pytest.approx(history.loc[epoch, f"{name}_std"])


def test_the_metrics_of_the_report(trained):
    distances = {"fd_efficientnet_lite0", "kd_efficientnet_lite0", "parameter_spread"}
    assert write_summary(trained.folder).keys() == distances
    found = recovery(trained.exp, trained.folder, trained.truth)
    metrics = write_summary(trained.folder, found)
    assert read_metrics(trained.folder / "metrics.json") == metrics
    assert metrics.keys() == distances | {"recovery_before", "recovery_after"}
    assert metrics["recovery_before"].value == found["before"]
    assert metrics["fd_efficientnet_lite0"].value == read_history(trained.folder).loc[found["epoch"], "fd"]
    assert all(metric.definition and metric.split == "train" and "epoch" in metric.more for metric in metrics.values())


def test_the_twin_of_another_material_is_compared_where_both_know(trained, foreign):
    """A truth.csv of another material: one parameter is unknown there, another one here."""
    whole = recovery(trained.exp, trained.folder, trained.truth)
    exp, truth = foreign
    found = recovery(exp, trained.folder, truth)
    assert list(found["parameters"]) == [name for name in exp.material.parameters if name != "roughness"]
    assert found["without_truth"] == ["roughness"]
    assert found["parameters"]["base_color"] == whole["parameters"]["base_color"]
    assert list(true_parameters(exp, truth)) == list(found["parameters"])


def test_noise_at_white_counts_electrons_that_the_detector_does_not_know(trained, tmp_path):
    table = pd.read_csv(trained.truth).assign(noise_sigma=0.03, shot_noise=0.04)
    table.to_csv(tmp_path / "truth.csv", index=False)
    found = recovery(trained.exp, trained.folder, tmp_path / "truth.csv")
    white, sigma = found["noise_at_white"], found["parameters"]["noise_sigma"]
    assert (white["true_mean"], white["true_std"]) == pytest.approx((0.05, 0))
    assert white["learned_mean"] == pytest.approx(sigma["learned_mean"])
    assert "shot_noise" not in found["parameters"]
    assert white["before"] - sigma["before"] == pytest.approx(0.02 / 0.099, abs=0.02)


def test_recovery_without_a_truth_is_refused(trained, tmp_path):
    names = list(trained.exp.material.parameters)
    pd.read_csv(trained.truth).drop(columns=names).to_csv(tmp_path / "truth.csv", index=False)
    with pytest.raises(ValueError, match=r"no parameter in common: there are split, blur_px, specks.*roughness"):
        true_parameters(trained.exp, tmp_path / "truth.csv")
    with pytest.raises(ValueError, match=r"set dataset\.twin_of"):
        recovery(twin_of(trained.exp, None), trained.folder, trained.truth)


def test_plots_show_what_was_measured_and_write_nothing(trained, foreign, world):
    recovered = recovery(trained.exp, trained.folder, trained.truth)
    before, history = sorted(trained.folder.iterdir()), read_history(trained.folder)
    losses, frechet, *_ = plot_curves(trained.folder).axes
    np.testing.assert_array_equal(losses.lines[0].get_ydata(), history["loss_generator"])
    np.testing.assert_array_equal(frechet.lines[0].get_xydata(), history["fd"].reset_index())
    bounds = trained.exp.material.bounds
    for exp, truth, n in (
        (trained.exp, None, 0),
        (trained.exp, trained.truth, len(bounds)),
        (*foreign, len(bounds) - 1),
    ):
        panels = plot_parameters(exp, trained.folder, truth=truth).axes
        assert [panel.get_ylim() for panel in panels] == [pytest.approx(limits) for limits in bounds.values()]
        assert sum(any(line.get_label() == "truth" for line in panel.lines) for panel in panels) == n
    (axes,) = plot_recovery(trained.exp, recovered).axes
    assert [text.get_text() for text in axes.texts][-1] == "{before:.2f} to {after:.2f}".format(
        **recovered["parameters"][next(iter(bounds))]
    )
    rows = plot_rows({"real": world.images, "synthetic": world.images[::-1]}).axes
    assert [panel.get_ylabel() for panel in rows if panel.get_ylabel()] == ["real", "synthetic"]
    np.testing.assert_array_equal(rows[0].images[0].get_array(), rows[-1].images[0].get_array())
    assert sorted(trained.folder.iterdir()) == before
    plt.close("all")
