"""nnU-Net reads what `write_nnunet` writes."""

from __future__ import annotations

import numpy as np
import pytest

from drgan_lib.files import read_json
from drgan_lib.nnunet_dataset import Case, write_nnunet


def case(name: str) -> Case:
    rng = np.random.default_rng(len(name))
    return Case(name, rng.integers(0, 256, (48, 48), np.uint8), rng.integers(0, 3, (48, 48), np.uint8))


def test_nnunet_reads_the_raw_dataset(tmp_path):
    pytest.importorskip("nnunetv2")
    from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity
    from nnunetv2.imageio.reader_writer_registry import determine_reader_writer_from_dataset_json
    from nnunetv2.utilities.utils import get_filenames_of_train_images_and_targets

    written = {name: case(name) for name in ("synthetic_00000", "background_000")}
    folder = write_nnunet(tmp_path / "nnUNet_raw" / "Dataset001_twin", written.values(), "SEM", "drawn")
    description = read_json(folder / "dataset.json")
    assert (description["name"], description["numTraining"]) == ("twin", 2)
    assert description["labels"] == {"background": 0, "particle": 1, "contour": 2}
    verify_dataset_integrity(str(folder), num_processes=1)
    found = get_filenames_of_train_images_and_targets(str(folder))
    assert set(found) == set(written)
    reader = determine_reader_writer_from_dataset_json(description)()
    for name, files in found.items():
        np.testing.assert_array_equal(reader.read_images(files["images"])[0][0, 0], written[name].image)
        np.testing.assert_array_equal(reader.read_seg(files["label"])[0][0, 0], written[name].label)


@pytest.mark.parametrize("modality", ["SEM", "HIM"])
def test_a_new_raw_dataset_replaces_the_old_one(tmp_path, modality):
    place = tmp_path / "nnUNet_raw" / "Dataset001_twin"
    write_nnunet(place, [case("a")], "other", "drawn")
    folder = write_nnunet(place, [case("bc")], modality, "drawn")
    assert [path.name for path in (folder / "imagesTr").iterdir()] == ["bc_0000.png"]
    assert [path.name for path in folder.parent.iterdir()] == ["Dataset001_twin"]
    about = read_json(folder / "dataset.json")
    assert (about["numTraining"], about["channel_names"]) == (1, {"0": modality})
