"""Samples in memory and on disk."""

from __future__ import annotations

import json
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from skimage.io import imread

from drgan_lib.samples import (
    Sample,
    SampleError,
    SampleSet,
    open_samples,
    read_shard,
    shard_folder,
    shard_length,
    write_coco,
    write_png,
    write_samples,
    write_shard,
)


def sample(k: int, shape=(6, 8), *, largest: int = 3, known: bool = True) -> Sample:
    rng = np.random.default_rng(k)
    ids = rng.integers(0, largest + 1, shape) if known else None
    return Sample(
        name=f"image {k}",
        image=rng.integers(0, 256, shape) / np.float32(255),
        pixel_size_nm=1.5 if k % 2 else None,
        instances=ids,
        confidence=rng.random(3).astype(np.float32) if known else None,
        parameters={"roughness": 0.1 * k, "seed": k},
        provenance={"file": "a.tif", "boxes": [[0, 1, 2, 3]]},
    )


def assert_same(a: Sample, b: Sample) -> None:
    np.testing.assert_array_equal(a.image, b.image)
    assert (a.name, a.pixel_size_nm, dict(a.parameters), dict(a.provenance)) == (
        b.name,
        b.pixel_size_nm,
        dict(b.parameters),
        dict(b.provenance),
    )
    for one, other in ((a.instances, b.instances), (a.confidence, b.confidence)):
        assert (one is None) == (other is None)
        if one is not None:
            np.testing.assert_array_equal(one, other)


@settings(max_examples=25)
@given(
    shapes=st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=1, max_size=7),
    shard=st.integers(1, 4),
    largest=st.sampled_from([0, 3, 70000]),
    known=st.booleans(),
)
def test_what_is_written_is_read_again_to_the_bit(shapes, shard, largest, known):
    samples = [sample(k, shape, largest=largest, known=known) for k, shape in enumerate(shapes)]
    with tempfile.TemporaryDirectory() as folder:
        written = write_samples(folder, samples, shard=shard)
        assert len(written) == len(samples)
        for one, other in zip(written, samples, strict=True):
            assert_same(one, other)
        pd.testing.assert_frame_equal(written.table(), SampleSet.of(samples).table())


def test_sixteen_bits_keep_sixteen_bits(tmp_path):
    image = np.arange(2**16, dtype=np.uint16).reshape(256, 256) / np.float32(65535)
    (back,) = write_samples(tmp_path, [Sample("a", image)], bits=16)
    np.testing.assert_array_equal(back.image, image)
    with pytest.raises(SampleError, match="8 or 16"):
        write_samples(tmp_path, [Sample("b", image)], bits=12)


def test_more_samples_come_after_those_that_are_there(tmp_path):
    write_samples(tmp_path, [sample(k) for k in range(3)], shard=2)
    together = write_samples(tmp_path, [sample(k) for k in range(3, 7)], shard=2)
    assert together.table()["name"].tolist() == [f"image {k}" for k in range(7)]
    assert_same(together[-1], sample(6))


def lengths(folder, n: int) -> list[int]:
    """Of the shards of two of `n` samples."""
    return [shard_length(folder, start) for start in range(0, n, 2)]


def test_a_shard_without_a_table_does_not_count_and_is_made_again(tmp_path):
    write_samples(tmp_path, [sample(k) for k in range(6)], shard=2)
    (shard_folder(tmp_path, 2) / "table.parquet").unlink()
    assert [s.name for s in open_samples(tmp_path)] == ["image 0", "image 1", "image 4", "image 5"]
    assert lengths(tmp_path, 8) == [2, 0, 2, 0]
    write_shard(tmp_path, 2, [sample(2), sample(3)])
    assert [s.name for s in open_samples(tmp_path)] == [f"image {k}" for k in range(6)]


def test_the_first_of_two_equal_shards_stays_and_a_longer_one_takes_its_place(tmp_path):
    write_shard(tmp_path, 0, [sample(0), sample(1)])
    write_shard(tmp_path, 0, [sample(2), sample(3)])
    assert [s.name for s in read_shard(tmp_path, 0)] == ["image 0", "image 1"]
    write_shard(tmp_path, 0, [sample(0), sample(1), sample(2)])
    write_shard(tmp_path, 0, [sample(5)])
    assert [s.name for s in open_samples(tmp_path)] == ["image 0", "image 1", "image 2"]
    assert [path.name for path in tmp_path.iterdir()] == ["0000000"]


def test_threads_that_write_the_same_shards_do_no_harm(tmp_path):
    with ThreadPoolExecutor(8) as threads:
        tasks = [threads.submit(write_shard, tmp_path, 0, [sample(k) for k in range(n)]) for n in [1, 2, 3, 4] * 10]
    for task in tasks:
        task.result()
    assert shard_length(tmp_path, 0) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["0000000"]


