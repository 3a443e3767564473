"""Learned parameters against the truth of a twin."""

import json

import numpy as np
import pandas as pd
import pytest

from drgan_lib.gan import (
    parameter_distance,
    plot_parameters,
    plot_recovery,
    recovery,
    select_epoch,
    write_figures_json,
)
from drgan_lib.gan.recovery import learned_parameters, true_parameters


def named(exp, **changes):
    """The experiment with another `twin_of` or other bounds."""
    material = exp.material
    if "twin_of" in changes:
        changes["dataset"] = material.dataset.model_copy(update={"twin_of": changes.pop("twin_of")})
    return exp.model_copy(update={"material": material.model_copy(update=changes)})


def test_parameter_distance():
    a, b = np.zeros((5, 2)), np.tile([0.25, 1.0], (3, 1))
    np.testing.assert_allclose(parameter_distance(a, b), [0.25, 1.0])
    np.testing.assert_allclose(parameter_distance(b, b), 0)
    with pytest.raises(ValueError, match="two sets"):
        parameter_distance(a, np.zeros((0, 2)))
    with pytest.raises(ValueError, match="two sets"):
        parameter_distance(a, np.zeros((3, 1)))


def test_recovery_and_report(trained, truth):
    select_epoch(trained)
    found = recovery(trained, truth)
    assert found["before"] == pytest.approx(0.3, abs=0.05), "starts at 0.2 of the bounds, the truth is at 0.5"
    assert 0 <= found["after"] <= 1
    assert list(found["parameters"]) == list(trained.material.parameters)
    assert (found["twin_of"], found["without_truth"]) == ("twin", [])
    figures = json.loads(write_figures_json(trained).read_text())
    assert figures["recovery_before"]["value"] == found["before"]
    assert {"fd_efficientnet_lite0", "kd_efficientnet_lite0", "parameter_spread", "recovery_after"} <= figures.keys()
    assert "fid" not in figures
    assert all({"value", "definition", "split"} <= figure.keys() for figure in figures.values())


def test_the_table_has_true_learned_and_untrained_values_in_physical_units(trained, truth):
    select_epoch(trained)
    found = recovery(trained, truth)
    table = pd.read_csv(trained.stage_dir("gan") / "recovery.csv", index_col="parameter")
    assert json.loads((trained.stage_dir("gan") / "recovery.json").read_text()) == found
    history = pd.read_csv(trained.stage_dir("gan") / "history.csv", index_col="epoch")
    for name, (low, high) in trained.material.bounds.items():
        row = table.loc[name]
        assert row.to_dict() == pytest.approx(found["parameters"][name])
        assert (row["true_mean"], row["true_std"]) == pytest.approx(((low + high) / 2, 0))
        for kind, epoch in (("untrained", 0), ("learned", found["epoch"])):
            assert row[f"{kind}_mean"] == pytest.approx(history.loc[epoch, f"{name}_mean"], rel=1e-4)
            assert row[f"{kind}_std"] == pytest.approx(history.loc[epoch, f"{name}_std"], rel=1e-3, abs=1e-7)


def test_the_twin_of_another_material_is_compared_where_both_know(trained, truth):
    """A truth.csv of another material: one parameter is unknown there, another one here."""
    select_epoch(trained)
    whole = recovery(trained, truth)
    table = pd.read_csv(truth).rename(columns={"roughness": "sheen"})
    table.to_csv(truth, index=False)
    exp = named(trained, twin_of="tio2_sem")
    found = recovery(exp, truth)
    assert list(found["parameters"]) == [name for name in exp.material.parameters if name != "roughness"]
    assert found["without_truth"] == ["roughness"]
    assert found["parameters"]["base_color"] == whole["parameters"]["base_color"]
    assert list(true_parameters(exp, truth)) == list(found["parameters"])
    assert plot_parameters(exp, truth=truth).stat().st_size > 5000


def test_no_parameter_in_common_is_refused(trained, truth):
    table = pd.read_csv(truth).drop(columns=list(trained.material.parameters))
    table.to_csv(truth, index=False)
    with pytest.raises(ValueError, match=r"no parameter in common: there are split, blur_px, specks.*roughness"):
        true_parameters(trained, truth)


def test_recovery_needs_a_twin(trained, truth):
    with pytest.raises(ValueError, match=r"set dataset\.twin_of"):
        recovery(named(trained, twin_of=None), truth)


def test_learned_parameters_lie_within_the_bounds(trained):
    table = learned_parameters(trained, 2)
    for name, (low, high) in trained.material.bounds.items():
        assert table[name].between(low, high).all()


def test_the_figure(trained, truth):
    select_epoch(trained)
    assert plot_recovery(trained, recovery(trained, truth)).stat().st_size > 5000
