"""Class maps on disk."""

from pathlib import Path

import numpy as np
import pytest
from skimage.io import imread

from drgan_lib.segmentation.predictions import ClassMap, read_class_map, write_class_map


def random_map(shape: tuple[int, int] = (6, 9)) -> ClassMap:
    probabilities = np.random.default_rng(0).dirichlet([1, 1, 1], size=shape).astype(np.float32)
    return ClassMap(probabilities.argmax(axis=2).astype(np.uint8), probabilities[..., 1], probabilities[..., 2])


def test_a_map_comes_back_to_within_half_a_step_of_16_bits(tmp_path: Path):
    written = random_map()
    write_class_map(tmp_path / "new", "sem.0", written)
    read = read_class_map(tmp_path / "new", "sem.0")
    assert (read.classes == written.classes).all()
    for name in ("particle", "contour"):
        assert getattr(read, name).dtype == np.float32
        assert np.abs(getattr(read, name) - getattr(written, name)).max() <= 0.5001 / 65535


def test_files_are_what_the_outside_world_expects(tmp_path: Path):
    write_class_map(tmp_path, "sem0", random_map())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sem0.png", "sem0_contour.png", "sem0_particle.png"]
    assert [imread(tmp_path / f"sem0{part}.png").dtype for part in ("", "_particle")] == [np.uint8, np.uint16]


def test_rounding_beyond_one_does_not_wrap(tmp_path: Path):
    ones = np.full((2, 3), np.float32(1.000001))
    write_class_map(tmp_path, "a", ClassMap(np.ones((2, 3), np.uint8), ones, ones - ones))
    assert (read_class_map(tmp_path, "a").particle == 1).all()


def test_a_missing_file_is_named(tmp_path: Path):
    write_class_map(tmp_path, "a", random_map())
    (tmp_path / "a_contour.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"found no a_contour\.png"):
        read_class_map(tmp_path, "a")


def test_shapes_and_classes_are_checked():
    with pytest.raises(ValueError, match="one shape"):
        ClassMap(np.zeros((2, 3), np.uint8), np.zeros((2, 3)), np.zeros((3, 2)))
    with pytest.raises(ValueError, match="got the class 3"):
        ClassMap(np.full((2, 3), 3, np.uint8), np.zeros((2, 3)), np.zeros((2, 3)))
