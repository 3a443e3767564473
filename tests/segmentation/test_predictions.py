"""Class maps on disk."""

from pathlib import Path

import numpy as np
import pytest
from skimage.io import imread

from drgan_lib.segmentation.predictions import ClassMap, predicted_names, read_class_map, write_class_map


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
    found = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png"))
    assert found == ["classes/sem0.png", "contour/sem0.png", "particle/sem0.png"]
    assert [imread(tmp_path / part / "sem0.png").dtype for part in ("classes", "particle")] == [np.uint8, np.uint16]
    assert predicted_names(tmp_path) == {"sem0"}


def test_no_name_of_an_image_meets_the_files_of_another(tmp_path: Path):
    names = "sem", "sem_particle", "sem_contour"
    for number, name in enumerate(names):
        write_class_map(tmp_path, name, random_map((2, 3 + number)))
    assert [read_class_map(tmp_path, name).contour.shape[1] for name in names] == [3, 4, 5]
    assert predicted_names(tmp_path) == set(names)
    (tmp_path / "particle" / "sem.png").unlink()
    assert predicted_names(tmp_path) == set(names) - {"sem"}
    assert predicted_names(tmp_path / "nothing") == set()


def test_rounding_beyond_one_does_not_wrap(tmp_path: Path):
    ones = np.full((2, 3), np.float32(1.000001))
    write_class_map(tmp_path, "a", ClassMap(np.ones((2, 3), np.uint8), ones, ones - ones))
    assert (read_class_map(tmp_path, "a").particle == 1).all()


def test_a_missing_file_is_named(tmp_path: Path):
    write_class_map(tmp_path, "a", random_map())
    (tmp_path / "contour" / "a.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"found no contour/a\.png"):
        read_class_map(tmp_path, "a")


def test_shapes_and_classes_are_checked():
    with pytest.raises(ValueError, match="one shape"):
        ClassMap(np.zeros((2, 3), np.uint8), np.zeros((2, 3)), np.zeros((3, 2)))
    with pytest.raises(ValueError, match="got the class 3"):
        ClassMap(np.full((2, 3), 3, np.uint8), np.zeros((2, 3)), np.zeros((2, 3)))
