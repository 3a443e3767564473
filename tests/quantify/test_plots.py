from __future__ import annotations

import numpy as np
import pytest

from drgan_lib.quantify import (
    Counting,
    distribution,
    local_thickness,
    measure_particles,
    plot_distribution,
    plot_thickness,
)

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


def test_the_thickness_of_no_particle_is_drawn():
    map_ = plot_thickness(np.zeros((20, 30)), local_thickness(np.zeros((20, 30), int)))
    assert "nan" in map_.axes[1].get_title()
    map_.draw_without_rendering()


def test_the_thickness_of_large_images_is_drawn_in_part():
    mask = np.zeros((40, 3100), bool)
    mask[10:16] = True
    figure = plot_thickness(np.zeros(mask.shape), local_thickness(mask, 2.0))
    assert figure.axes[0].images[0].get_array().shape == (14, 1034)
    assert figure.axes[1].get_title() == "median 12 nm (dashed)"
    with pytest.raises(ValueError, match="image of the shape"):
        plot_thickness(np.zeros((4, 4)), local_thickness(mask))