def test_changed_bytes_are_found_when_they_are_read(tmp_path):
    write_samples(tmp_path, [sample(k, (40, 40)) for k in range(4)], shard=2)
    stored = max(
        (tmp_path / "0000000" / "arrays.zarr" / "image").rglob("c/*/*/*"), key=lambda path: path.stat().st_size
    )
    content = bytearray(stored.read_bytes())
    content[len(content) // 3] ^= 255
    stored.write_bytes(content)
    with pytest.raises(SampleError, match=r"0000000 is damaged .*: remove it, and make its samples again"):
        list(open_samples(tmp_path)[:2])
    assert_same(open_samples(tmp_path)[2], sample(2, (40, 40)))


def test_a_lost_file_is_found_and_an_empty_image_is_none(tmp_path):
    write_samples(tmp_path, [Sample("black", np.zeros((6, 8)), instances=np.zeros((6, 8), int))])
    assert shard_length(tmp_path, 0) == 1
    next((tmp_path / "0000000" / "arrays.zarr" / "instances").rglob("c/*/*/*")).unlink()
    assert shard_length(tmp_path, 0) == 0
    with pytest.raises(SampleError, match="0000000 is damaged"):  # Zarr would read it as zeros
        open_samples(tmp_path)[0]


def test_sets_are_lazy_sequences():
    loaded = []

    def load(k):
        loaded.append(k)
        return sample(k)

    made = SampleSet(10, load)
    part = (made[2:5] + made[[9, 0]]).map(lambda s: Sample(s.name.upper(), s.image))
    assert not loaded
    assert [s.name for s in part] == ["IMAGE 2", "IMAGE 3", "IMAGE 4", "IMAGE 9", "IMAGE 0"]
    assert loaded == [2, 3, 4, 9, 0]
    assert made[np.int64(-1)].name == "image 9"
    assert part.images().shape == (5, 6, 8)
    assert len(made[:0].images()) == 0
    with pytest.raises(IndexError, match="the size of the set"):
        made[10]


def test_the_table_of_a_stored_set_opens_no_image(tmp_path):
    stored = write_samples(tmp_path, [sample(k) for k in range(3)])
    for path in (tmp_path / "0000000").rglob("c/*/*/*"):
        path.unlink()
    assert (stored[1:] + stored[:1]).table()["seed"].tolist() == [1, 2, 0]


def test_other_programs_read_the_arrays_and_the_table(tmp_path):
    write_samples(tmp_path, [sample(0, (4, 5)), sample(1, (6, 3))])
    group = zarr.open_group(tmp_path / "0000000" / "arrays.zarr", mode="r")
    assert group["image"].shape == (2, 6, 5)
    assert group["image"].dtype == np.uint8
    assert (group["instances"][1, :, 3:] == 0).all()
    assert pd.read_parquet(tmp_path / "0000000" / "table.parquet")["height"].tolist() == [4, 6]


@pytest.mark.parametrize(
    ("image", "instances", "message"),
    [
        (np.zeros((4, 4, 3), np.float32), None, "gray image of floats"),
        (np.zeros((4, 4), np.uint8), None, "divide gray levels"),
        (np.zeros((4, 4)), np.zeros((4, 5), int), "integers of the image's shape"),
        (np.zeros((4, 4)), np.zeros((4, 4)), "got float64"),
    ],
)
def test_arrays_of_another_kind_are_refused(image, instances, message):
    with pytest.raises(SampleError, match=message):
        Sample("a", image, instances=instances)


def test_exports_hold_the_same_pixels(tmp_path):
    samples = [sample(k) for k in range(3)] + [sample(3, known=False)]
    write_png(samples, tmp_path)
    coco = COCO(write_coco(samples, tmp_path / "coco.json", description="drawn"))
    assert len(coco.imgs) == 4
    for image_id, s in enumerate(samples, 1):
        np.testing.assert_array_equal(imread(tmp_path / coco.imgs[image_id]["file_name"]), np.rint(s.image * 255))
        again = np.zeros(s.image.shape, int)
        for annotation in coco.imgToAnns[image_id]:
            again += coco.annToMask(annotation) * annotation["instance_id"]
        np.testing.assert_array_equal(again, 0 if s.instances is None else s.instances)
    ids = [a["id"] for a in json.loads((tmp_path / "coco.json").read_text())["annotations"]]
    assert all(b == a + 1 for a, b in pairwise(ids))
    np.testing.assert_array_equal(imread(tmp_path / "instances" / "image 0.png"), samples[0].instances)
    assert not (tmp_path / "instances" / "image 3.png").exists()


def test_a_parameter_cannot_have_the_name_of_a_column():
    named = replace(sample(0), parameters={"height": 0.1})
    with pytest.raises(ValueError, match=r"image 0: expected parameters of other names than .*, got \{'height'\}"):
        SampleSet.of([named]).table()
