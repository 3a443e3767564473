import json

import pandas as pd
import pytest
import torch

from drgan_lib.gan import (
    CheckpointError,
    checkpoint,
    load_generator,
    parameter_table,
    plot_curves,
    plot_parameters,
    plot_samples,
    select_epoch,
)
from drgan_lib.gan.train import checkpoint_folder


def with_records(exp, records):
    """Checkpoints that hold given records only."""
    for epoch, (fd, breadth) in enumerate(records):
        record = {"epoch": epoch, "features": "fd_efficientnet_lite0", "fd": fd, "kid": 0.1, "kid_std": 0.01}
        content = {"identity": {}, "epoch": epoch, "generator": {}, "positions": torch.zeros(2, 6)}
        checkpoint.save(checkpoint_folder(exp), {**content, "record": {**record, "spread": breadth}})


def test_broadest_among_the_five_nearest(small):
    exp = small(**{"gan.epochs": 10})
    # epoch 0 is untrained, epoch 7 is broad but far
    nearest = [(30, 0.1), (20, 0.2), (10, 0.3), (40, 0.5), (25, 0.4)]
    with_records(exp, [(1, 9), *nearest, (50, 0.8), (90, 0.9), (91, 0.6), (92, 0.6), (93, 0.6)])
    selected = select_epoch(exp)
    assert selected["epoch"] == 4
    assert [row["epoch"] for row in selected["candidates"]] == [3, 2, 5, 1, 4]
    assert json.loads((exp.stage_dir("gan") / "selected.json").read_text()) == selected


def test_the_nearer_of_two_equally_broad_ones(small):
    exp = small(**{"gan.epochs": 2})
    with_records(exp, [(9, 9), (30, 0.1), (20, 0.1)])
    assert select_epoch(exp)["epoch"] == 2


def test_of_few_epochs_the_better_half_are_candidates(small):
    exp = small(**{"gan.epochs": 4})
    with_records(exp, [(1, 9), (30, 0.1), (20, 0.2), (90, 0.9), (80, 0.8)])
    assert [row["epoch"] for row in select_epoch(exp)["candidates"]] == [2, 1]


def test_nothing_trained_is_an_error(small):
    with pytest.raises(CheckpointError, match="no trained epoch"):
        select_epoch(small())
    with pytest.raises(CheckpointError, match="train the GAN first"):
        load_generator(small())


def test_generator_of_the_selected_epoch(trained, world, small):
    epoch = select_epoch(trained)["epoch"]
    generator = load_generator(trained)
    stored = checkpoint.read(checkpoint.checkpoint_path(checkpoint_folder(trained), epoch))["generator"]
    assert all(torch.equal(tensor, stored[name]) for name, tensor in generator.state_dict().items())
    untrained = load_generator(trained, epoch=0)
    assert not torch.equal(generator.layers[0].bias, untrained.layers[0].bias)
    with pytest.raises(CheckpointError, match="bounds"):
        load_generator(small(**{"gan.epochs": 2, "bounds.roughness": [0.0, 1.0]}))
    table = parameter_table(generator, world.layouts, n=9, seed=4)
    assert list(table.columns) == list(trained.material.parameters)
    assert len(table) == 9
    pd.testing.assert_frame_equal(table, parameter_table(generator, world.layouts, n=9, seed=4))
    assert table.drop_duplicates().shape == table.shape


def test_figures(trained, truth, world):
    select_epoch(trained)
    paths = [
        plot_curves(trained),
        plot_parameters(trained),
        plot_parameters(trained, truth=truth),
        plot_samples(trained, world.patches, load_generator(trained), world.renderer, world.layouts, n=4),
    ]
    assert all(path.stat().st_size > 5000 for path in paths)
