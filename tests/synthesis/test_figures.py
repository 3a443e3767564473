import matplotlib.pyplot as plt
import numpy as np
import pytest

from drgan_lib.synthesis import figures, load_synthetic, synthesize


@pytest.fixture
def stage(make_stage):
    made = make_stage()
    synthesize(*made.arguments, log=lambda line: None)
    yield made
    plt.close("all")


def test_gallery_shows_the_arrays(stage):
    made = load_synthetic(stage.exp)
    axes = figures.gallery(made, n=9).axes
    assert len(axes) == 3 * 4
    np.testing.assert_array_equal(axes[1].images[0].get_array(), made.images[1])
    np.testing.assert_array_equal(axes[4 * 2 + 1].images[0].get_array(), made.labels[1])


def test_close_up_finds_where_particles_touch(stage):
    made = load_synthetic(stage.exp)
    made.labels[0][:], made.instances[0][:] = 0, 0
    made.instances[0][30:34, 5:20] = 7
    made.labels[0][32, 5:20] = 2
    shown = figures.close_up(made, size=16).axes[2].images[0].get_array()
    assert shown.shape == (16, 16)
    assert (shown == 2).sum() == 15


def test_statistics_have_a_panel_per_column(stage):
    drawn = figures.statistics(load_synthetic(stage.exp), stage.exp)
    labels = [axis.get_xlabel() for axis in drawn.axes if axis.get_xlabel()]
    assert labels == [
        "n particles",
        "contrast",
        *(n.replace("_", " ") for n in stage.exp.material.parameters),
    ]


def test_the_contact_sheet_shows_both_on_one_gray_scale(stage):
    made = load_synthetic(stage.exp)
    real = np.random.default_rng(0).uniform(size=(9, 48, 48)).astype(np.float32)
    axes = figures.contact_sheet(real, made.images, origin="twin").axes
    assert len(axes) == 2 * 4  # no more synthetic images are there
    assert [axes[0].get_ylabel(), axes[4].get_ylabel()] == ["twin", "synthetic"]
    np.testing.assert_array_equal(axes[3].images[0].get_array(), real[-1])
    np.testing.assert_allclose(axes[5].images[0].get_array(), made.images[1] / 255, atol=1e-6)
    assert {axis.images[0].get_clim() for axis in axes} == {(0, 1)}
