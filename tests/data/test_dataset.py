import numpy as np
import pytest
import tifffile

from drgan_lib.config import DatasetSettings
from drgan_lib.data import DataError, open_dataset, read_mask, read_micrograph

SETTINGS = DatasetSettings(registry="anything")


def write(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, np.zeros((8, 8), np.uint8))


def test_registry_split_and_masks(datasets):
    dataset = open_dataset(DatasetSettings(registry="tio2_sem"), datasets / "tio2_sem")
    assert (len(dataset.train), len(dataset.test)) == (32, 8)
    assert all(source.mask.stem == source.image.stem + "_m" for source in dataset.train + dataset.test)


def test_registry_with_more_columns_and_instances(datasets):
    dataset = open_dataset(SETTINGS, datasets / "emps")
    assert all(source.mask.parent.name == "segmaps" for source in dataset.train + dataset.test)


def test_plain_folder_tests_every_fifth_image(tmp_path):
    for k in range(11):
        write(tmp_path / f"image_{k:02}.tif")
    dataset = open_dataset(SETTINGS, tmp_path)
    assert [source.image.stem for source in dataset.test] == ["image_04", "image_09"]
    assert len(dataset.train) == 9
    assert all(source.mask is None for source in dataset.test)


def test_folder_with_masks_and_few_images(tmp_path):
    for name in (
        "images/a.tif",
        "images/b.tif",
        "images/c_m.tif",
        "masks/a.tif",
        "masks/b_m.tif",
        "masks/c_m.tif",
    ):
        write(tmp_path / name)
    dataset = open_dataset(SETTINGS, tmp_path)
    assert [source.mask.name for source in dataset.train] == ["a.tif", "b_m.tif"]
    assert [source.mask.name for source in dataset.test] == ["c_m.tif"]


def test_two_images_of_one_name_are_refused(tmp_path):
    for name in ("images/a.png", "images/a.tif", "images/b.tif"):
        write(tmp_path / name)
    with pytest.raises(DataError, match=r"a\.png and .*a\.tif have the same name"):
        open_dataset(SETTINGS, tmp_path)
    rows = "images/a.tif\timage\ttrain\nimages/a.png\timage\ttest\n"
    (tmp_path / "registry.tsv").write_text("path\tkind\tsplit\n" + rows)
    with pytest.raises(DataError, match="have the same name"):
        open_dataset(SETTINGS, tmp_path)


@pytest.mark.parametrize("names", [[], ["a.tif"], ["a.tif", "b.jpg", "notes.txt"]])
def test_too_few_images_are_refused(tmp_path, names):
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(DataError, match="expected at least 2 images"):
        open_dataset(SETTINGS, tmp_path)


def test_missing_folder_and_incomplete_registry(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        open_dataset(SETTINGS, tmp_path / "gone")
    (tmp_path / "registry.tsv").write_text("path\tkind\tsplit\nimages/a.tif\timage\ttrain\n")
    with pytest.raises(DataError, match=r"1 are missing \(first: images/a.tif\); fetch the dataset again"):
        open_dataset(SETTINGS, tmp_path)
    write(tmp_path / "images/a.tif")
    with pytest.raises(DataError, match="no image has split test"):
        open_dataset(SETTINGS, tmp_path)
    (tmp_path / "registry.tsv").write_text("path\tsplit\nimages/a.tif\ttrain\n")
    with pytest.raises(DataError, match="columns kind are missing"):
        open_dataset(SETTINGS, tmp_path)


def test_a_subset_is_that_of_the_column_material(datasets):
    whole = open_dataset(DatasetSettings(registry="emps"), datasets / "emps")
    parts = {
        name: open_dataset(DatasetSettings(registry="emps", subset=name), datasets / "emps")
        for name in ("spheres_sem", "rods_sem", "microspheres_sem", "ellipsoids_sem")
    }
    assert {name: (len(d.train), len(d.test)) for name, d in parts.items()} == {
        "spheres_sem": (8, 2),
        "rods_sem": (6, 2),
        "microspheres_sem": (4, 2),
        "ellipsoids_sem": (3, 1),
    }
    for split in ("train", "test"):
        together = [source.image for d in parts.values() for source in getattr(d, split)]
        assert sorted(together) == sorted(source.image for source in getattr(whole, split))
    assert parts["rods_sem"].name == "emps/rods_sem"


def test_an_unknown_subset_comes_with_the_known_ones(tmp_path, datasets):
    with pytest.raises(DataError, match=r"unknown dataset\.subset 'wires'; expected one of .*rods_sem, spheres_sem"):
        open_dataset(DatasetSettings(registry="emps", subset="wires"), datasets / "emps")
    with pytest.raises(DataError, match="no column material"):
        open_dataset(DatasetSettings(registry="tio2_sem", subset="wires"), datasets / "tio2_sem")
    with pytest.raises(DataError, match=r"there is no .*registry\.tsv"):
        open_dataset(DatasetSettings(path=tmp_path, subset="wires"), tmp_path)


def test_emps_is_gray_with_maps_of_its_shape(datasets):
    dataset = open_dataset(DatasetSettings(registry="emps"), datasets / "emps")
    for source in dataset.train + dataset.test:
        image, ids = read_micrograph(source.image), read_mask(source.mask)
        assert image.image.shape == ids.shape
        assert image.pixel_size_nm is None
        assert ids.min() == 0 < ids.max()
