"""The measure of variety: the same shape is recognised however it stands, and no set holds a shape twice."""

import numpy as np
import pytest
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from drgan_lib.config import CubeSettings, load_experiment
from drgan_lib.scene.meshes import differences, make_meshes, variety
from drgan_lib.scene.meshes.compact import deformed_cube
from drgan_lib.scene.meshes.make import GENERATORS
from drgan_lib.scene.meshes.measures import SAME, descriptor
from tests.scene.meshes.conftest import moved


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(0.1, 10))
def test_a_turned_moved_and_scaled_copy_is_the_same(seed, scale):
    mesh = deformed_cube(CubeSettings(), seed=seed)
    assert variety([mesh, moved(mesh, seed, scale)]) < SAME / 100


@pytest.mark.parametrize("shape", GENERATORS)
def test_no_two_of_a_set_are_the_same(shape):
    material = load_experiment("twin", overrides={"meshes.shape": shape, "meshes.count": 40}).material
    meshes = make_meshes(material)
    assert variety(meshes) > 2 * SAME
    assert variety([*meshes, moved(meshes[7], seed=1)]) < SAME


def test_the_variety_is_the_smallest_difference():
    boxes = [trimesh.creation.box(extents) for extents in ((1, 1, 1), (1, 1, 2), (1, 1, 2.1))]
    table = differences(boxes)
    assert np.array_equal(table, table.T)
    assert variety(boxes) == table[1, 2] < table[0, 1]
    assert variety(boxes[:1]) == np.inf


def test_radii_of_gyration_are_those_of_the_box():
    diameter = np.cbrt(6 * 6 / np.pi)
    expected = np.array([3, 2, 1]) / np.sqrt(12) / diameter
    assert descriptor(trimesh.creation.box((1, 2, 3)))[-3:] == pytest.approx(expected)
