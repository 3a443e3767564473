"""The cache of bases: what it gives back, under which key, and what runs beside it or before it may do."""

import os
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from drgan_lib import files
from drgan_lib.config import ROOT
from drgan_lib.scene import BasisCache, TransportRenderer, at_position, cache, sample_layout
from drgan_lib.scene.basis import Basis
from tests.scene.conftest import made_basis, small_material

WRITER = """
import sys
from tests.scene.test_cache import BasisCache, write_and_read
for _ in range(15):
    write_and_read(BasisCache(sys.argv[1]), 1)
"""
PAPER = small_material()


def made(seed: int, n: int = 2000) -> Basis:
    """A basis of random content whose first pixel is `seed`."""
    basis = made_basis(PAPER, seed=seed, n=n)
    basis.pixel[0] = seed
    return basis


def write_and_read(store: BasisCache, seed: int) -> None:
    store.write("key", made(seed))
    basis = store.read("key")
    assert basis is not None
    assert int(basis.pixel[0]) in (1, 2)
    assert len(basis.pixel) == 2000


def same(a: Basis, b: Basis) -> bool:
    return all(
        torch.equal(x, y) and x.dtype == y.dtype for x, y in zip(vars(a).values(), vars(b).values(), strict=True)
    )


@pytest.fixture
def notes() -> list[str]:
    return []


@pytest.fixture
def store(tmp_path, notes) -> BasisCache:
    return BasisCache(tmp_path / "transport", log=notes.append)


