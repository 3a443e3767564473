"""Class maps on disk."""

from pathlib import Path

import numpy as np
import pytest
from skimage.io import imread

from drgan_lib.segmentation.predictions import (
    ClassMap,
    of_probabilities,
    predicted_names,
    read_class_map,
    write_class_map,
)


def random_map(shape: tuple[int, int] = (6, 9)) -> ClassMap:
    probabilities = np.random.default_rng(0).dirichlet([1, 1, 1], size=shape).astype(np.float32)
    return ClassMap(probabilities.argmax(axis=2).astype(np.uint8), probabilities[..., 1], probabilities[..., 2])


def test_classes_at_a_seam_count_with_those_they_come_from():
    """Five pixels: each certain of one class; a sixth that only the sum makes a particle."""
    five = np.array(
        [[1, 0, 0, 0, 0, 0.4], [0, 1, 0, 0, 0, 0.3], [0, 0, 1, 0, 0, 0], [0, 0, 0, 1, 0, 0.3], [0] * 4 + [1, 0]]
    )
    found = of_probabilities(five[:, None].astype(np.float16))
    assert found.classes.tolist() == [[0, 1, 2, 1, 2, 1]]
    np.testing.assert_allclose(found.particle, [[0, 1, 0, 1, 0, 0.6]], atol=1e-3)
    np.testing.assert_allclose(found.border, [[0, 0, 1, 1, 1, 0.3]], atol=1e-3)
    three = of_probabilities(five[:3, None])
    assert three.classes.tolist() == [[0, 1, 2, 0, 0, 0]]
    np.testing.assert_array_equal(three.border, five[2:3])
    with pytest.raises(ValueError, match="3 or 5 classes, got 4"):
        of_probabilities(five[:4, None])


def test_a_map_comes_back_to_within_half_a_step_of_16_bits(tmp_path: Path):
    written = random_map()
    write_class_map(tmp_path / "new", "sem.0", written)
    read = read_class_map(tmp_path / "new", "sem.0")
    assert (read.classes == written.classes).all()
    for name in ("particle", "border"):
        assert getattr(read, name).dtype == np.float32
        assert np.abs(getattr(read, name) - getattr(written, name)).max() <= 0.5001 / 65535


def test_files_are_what_the_outside_world_expects(tmp_path: Path):
    write_class_map(tmp_path, "sem0", random_map())
    found = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.png"))
    assert found == ["border/sem0.png", "classes/sem0.png", "particle/sem0.png"]
    assert [imread(tmp_path / part / "sem0.png").dtype for part in ("classes", "particle")] == [np.uint8, np.uint16]
    assert predicted_names(tmp_path) == {"sem0"}


def test_no_name_of_an_image_meets_the_files_of_another(tmp_path: Path):
    names = "sem", "sem_particle", "sem_border"
    for number, name in enumerate(names):
        write_class_map(tmp_path, name, random_map((2, 3 + number)))
    assert [read_class_map(tmp_path, name).border.shape[1] for name in names] == [3, 4, 5]
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
    (tmp_path / "border" / "a.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"found no border/a\.png"):
        read_class_map(tmp_path, "a")


def test_shapes_and_classes_are_checked():
    with pytest.raises(ValueError, match="one shape"):
        ClassMap(np.zeros((2, 3), np.uint8), np.zeros((2, 3)), np.zeros((3, 2)))
    with pytest.raises(ValueError, match="got the class 3"):
        ClassMap(np.full((2, 3), 3, np.uint8), np.zeros((2, 3)), np.zeros((2, 3)))
