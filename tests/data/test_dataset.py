"""Which files are for what, and the micrographs in them, read one at a time on one gray scale."""

import numpy as np
import pytest
import tifffile

from drgan_lib.config import DatasetSettings
from drgan_lib.data import DataError, dataset_files, open_micrographs

SETTINGS = DatasetSettings(registry="anything")


def write(folder, *names, level=0, shape=(8, 8), dtype=np.uint8, **more):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(folder / name, np.full(shape, level, dtype), **more)


def columns(table, split, *names):
    return list(table.loc[table["split"] == split, list(names)].itertuples(index=False, name=None))


def test_the_registry_gives_split_and_masks(datasets):
    table = dataset_files(DatasetSettings(registry="tio2_sem"), datasets / "tio2_sem")
    assert table["split"].value_counts().to_dict() == {"train": 32, "test": 8}
    assert (table["mask"] == "masks/" + table["name"] + "_m.tif").all()


def test_a_plain_folder_tests_every_fifth_image(tmp_path):
    write(tmp_path, *(f"image_{k:02}.tif" for k in range(11)))
    table = dataset_files(SETTINGS, tmp_path)
    assert columns(table, "test", "name", "mask") == [("image_04", None), ("image_09", None)]
    assert len(table) == 11


def test_a_folder_with_masks_and_few_images(tmp_path):
    write(tmp_path, "images/a.tif", "images/b.tif", "images/c_m.tif", "masks/a.tif", "masks/b_m.tif", "masks/c_m.tif")
    table = dataset_files(SETTINGS, tmp_path)
    assert columns(table, "train", "image", "mask") == [
        ("images/a.tif", "masks/a.tif"),
        ("images/b.tif", "masks/b_m.tif"),
    ]
    assert columns(table, "test", "image", "mask") == [("images/c_m.tif", "masks/c_m.tif")]


def test_two_images_of_one_name_are_refused(tmp_path):
    write(tmp_path, "images/a.png", "images/a.tif", "images/b.tif")
    with pytest.raises(DataError, match=r"a\.png and .*a\.tif have the same name"):
        dataset_files(SETTINGS, tmp_path)
    rows = "images/a.tif\timage\ttrain\nimages/a.png\timage\ttest\n"
    (tmp_path / "registry.tsv").write_text("path\tkind\tsplit\n" + rows)
    with pytest.raises(DataError, match="have the same name"):
        dataset_files(SETTINGS, tmp_path)


@pytest.mark.parametrize("names", [[], ["a.tif"], ["a.tif", "b.jpg", "notes.txt"]])
def test_too_few_images_are_refused(tmp_path, names):
    for name in names:
        (tmp_path / name).touch()
    with pytest.raises(DataError, match="expected at least 2 images"):
        dataset_files(SETTINGS, tmp_path)