def age(path, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(path, (then, then))


def test_what_is_written_is_read_back_exactly(store):
    store.write("key", made(1))
    assert same(store.read("key"), made(1))
    assert [path.name for path in store.folder.iterdir()] == ["key.npz"]


def test_a_basis_without_fragments_is_kept_too(store):
    store.write("key", Basis(*(torch.zeros(0, dtype=d) for d in (torch.int32, torch.int16, torch.uint8)),
                             torch.zeros(3, 0), torch.rand(1, 2, 64)))  # fmt: skip
    assert store.read("key").particles.shape == (3, 0)


def test_what_is_not_there_is_none_without_a_note(store, notes):
    assert store.read("key") is None
    assert notes == []


@pytest.mark.parametrize("damage", ["empty", "half", "no end", "text", "another array missing"])
def test_a_damaged_file_is_noted_and_not_used(store, notes, damage):
    store.write("key", made(1))
    path = store.path("key")
    whole = path.read_bytes()
    contents = {"empty": b"", "half": whole[: len(whole) // 2], "no end": whole[:-10], "text": b"not a basis"}
    if damage in contents:
        path.write_bytes(contents[damage])
    else:
        np.savez(path, pixel=np.zeros(3))
    assert store.read("key") is None
    assert len(notes) == 1
    assert "key.npz is damaged" in notes[0]
    assert "made again" in notes[0]


def test_no_changed_byte_goes_unnoticed_or_stops_a_run(store, notes):
    """A byte of the archive at a time, throughout its headers and in places of its data."""
    store.write("key", made(1, n=20))
    whole = store.path("key").read_bytes()
    for place in range(0, len(whole), 7):
        for flip in (0x01, 0x80):
            changed = bytearray(whole)
            changed[place] ^= flip
            store.path("key").write_bytes(changed)
            basis = store.read("key")
            assert basis is None or same(basis, made(1, n=20)), f"byte {place}"


def test_the_size_is_bounded_and_the_ones_used_last_stay(tmp_path, store):
    store.write("probe", made(1))
    size = store.path("probe").stat().st_size
    store = BasisCache(tmp_path, limit_bytes=int(3.5 * size))
    for number, key in enumerate("abc"):
        store.write(key, made(number))
        age(store.path(key), 100 - number)
    assert store.read("a") is not None  # used just now: b is the oldest
    store.write("d", made(4))
    assert sorted(path.stem for path in tmp_path.glob("*.npz")) == ["a", "c", "d"]


def test_a_write_costs_the_same_however_many_bases_there_are(tmp_path, monkeypatch):
    """The folder is listed at first, and then once for every tenth of the limit."""
    store = BasisCache(tmp_path)
    store.write("first", made(1))
    size = store.path("first").stat().st_size
    store.limit_bytes, listed, glob = 100 * size, [], type(tmp_path).glob
    monkeypatch.setattr(type(tmp_path), "glob", lambda *arguments: listed.append(1) or glob(*arguments))
    for number in range(200):
        store.write(f"{number}", made(1))
    assert len(listed) <= 20
    assert len(list(tmp_path.iterdir())) <= 110


def test_the_newest_stays_even_if_it_alone_is_too_large(tmp_path):
    store = BasisCache(tmp_path, limit_bytes=1)
    store.write("a", made(1))
    age(store.path("a"), 10)
    store.write("b", made(2))
    assert [path.stem for path in tmp_path.iterdir()] == ["b"]


def test_what_interrupted_runs_left_is_removed_and_what_others_write_is_not(store):
    store.folder.mkdir()
    old, fresh, other = (store.folder / name for name in (".key.abc.npz", ".key.def.npz", "notes.txt"))
    for path in (old, fresh, other):
        path.write_bytes(b"half")
        age(path, 60)
    age(old, files.ABANDONED_S + 60)
    store.write("key", made(1))
    assert sorted(path.name for path in store.folder.iterdir()) == [".key.def.npz", "key.npz", "notes.txt"]


def test_a_write_that_is_cut_off_leaves_the_file_before(store, monkeypatch):
    store.write("key", made(1))

    def cut_off(path, **arrays):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(cache.np, "savez", cut_off)
    with pytest.raises(KeyboardInterrupt):
        store.write("key", made(2))
    assert same(store.read("key"), made(1))
    assert len(list(store.folder.iterdir())) == 1


def test_two_runs_write_the_same_key_at_once(store):
    """Another process, and this one for as long as that runs."""
    command = [sys.executable, "-c", WRITER, str(store.folder)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE) as other:
        while other.poll() is None:
            if store.path("key").exists():
                write_and_read(store, 2)
            else:
                time.sleep(0.05)
        assert other.returncode == 0, other.stderr.read().decode()
    assert [path.name for path in store.folder.iterdir()] == ["key.npz"]
    basis = store.read("key")
    assert same(basis, made(int(basis.pixel[0])))


@pytest.mark.parametrize("what", ["whole", "gone", "damaged"])
def test_a_second_run_shows_the_same_and_traces_only_what_it_cannot_read(store, traced, notes, meshes, crowd, what):
    def image():
        return TransportRenderer(PAPER, meshes, spp=4, cache=store).image(at_position(PAPER, 0.3), crowd)

    first = image()
    (path,) = store.folder.iterdir()
    if what == "gone":
        path.unlink()
    elif what == "damaged":
        path.write_bytes(path.read_bytes()[:1000])
    for _ in range(2):
        torch.testing.assert_close(image(), first, rtol=1e-5, atol=0)  # a GPU adds up in no order
        assert len(traced) == (1 if what == "whole" else 2)
        assert [path.name for path in store.folder.iterdir()] == [path.name]
    assert ["damaged" in note for note in notes] == [True] * (what == "damaged")


def test_a_file_that_disappears_once_it_is_read_has_been_read(store, monkeypatch):
    """Between the reading and the note that it was used."""
    store.write("key", made(1))

    def gone(path):
        path.unlink()
        raise FileNotFoundError(path)

    monkeypatch.setattr(cache.os, "utime", gone)
    assert same(store.read("key"), made(1))


def test_the_key_changes_with_all_that_a_basis_depends_on(meshes, crowd):
    def key(material=None, layout=crowd, spp=4, shapes=meshes):
        return TransportRenderer(material or small_material(), shapes, spp=spp).key(layout)

    others = [
        key(layout=sample_layout(small_material(), meshes, seed=2)),
        key(spp=9),
        key(shapes=meshes[::-1]),
        key(small_material(scene__top_radiance=0.2)),
        key(small_material(scene__fov_deg=10.0)),
        key(small_material(bounds__roughness=[0.01, 4.0])),
        key(small_material(bounds__metallic=[0, 1])),
        key(small_material(bounds__top_radiance=[0, 1])),
        key(small_material(bounds__top_radiance=[0, 2])),
    ]
    assert len({key(), *others}) == 1 + len(others)
    assert key() == key()


def test_the_key_does_not_change_with_what_a_basis_does_not_depend_on(meshes, crowd):
    """Ranges that only the generator knows, blur, the number of layouts, and Mitsuba's samples in synthesis."""
    keys = {
        TransportRenderer(material, meshes, spp=4).key(crowd)
        for material in (
            small_material(),
            small_material(bounds__base_color=[0.5, 0.6]),
            small_material(bounds__noise_sigma=[0.01, 0.2]),
            small_material(scene__filter_std_px=1.0),
            small_material(layout__tightness=0.5),
            small_material(scene__spp=7),
        )
    }
    assert len(keys) == 1
