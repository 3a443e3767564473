import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from drgan_lib.files import read_json
from drgan_lib.synthesis import load_synthetic, nnunet_raw, synthesize, to_coco, to_nnunet


@pytest.fixture
def stage(make_stage):
    made = make_stage()
    synthesize(*made.arguments, log=lambda line: None)
    return made


def test_coco_masks_are_the_instance_map(stage):
    coco = COCO(stage.folder / "coco.json")
    made = load_synthetic(stage.exp)
    assert len(coco.getImgIds()) == 4
    assert coco.loadCats(coco.getCatIds()) == [{"id": 1, "name": "particle"}]
    for image_id, instances in zip(sorted(coco.getImgIds()), made.instances, strict=True):
        decoded = np.zeros_like(instances)
        annotations = coco.loadAnns(coco.getAnnIds(image_id))
        for annotation in annotations:
            mask = coco.annToMask(annotation).astype(bool)
            assert not decoded[mask].any()
            decoded[mask] = annotation["instance_id"]
            rows, columns = np.nonzero(mask)
            box = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
            assert annotation["bbox"] == box
            assert annotation["area"] == mask.sum()
        np.testing.assert_array_equal(decoded, instances)
        file_name = coco.loadImgs(image_id)[0]["file_name"]
        assert (stage.folder / file_name).is_file()


def test_coco_of_an_image_without_particles(tmp_path):
    (tmp_path / "instances").mkdir()
    Image.fromarray(np.zeros((5, 7), np.uint16)).save(tmp_path / "instances" / "a.png")
    written = read_json(to_coco(tmp_path, ["a"], tmp_path / "coco.json"))
    assert written["annotations"] == []
    assert (written["images"][0]["height"], written["images"][0]["width"]) == (5, 7)


def test_nnunet_reads_the_raw_dataset(stage, monkeypatch):
    pytest.importorskip("nnunetv2")
    from nnunetv2.experiment_planning.verify_dataset_integrity import verify_dataset_integrity
    from nnunetv2.imageio.reader_writer_registry import determine_reader_writer_from_dataset_json
    from nnunetv2.utilities.utils import get_filenames_of_train_images_and_targets

    folder = nnunet_raw(stage.exp)
    assert folder.name == "Dataset001_twin"
    description = read_json(folder / "dataset.json")
    assert description["numTraining"] == 7
    assert description["labels"] == {"background": 0, "particle": 1, "contour": 2}
    verify_dataset_integrity(str(folder), num_processes=1)
    cases = get_filenames_of_train_images_and_targets(str(folder))
    assert sorted(cases) == [f"background_{k:03d}" for k in range(3)] + [f"synthetic_{k:05d}" for k in range(4)]
    reader = determine_reader_writer_from_dataset_json(description)()
    made = load_synthetic(stage.exp)
    for name, case in cases.items():
        image, label = reader.read_images(case["images"])[0], reader.read_seg(case["label"])[0]
        assert image.shape == label.shape == (1, 1, 48, 48)
        kind, number = name.split("_")
        if kind == "synthetic":
            np.testing.assert_array_equal(image[0, 0], made.images[int(number)])
            np.testing.assert_array_equal(label[0, 0], made.labels[int(number)])
        else:
            np.testing.assert_allclose(image[0, 0] / 255, stage.background[int(number)], atol=0.5 / 255 + 1e-6)
            assert not label.any()


def test_a_new_raw_dataset_replaces_the_old_one(stage):
    folder = to_nnunet(stage.exp, ["00002"], np.zeros((0, 48, 48)))
    assert [path.name for path in (folder / "imagesTr").iterdir()] == ["synthetic_00002_0000.png"]
    assert read_json(folder / "dataset.json")["numTraining"] == 1
    assert [path.name for path in folder.parent.iterdir()] == ["Dataset001_twin"]


@pytest.mark.parametrize("modality", ["SEM", "HIM"])
def test_the_channel_is_called_by_its_modality(make_stage, modality):
    made = make_stage(overrides={"dataset.modality": modality})
    folder = to_nnunet(made.exp, [], np.zeros((1, 48, 48)))
    assert read_json(folder / "dataset.json")["channel_names"] == {"0": modality}


@pytest.mark.parametrize("background", [np.full((2, 8, 8), 200.0), np.zeros((8, 8)), np.full((1, 8, 8), -1.0)])
def test_background_patches_of_another_range_or_shape_are_refused(stage, background):
    with pytest.raises(ValueError, match="background patches"):
        to_nnunet(stage.exp, [], background)