def test_a_missing_folder_and_an_incomplete_registry_are_refused(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        open_micrographs(SETTINGS, tmp_path / "gone")
    (tmp_path / "registry.tsv").write_text("path\tkind\tsplit\nimages/a.tif\timage\ttrain\n")
    with pytest.raises(DataError, match=r"1 are missing \(first: images/a.tif\); fetch the dataset again"):
        dataset_files(SETTINGS, tmp_path)
    write(tmp_path, "images/a.tif")
    with pytest.raises(DataError, match="no image has split test"):
        dataset_files(SETTINGS, tmp_path)
    (tmp_path / "registry.tsv").write_text("path\tsplit\nimages/a.tif\ttrain\n")
    with pytest.raises(DataError, match="columns kind are missing"):
        dataset_files(SETTINGS, tmp_path)


def test_a_subset_is_that_of_the_column_material(datasets, tmp_path):
    def of(subset=None):
        return dataset_files(DatasetSettings(registry="emps", subset=subset), datasets / "emps")

    names = ("spheres_sem", "rods_sem", "microspheres_sem", "ellipsoids_sem")
    counts = [of(name)["split"].value_counts()[["train", "test"]].tolist() for name in names]
    assert counts == [[8, 2], [6, 2], [4, 2], [3, 1]]
    together = sorted(row for name in names for row in of(name)[["image", "split"]].itertuples(index=False, name=None))
    assert together == sorted(of()[["image", "split"]].itertuples(index=False, name=None))
    with pytest.raises(DataError, match=r"unknown dataset\.subset 'wires'; expected one of .*rods_sem, spheres_sem"):
        of("wires")
    with pytest.raises(DataError, match="no column material"):
        dataset_files(DatasetSettings(registry="tio2_sem", subset="wires"), datasets / "tio2_sem")
    with pytest.raises(DataError, match=r"there is no .*registry\.tsv"):
        dataset_files(DatasetSettings(path=tmp_path, subset="wires"), tmp_path)


@pytest.mark.parametrize("split", ["train", "test"])
def test_emps_is_gray_with_instance_maps_of_its_shape(datasets, split):
    for micrograph in open_micrographs(DatasetSettings(registry="emps"), datasets / "emps", split=split, masks=True):
        assert micrograph.pixel_size_nm is None
        assert micrograph.instances.min() == 0 < micrograph.instances.max()


def test_the_training_images_give_the_gray_scale_of_both_splits(tmp_path):
    for name, level in (("a", 4000), ("b", 400), ("c", 100)):  # c alone would pass for an 8-bit image
        write(tmp_path, f"{name}.tif", level=level, dtype=np.uint16)
    train, test = (open_micrographs(SETTINGS, tmp_path, split=split) for split in ("train", "test"))
    assert [m.image.max() for m in (*train, *test)] == pytest.approx([4000 / 4095, 400 / 4095, 100 / 4095])
    assert test[0].provenance["gray_levels"] == {"kind": "16-bit", "full_scale": 4095.0}


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_training_images_of_different_depth_are_refused(tmp_path, dtype):
    write(tmp_path, "a.tif", "c.tif", level=200)
    write(tmp_path, "b.tif", level=1, dtype=dtype)
    with pytest.raises(DataError, match=r"a\.tif has 8-bit gray levels, .*b\.tif (16-bit|floating-point)"):
        open_micrographs(SETTINGS, tmp_path)[0]


def test_pixel_sizes_of_the_settings_come_before_the_files_and_these_before_the_others(tmp_path):
    def tagged(size):
        return {"imagej": True, "resolution": (1 / size, 1 / size), "metadata": {"unit": "nm"}}

    write(tmp_path, "a.tif", **tagged(2.0))
    write(tmp_path, "b.tif", "c.tif")

    def sizes(**settings):
        both = (
            open_micrographs(DatasetSettings(path=tmp_path, **settings), tmp_path, split=s) for s in ("train", "test")
        )
        return [micrograph.pixel_size_nm for micrographs in both for micrograph in micrographs]

    assert sizes() == pytest.approx([2, 2, 2])
    write(tmp_path, "c.tif", **tagged(5.0))
    assert sizes() == pytest.approx([2, 2, 5])
    assert sizes(pixel_size_nm=3.5) == [3.5, 3.5, 3.5]
    write(tmp_path, "b.tif", **tagged(4.0))
    with pytest.raises(DataError, match=r"2 nm in .*a\.tif, 4 nm in .*b\.tif"):
        sizes()


def test_masks_are_opened_only_when_they_are_asked_for(tmp_path):
    write(tmp_path, "images/a.tif", "images/b.tif", "images/c.tif")
    write(tmp_path, "masks/a.tif", level=0, dtype=np.uint16)
    (tmp_path / "masks/b.tif").write_text("damaged")
    assert [m.instances for m in open_micrographs(SETTINGS, tmp_path)] == [None, None]
    masked = open_micrographs(SETTINGS, tmp_path, masks=True)
    assert masked[0].instances.tolist() == np.zeros((8, 8)).tolist()
    with pytest.raises(DataError, match=r"b\.tif: cannot be read"):
        masked[1]
    write(tmp_path, "masks/b.tif", shape=(8, 9), level=0)
    with pytest.raises(DataError, match=r"expected a mask of the shape \(8, 8\) of b\.tif, got \(8, 9\)"):
        masked[1]


def test_an_image_is_read_when_it_is_asked_for(tmp_path):
    write(tmp_path, *(f"{name}.tif" for name in "abcdef"))
    train, test = (open_micrographs(SETTINGS, tmp_path, split=split) for split in ("train", "test"))
    (tmp_path / "e.tif").write_text("damaged")
    assert (len(train), len(test)) == (5, 1)
    assert [m.name for m in train] == ["a", "b", "c", "d", "f"]
    assert train[4].provenance == {
        "file": str(tmp_path / "f.tif"),
        "gray_levels": {"kind": "8-bit", "full_scale": 255.0},
        "overlays": [],
    }
    with pytest.raises(DataError, match=r"e\.tif: cannot be read"):
        test[0]
