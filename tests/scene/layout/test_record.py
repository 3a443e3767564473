"""Layouts as the networks and the disk see them."""

import numpy as np
import pytest

from drgan_lib.scene.layout import Layout, LayoutError, read_layouts, sample_layout, write_layouts
from tests.scene.layout.conftest import material_of, meshes_of


@pytest.fixture(scope="module")
def layouts() -> list[Layout]:
    material = material_of(n_particles=[5, 15])
    return [sample_layout(material, meshes_of("cube"), seed=seed) for seed in range(3)]


def test_files_keep_layouts(layouts, tmp_path):
    full = Layout(layouts[0].transforms, layouts[0].rotations, layouts[0].mesh_index, missing=4, missing_clusters=2)
    write_layouts(tmp_path / "layouts.npz", [full, *layouts[1:]])
    back = read_layouts(tmp_path / "layouts.npz")
    assert [layout.key for layout in back] == [layout.key for layout in layouts]
    assert [layout.missing for layout in back] == [4, 0, 0]
    assert [layout.missing_clusters for layout in back] == [2, 0, 0]


def test_vector_is_padded_and_too_many_refused(layouts):
    layout = layouts[0]
    vector = layout.vector(50)
    assert vector.shape == (200,)
    assert np.array_equal(vector[: 4 * len(layout)], layout.transforms.ravel())
    assert not vector[4 * len(layout) :].any()
    with pytest.raises(LayoutError, match="at most"):
        layout.vector(3)
