from __future__ import annotations

import numpy as np
import pytest

from drgan_lib.quantify import (
    Counting,
    distribution,
    local_thickness,
    measure_particles,
    plot_distribution,
    plot_particles,
    plot_thickness,
)
from drgan_lib.quantify.plots import EXCLUDED

ALL = Counting()


def distributions(column: str, **tables):
    return {name: distribution(table, column, ALL) for name, table in tables.items()}


def legend(figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].get_legend().get_texts()]


def test_distributions_stand_side_by_side_with_their_numbers(scattered):
    true, half = measure_particles(scattered, 2.0), measure_particles(np.where(scattered % 2, scattered, 0), 2.0)
    figure = plot_distribution(distributions("equivalent_diameter_nm", masks=true, prediction=half))
    assert len(legend(figure)) == 2
    n = int((~true["touches_border"]).sum())
    assert legend(figure)[0].startswith(f"masks: n = {n} ({60 - n} left out), D50 = ")
    assert " nm [" in legend(figure)[0]
    bars, curves = figure.axes
    assert bars.get_xlabel() == curves.get_xlabel() == "equivalent diameter (nm)"
    points = [line for line in curves.lines if line.get_marker() == "o"]
    assert len(points) == 6
    assert max(line.get_ydata().max() for line in curves.lines) == pytest.approx(100)


def test_a_table_without_particles_stays_in_the_legend(scattered):
    nothing = measure_particles(np.zeros((9, 9), int))
    found = distributions("feret_min_px", masks=measure_particles(scattered), prediction=nothing)
    figure = plot_distribution(found)
    assert legend(figure)[1].startswith("prediction: n = 0")
    for drawn in (figure, plot_distribution({"nothing": found["prediction"]})):
        drawn.draw_without_rendering()
    with pytest.raises(ValueError, match="between one and 3 distributions, got 0"):
        plot_distribution({})
    with pytest.raises(ValueError, match="of one size, got area_px2 and feret_min_px"):
        plot_distribution(found | distributions("area_px2", other=nothing))


def test_particles_left_out_are_marked(scattered):
    table, image = measure_particles(scattered), np.full(scattered.shape, 0.2)
    figure = plot_particles(image, scattered, table, "equivalent_diameter_px", Counting(min_area_px=60))
    figure.draw_without_rendering()
    axes = figure.axes[0]
    out = table["touches_border"] | (table["area_px2"] < 60)
    assert len(axes.lines[0].get_xdata()) == out.sum() > 0
    picture = np.asarray(axes.images[0].get_array())
    assert (picture[scattered == 0] == round(255 * 0.2)).all()
    pink = np.isclose(picture / 255, EXCLUDED, atol=1 / 255).all(axis=-1)
    assert set(np.unique(scattered[pink])) == set(table["id"][out])
    assert "below 60 px" in figure.legends[0].get_texts()[0].get_text()


@pytest.mark.parametrize("shape", [(40, 8000), (8000, 40)])
def test_long_images_and_particles_that_reach_beyond_them_are_drawn_within_bounds(shape):
    labels = np.zeros(shape, np.int32)
    labels[:20, :20] = 1
    table = measure_particles(labels).assign(row_px=-500.0, column_px=-500.0)  # as of a wire that enters the part shown
    figure = plot_particles(np.zeros(shape), labels, table, "area_px2", ALL)
    figure.draw_without_rendering()
    assert max(figure.get_size_inches()) < 10
    assert min(*figure.axes[0].get_xlim(), *figure.axes[0].get_ylim()) == -0.5


def test_an_image_without_particles_is_drawn():
    labels = np.zeros((20, 30), int)
    figure = plot_particles(np.zeros((20, 30)), labels, measure_particles(labels), "area_px2", ALL)
    assert figure.axes[0].get_title() == "0 particles counted, 0 left out"
    assert figure.axes[1].get_ylabel() == "area (px²)"
    map_ = plot_thickness(np.zeros((20, 30)), local_thickness(labels))
    assert "nan" in map_.axes[1].get_title()
    for drawn in (figure, map_):
        drawn.draw_without_rendering()


def test_the_thickness_of_large_images_is_drawn_in_part():
    mask = np.zeros((40, 3100), bool)
    mask[10:16] = True
    figure = plot_thickness(np.zeros(mask.shape), local_thickness(mask, 2.0))
    assert figure.axes[0].images[0].get_array().shape == (14, 1034)
    assert figure.axes[1].get_title() == "median 12 nm (dashed)"
    with pytest.raises(ValueError, match="image of the shape"):
        plot_thickness(np.zeros((4, 4)), local_thickness(mask))
