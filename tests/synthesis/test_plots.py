from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
import pytest

from drgan_lib.classes import three_class
from drgan_lib.samples import Sample, SampleSet, open_samples
from drgan_lib.synthesis import plots


@pytest.fixture
def made(stage):
    yield open_samples(stage.place)
    plt.close("all")


def test_gallery_shows_the_arrays(made):
    axes = plots.gallery(made, contour_px=2, n=9).axes
    assert len(axes) == 3 * 4
    np.testing.assert_array_equal(axes[1].images[0].get_array(), made[1].image)
    np.testing.assert_array_equal(axes[4 * 2 + 1].images[0].get_array(), three_class(made[1].instances, 2))


def blank(*rectangles: tuple[slice, slice]) -> Sample:
    """A support with rectangular particles."""
    instances = np.zeros((48, 48), int)
    for number, place in enumerate(rectangles, 1):
        instances[place] = number
    return Sample("drawn", 0.2 + 0.5 * (instances > 0), instances=instances)


def test_close_up_finds_where_particles_touch(made):
    alone = blank(np.s_[2:20, 2:20])
    touching = blank(np.s_[30:34, 5:20], np.s_[34:36, 5:20])
    samples = SampleSet.of([blank(), alone, replace(touching, name="touching"), alone])
    axes = plots.close_up(samples, contour_px=1, size=16).axes
    shown = axes[2].images[0].get_array()
    assert shown.shape == axes[0].images[0].get_array().shape == (16, 16)
    assert (shown == 2).sum() == 15 + 15 + 15 + 6, "the line between them, and the contour around"
    assert axes[0].get_title() == "image touching"
    axes = plots.close_up(samples[:2], contour_px=1, size=16).axes
    assert (axes[2].images[0].get_array() == 2).any(), "where nothing touches it shows a contour"
    assert axes[0].images[0].get_clim() == pytest.approx((0.2, 0.7)), "a dark image is not shown black"


def test_statistics_have_a_panel_per_column(made, stage):
    names = stage.exp.material.parameters
    made = made + made.map(lambda s: replace(s, parameters=s.parameters | {"contrast": np.nan}))
    labels = [axis.get_xlabel() for axis in plots.statistics(made, stage.exp).axes if axis.get_xlabel()]
    assert labels == ["n particles", "contrast", *(name.replace("_", " ") for name in names)]


def test_the_contact_sheet_shows_both_on_one_gray_scale(made):
    real = SampleSet.of(Sample(str(k), image) for k, image in enumerate(np.random.default_rng(0).random((9, 48, 48))))
    axes = plots.contact_sheet(real, made, origin="twin").axes
    assert len(axes) == 2 * 4  # no more synthetic images are there
    assert [axes[0].get_ylabel(), axes[4].get_ylabel()] == ["twin", "synthetic"]
    np.testing.assert_array_equal(axes[3].images[0].get_array(), real[-1].image)
    np.testing.assert_array_equal(axes[5].images[0].get_array(), made[1].image)
    assert {axis.images[0].get_clim() for axis in axes} == {(0, 1)}
