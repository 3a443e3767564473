"""Folders named by what they depend on."""

from __future__ import annotations

import json

from drgan_lib.store import Store, point


def test_one_identity_has_one_folder(tmp_path):
    store = Store(tmp_path)
    place = store.folder("training", {"seed": 0, "patches": "abc"})
    (place / "epoch_1").touch()
    assert store.folder("training", {"patches": "abc", "seed": 0}) == place
    assert store.folder("training", {"patches": "abc", "seed": 1}) != place
    assert store.folder("images", {"patches": "abc", "seed": 0}) != place
    assert json.loads((place / "identity.json").read_text()) == {"seed": 0, "patches": "abc"}


def test_an_owner_says_what_it_uses(tmp_path):
    owner = tmp_path / "results" / "gan"
    place = Store(tmp_path / "store", owner=owner).folder("training", {"seed": 0})
    assert [link.resolve() for link in (owner / "uses").iterdir()] == [place.resolve()]
    tmp_path.rename(tmp_path.with_name("moved"))
    assert (tmp_path.with_name("moved") / "results/gan/uses" / f"training-{place.name}" / "identity.json").is_file()


def test_a_pointer_is_replaced_in_one_step(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        point(tmp_path / "current", tmp_path / name)
        assert (tmp_path / "current").resolve() == (tmp_path / name).resolve()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "current"]
