from __future__ import annotations

import numpy as np
import pytest
from matplotlib import colormaps
from PIL import Image

from drgan_lib.quantify import Counting, draw_particles, measure_particles
from drgan_lib.quantify.overlay import COLOURS, EXCLUDED


def in_bytes(colour) -> list[int]:
    return [round(255 * part) for part in colour[:3]]


def picture_in(whole: Image.Image, shape: tuple[int, int]) -> np.ndarray:
    """The pixels of `whole` that show an image of `shape`, one for each of its own."""
    factor = max(1, 800 // max(shape))
    top = (whole.height - factor * shape[0]) // 2
    return np.asarray(whole)[top : top + factor * shape[0] : factor, : factor * shape[1] : factor]


def has(pixels: np.ndarray, colour: list[int]) -> np.ndarray:
    return (np.abs(pixels.astype(int) - colour) <= 1).all(axis=-1)


def test_particles_have_the_colour_of_their_size_and_those_left_out_are_pink_and_crossed(scattered):
    table, image = measure_particles(scattered), np.full(scattered.shape, 0.2)
    whole = draw_particles(image, scattered, table, "equivalent_diameter_px", Counting(min_area_px=60))
    picture = picture_in(whole, scattered.shape)
    out = table["touches_border"] | (table["area_px2"] < 60)
    crosses = has(picture, [255] * 3)
    assert has(picture, [51] * 3)[(scattered == 0) & ~crosses].all()
    assert set(np.unique(scattered[has(picture, in_bytes(EXCLUDED))])) == set(table["id"][out])
    assert set(np.unique(scattered[crosses])) - {0} <= set(table["id"][out])
    assert crosses.any()
    sizes = table.loc[~out].set_index("id")["equivalent_diameter_px"]
    for end, number in ((0.0, sizes.idxmin()), (1.0, sizes.idxmax())):
        drawn = has(picture, in_bytes(colormaps[COLOURS](end)))
        assert number in scattered[drawn]
        assert set(sizes[np.unique(scattered[drawn])]) == {sizes[number]}
    right = np.asarray(whole)[:, -110:]
    assert (
        has(right, in_bytes(colormaps[COLOURS](1.0))).any(axis=1).argmax()
        < has(right, in_bytes(colormaps[COLOURS](0.0))).any(axis=1).argmax()
    ), "the scale rises"


def test_what_is_left_out_is_said(scattered):
    table, image = measure_particles(scattered), np.zeros(scattered.shape)
    drawn = [
        np.asarray(draw_particles(image, scattered, table, "area_px2", Counting(min_area_px=least)))
        for least in (0, 60, 70)
    ]
    feet = [whole[-20:] for whole in drawn]
    assert all((one != other).any() for one, other in zip(feet, [*feet[1:], feet[0]], strict=True))


@pytest.mark.parametrize("shape", [(40, 8000), (8000, 40), (30, 20)])
def test_images_of_any_shape_and_particles_that_reach_beyond_them_are_drawn_within_bounds(shape):
    labels = np.zeros(shape, np.int32)
    labels[:20, :20] = 1
    table = measure_particles(labels).assign(row_px=-500.0, column_px=-500.0)  # as of a wire that enters the part shown
    whole = draw_particles(np.zeros(shape), labels, table, "area_px2", Counting())
    assert max(whole.size) < 1700
    assert min(whole.size) > 60


def test_an_image_without_particles_is_drawn_as_it_is():
    image, labels = np.linspace(0, 1, 600).reshape(20, 30), np.zeros((20, 30), int)
    whole = draw_particles(image, labels, measure_particles(labels), "area_px2", Counting())
    assert np.array_equal(picture_in(whole, image.shape), np.rint(255 * image)[..., None].repeat(3, axis=2))
    with pytest.raises(ValueError, match="image of the shape"):
        draw_particles(np.zeros((4, 4)), labels, measure_particles(labels), "area_px2", Counting())
