import shutil
import zipfile
from pathlib import Path

import pandas as pd
import pooch
import pytest

from drgan_lib.data import DataError, default_folder, download, fetch, read_registry, registries


@pytest.fixture
def small(tmp_path, monkeypatch):
    """A registry of three small files, and a mirror that holds them."""
    source = tmp_path / "mirror" / "small"
    rows = []
    for name in ("images/a.tif", "images/b.tif", "masks/a_m.tif"):
        path = source / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"content of {name}")
        kind = "mask" if "mask" in name else "image"
        url = (source / name).as_uri()
        rows.append((name, kind, "train", path.stat().st_size, pooch.file_hash(str(path)), url))
    registry = tmp_path / "registries" / "small" / "registry.tsv"
    registry.parent.mkdir(parents=True)
    table = pd.DataFrame(rows, columns=["path", "kind", "split", "bytes", "sha256", "url"])
    table.to_csv(registry, sep="\t", index=False)
    monkeypatch.setattr(download, "REGISTRIES", tmp_path / "registries")
    monkeypatch.setenv("DRGAN_MIRROR", str(tmp_path / "mirror"))
    return source


def files(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_files_are_copied_verified_and_kept(small, tmp_path):
    folder = fetch("small", folder=tmp_path / "out", progress=False)
    assert files(folder) == ["images/a.tif", "images/b.tif", "masks/a_m.tif", "registry.tsv"]
    times = {path: (folder / path).stat().st_mtime_ns for path in files(folder) if path != "registry.tsv"}
    (folder / "images/b.tif").write_text("damaged since")
    fetch("small", folder=folder, progress=False)
    assert (folder / "images/b.tif").read_text() == "content of images/b.tif"
    assert (folder / "images/a.tif").stat().st_mtime_ns == times["images/a.tif"]


def test_corrupt_file_in_the_mirror_is_refused_with_both_hashes(small, tmp_path):
    right = pooch.file_hash(str(small / "images/b.tif"))
    (small / "images/b.tif").write_text("something else")
    with pytest.raises(DataError) as caught:
        fetch("small", folder=tmp_path / "out", progress=False)
    assert right in str(caught.value)
    assert pooch.file_hash(str(small / "images/b.tif")) in str(caught.value)
    assert files(tmp_path / "out") == ["images/a.tif"]  # no registry: the dataset is not complete


def test_interrupted_copy_leaves_no_half_file_and_goes_on(small, tmp_path, monkeypatch):
    copied, copy = [], shutil.copyfileobj

    def stop_at_the_second(source, target):
        copied.append(Path(source.name))
        if len(copied) == 2:
            target.write(b"cont")
            raise KeyboardInterrupt
        return copy(source, target)

    monkeypatch.setattr(shutil, "copyfileobj", stop_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        fetch("small", folder=tmp_path / "out", progress=False)
    assert files(tmp_path / "out") == ["images/a.tif"]
    fetch("small", folder=tmp_path / "out", progress=False)
    assert len(files(tmp_path / "out")) == 4
    assert sum(path.name == "a.tif" for path in copied) == 1


def test_wrong_mirror_names_the_expected_layout(small, tmp_path, monkeypatch):
    (small / "masks/a_m.tif").unlink()
    with pytest.raises(DataError, match=r"\$DRGAN_MIRROR/<dataset>/<path>"):
        fetch("small", folder=tmp_path / "out", progress=False)
    monkeypatch.setenv("DRGAN_MIRROR", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match=r"\$DRGAN_MIRROR/<dataset>/<path>"):
        fetch("small", folder=tmp_path / "out", progress=False)


@pytest.fixture
def archive(small):
    """The mirror of `small` as one archive in place of the folder."""
    path = small.with_suffix(".zip")
    with zipfile.ZipFile(path, "w") as written:
        for name in files(small):
            written.write(small / name, f"small/{name}")
        written.writestr("small/../../outside.txt", "escaped")
    shutil.rmtree(small)
    return path


def test_a_mirror_may_be_an_archive(archive, tmp_path):
    folder = fetch("small", folder=tmp_path / "out", progress=False)
    assert files(folder) == ["images/a.tif", "images/b.tif", "masks/a_m.tif", "registry.tsv"]
    assert (folder / "images/b.tif").read_text() == "content of images/b.tif"
    assert not list(tmp_path.rglob("outside.txt")), "only what the registry names is taken"


def test_a_file_that_the_archive_lacks_or_has_otherwise_is_refused(archive, tmp_path):
    with zipfile.ZipFile(archive, "w") as written:
        written.writestr("small/images/a.tif", "something else")
    with pytest.raises(DataError, match="not the file that the registry names"):
        fetch("small", folder=tmp_path / "out", progress=False)
    with zipfile.ZipFile(archive, "w") as written:
        written.writestr("images/a.tif", "content of images/a.tif")
    with pytest.raises(DataError, match=r"<dataset>\.zip with <dataset>/<path> inside"):
        fetch("small", folder=tmp_path / "out", progress=False)


def test_a_damaged_archive_is_refused(archive, tmp_path):
    archive.write_bytes(archive.read_bytes()[:50])
    with pytest.raises(DataError, match="expected a zip archive"):
        fetch("small", folder=tmp_path / "out", progress=False)
    assert not (tmp_path / "out").exists()


def test_failed_download_says_how_to_go_on(small, tmp_path, monkeypatch):
    monkeypatch.delenv("DRGAN_MIRROR")

    def no_network(*arguments, **settings):
        raise ConnectionError("no route to host")

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", no_network)
    registry = download.REGISTRIES / "small" / "registry.tsv"
    registry.write_text(registry.read_text().replace("file://", "https://example.org"))
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)
    with pytest.raises(DataError, match=r"0 of 3 files are in .* run again to go on, or set DRGAN_MIRROR"):
        fetch("small", folder=tmp_path / "out", progress=False)


def test_full_disk_is_noticed_before_the_first_file(small, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=10)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(OSError, match="free"):
        fetch("small", folder=tmp_path / "out", progress=False)
    assert files(tmp_path / "out") == []


def test_unknown_dataset_and_default_folder(monkeypatch, tmp_path):
    with pytest.raises(DataError, match=r"unknown dataset 'gold'; expected one of .*tio2_sem"):
        fetch("gold")
    monkeypatch.setenv("DRGAN_DATA", str(tmp_path))
    assert default_folder("tio2_sem") == tmp_path / "tio2_sem"


def test_registry_of_tio2_sem_holds_no_image_and_a_fixed_split():
    assert "tio2_sem" in registries()
    table = read_registry(download.REGISTRIES / "tio2_sem" / "registry.tsv")
    images = table[table["kind"] == "image"]
    assert images["split"].value_counts().to_dict() == {"train": 32, "test": 8}
    assert (images.sort_values("path")["split"].iloc[4::5] == "test").all()


def test_the_table_of_burnt_in_text_comes_with_the_registry(small, tmp_path):
    overlays = download.REGISTRIES / "small" / "overlays.tsv"
    overlays.write_text("path\ttop\tleft\tbottom\tright\n")
    folder = fetch("small", folder=tmp_path / "out", progress=False)
    assert (folder / "overlays.tsv").read_text() == overlays.read_text()


def test_registry_of_emps_has_four_subsets_with_maps():
    table = read_registry(download.REGISTRIES / "emps" / "registry.tsv")
    counts = table.groupby(["material", "kind", "split"]).size().to_dict()
    assert counts == {
        (material, kind, split): n
        for material, n_train, n_test in (
            ("spheres_sem", 8, 2),
            ("rods_sem", 6, 2),
            ("microspheres_sem", 4, 2),
            ("ellipsoids_sem", 3, 1),
        )
        for kind in ("image", "instances")
        for split, n in (("train", n_train), ("test", n_test))
    }


def test_tio2_sem_from_the_mirror(use_mirror, tmp_path, capsys):
    folder = fetch("tio2_sem", folder=tmp_path / "tio2_sem")
    assert "CC BY-NC-ND 4.0" in capsys.readouterr().out
    assert len(files(folder)) == 82, "images, masks, and two tables"
