"""Files of electron microscopes, through RosettaSciIO."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from drgan_lib.data import DataError, read_micrograph

IMAGE = np.random.default_rng(0).integers(0, 4000, (30, 40)).astype(np.uint16)


def axis(name: str, size: int, index: int, units: str) -> dict:
    known = {"navigate": False, "is_binned": False, "offset": 0.0, "scale": 0.007344 if units == "µm" else 7.344}
    return known | {"name": name, "size": size, "index_in_array": index, "units": units}


def save(path, image: np.ndarray, units: str = "nm"):
    """An image in the EMD format of NCEM, as RosettaSciIO writes it."""
    emd = pytest.importorskip("rsciio.emd")
    sides = zip("zyx"[-image.ndim :], image.shape, strict=True)
    axes = [axis(name, size, k, units) for k, (name, size) in enumerate(sides)]
    about = {"General": {"title": "a"}, "Signal": {"signal_type": ""}}
    emd.file_writer(str(path), {"data": image, "axes": axes, "metadata": about, "original_metadata": {}})
    return path


@pytest.mark.parametrize("units", ["nm", "µm"])
def test_an_emd_file_tells_its_pixel_size(tmp_path, units):
    found = read_micrograph(save(tmp_path / "a.emd", IMAGE, units))
    assert found.pixel_size_nm == pytest.approx(7.344)
    np.testing.assert_allclose(found.image, IMAGE / 4095, rtol=1e-6)


def test_counts_of_electrons_are_scaled_by_most_of_their_pixels(tmp_path):
    counts = 40.0 * IMAGE.astype(np.float32)
    counts[3, 3] = 1e7
    found = read_micrograph(save(tmp_path / "a.emd", counts))
    assert found.provenance["gray_levels"]["kind"] == "floating-point"
    assert np.median(found.image) == pytest.approx(0.5, abs=0.1)
    assert found.image.max() == 1


def test_a_stack_is_refused(tmp_path):
    with pytest.raises(DataError, match="expected one gray image, got 0 of two dimensions"):
        read_micrograph(save(tmp_path / "a.emd", np.stack([IMAGE] * 3)))


def test_a_damaged_file_is_refused_and_a_missing_reader_named(tmp_path, monkeypatch):
    path = save(tmp_path / "a.emd", IMAGE)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 3])
    with pytest.raises(DataError, match=r"a\.emd: cannot be read as an image"):
        read_micrograph(path)
    monkeypatch.setitem(sys.modules, "rsciio.emd", None)
    with pytest.raises(DataError, match=r'is not installed; run pip install "drgan\[formats\]"'):
        read_micrograph(path)
