"""What is learned from, what is set aside, what nnU-Net is given, and what is refused before it starts."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.io import imread

from drgan_lib.classes import three_class
from drgan_lib.files import read_json
from drgan_lib.samples import Sample, SampleSet
from drgan_lib.segmentation import SegmentationError
from drgan_lib.segmentation.raw import content, write_raw
from drgan_lib.segmentation.training_set import check, set_aside
from tests.segmentation.conftest import micrographs


def flat(name: str, *, group: str = "", empty: bool = False) -> Sample:
    ids = np.full((2, 2), 0 if empty else 1)
    return Sample(name, np.zeros((2, 2)), instances=ids, provenance={"group": group} if group else {})


def names(samples: SampleSet) -> list[str]:
    return samples.table()["name"].tolist()


def test_a_sixth_is_set_aside_evenly_spaced_and_not_learned_from():
    annotated = SampleSet.of([flat(f"{k:02d}") for k in range(65)] + [flat(f"bare_{k}", empty=True) for k in range(22)])
    learned, aside = set_aside(annotated)
    assert len(aside) == 10
    assert (names(aside)[0], names(aside)[-1]) == ("00", "64")
    assert sorted(names(learned) + names(aside)) == sorted(names(annotated))


def test_patches_of_a_micrograph_are_set_aside_together():
    annotated = SampleSet.of(
        flat(f"{m:02d}_{place}", group=f"{m:02d}", empty=place == 0) for m in range(24) for place in range(4)
    )
    learned, aside = set_aside(annotated)
    groups = {name[:2] for name in names(aside)}
    assert len(groups) == 4  # 12 of 72 patches with particles
    assert len(aside) == 12
    assert not groups & {name[:2] for name in names(learned)}


def test_a_few_micrographs_are_still_enough_to_tune_on():
    """A twin has 12 micrographs of four patches: a sixth of them would be eight patches."""
    annotated = SampleSet.of(flat(f"{m:02d}_{place}", group=f"{m:02d}") for m in range(12) for place in range(4))
    assert len(set_aside(annotated)[1]) == 12
    learned, aside = set_aside(annotated[: 4 * 9])
    assert (len(learned), len(aside)) == (36, 0)
    assert len(set_aside(SampleSet.of(flat(f"{k}") for k in range(39)))[1]) == 0


def touching(*, last: int) -> SampleSet:
    ids = np.zeros((64, 64), np.int32)
    ids[5:20, 5:20], ids[5:20, 20:50], ids[30:50, 5:20] = 1, 2, last
    return SampleSet.of([Sample("a", np.full((64, 64), 0.5), instances=ids)])


@pytest.mark.parametrize(("seam_px", "values"), [(0, [0, 1, 2]), (2, [0, 1, 2, 3, 4])])
def test_nnunet_gets_images_and_labels_with_seams_where_asked(tmp_path, seam_px, values):
    """Large ids, which those of large micrographs are, do not become one another."""
    samples = touching(last=65537)
    write_raw(tmp_path / "raw" / "Dataset001_a", samples, contour_px=2, seam_px=seam_px, channel="sem")
    raw = tmp_path / "raw" / "Dataset001_a"
    label, about = imread(raw / "labelsTr" / "a.png"), read_json(raw / "dataset.json")
    assert np.unique(label).tolist() == sorted(about["labels"].values()) == values
    np.testing.assert_array_equal(np.where(label > 2, label - 2, label), three_class(samples[0].instances, 2))
    assert (imread(raw / "imagesTr" / "a_0000.png") == 32768).all()
    assert (about["channel_names"], about["numTraining"]) == ({"0": "sem"}, 1)
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


def test_the_digest_tells_names_images_and_instances_apart():
    (one,) = micrographs(1)
    others = (
        Sample("other", one.image, instances=one.instances),
        Sample(one.name, 1 - one.image, instances=one.instances),
        Sample(one.name, one.image, instances=2 * one.instances),
    )
    assert len({content(SampleSet.of([sample])) for sample in (one, *others)}) == 4
    stored = Sample(one.name, np.rint(one.image * 65535) / 65535, instances=one.instances)
    assert content(SampleSet.of([stored])) == content(SampleSet.of([one]))


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ([], "no training images; check the synthetic images"),
        ([Sample("a", np.zeros((64, 64)))], "a: expected instances to learn from"),
        (
            [Sample("a", np.zeros((64, 32)), instances=np.ones((64, 32), int))],
            r"at least 64 x 64 pixels, got \(64, 32\)",
        ),
        ([Sample("a", np.zeros((64, 64)), instances=np.zeros((64, 64), int))] * 2, "none of the 2 .* holds a particle"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(samples, message):
    with pytest.raises(SegmentationError, match=message):
        check(SampleSet.of(samples), patch_px=64)
