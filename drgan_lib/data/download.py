"""Public datasets: downloaded once, verified by SHA-256, from their pinned URL or from a local mirror."""

import os
import shutil
import zipfile
from functools import partial
from pathlib import Path

import pandas as pd
import pooch
import yaml
from tqdm import tqdm

from drgan_lib.config import MATERIALS, REGISTRIES
from drgan_lib.data.overlays import TABLE
from drgan_lib.errors import DataError
from drgan_lib.files import atomic_path, require_free_space

LAYOUT = "$DRGAN_MIRROR/<dataset>/<path>, or $DRGAN_MIRROR/<dataset>.zip with <dataset>/<path> inside"


def registries() -> list[str]:
    """Names of the datasets that can be fetched."""
    return sorted(path.parent.name for path in REGISTRIES.glob("*/registry.tsv"))


def read_registry(path: str | Path, subset: str | None = None) -> pd.DataFrame:
    """Table of a `registry.tsv`, or its rows whose column material is `subset`.

    It must have the columns path, kind (image, mask or instances) and split (train or test); else `DataError`, as for
    an unknown subset.
    """
    table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
    if missing := {"path", "kind", "split"} - set(table.columns):
        raise DataError(f"{path}: columns {', '.join(sorted(missing))} are missing; got {', '.join(table.columns)}")
    if subset is None:
        return table
    if "material" not in table:
        raise DataError(f"{path}: has no column material to take dataset.subset {subset!r} by; remove dataset.subset")
    if subset not in (known := sorted(set(table["material"]))):
        raise DataError(f"{path}: unknown dataset.subset {subset!r}; expected one of {', '.join(known)}")
    return table[table["material"] == subset]


def default_folder(name: str) -> Path:
    """Where `fetch` puts a dataset: below `DRGAN_DATA` if set, else below the user's cache folder."""
    return Path(os.environ.get("DRGAN_DATA") or pooch.os_cache("drgan")) / name


def fetch(name: str, *, folder: str | Path | None = None, progress: bool = True) -> Path:
    """Folder of the dataset `name`, complete and verified; `folder` defaults to `default_folder(name)`.

    Files that are there with the right SHA-256 are kept, so that an interrupted download goes on where it stopped; a
    file gets its final name only after verification. With `DRGAN_MIRROR` set, they come from there (`find_mirror`). The
    registry, and the table of burnt-in text if there is one, are put beside them. Raises `DataError` for an unknown
    name, a wrong mirror, a failed download or a wrong hash, and `OSError` if the disk has too little space.
    """
    source = REGISTRIES / name / "registry.tsv"
    if not source.is_file():
        raise DataError(f"unknown dataset {name!r}; expected one of {', '.join(registries())}")
    table = read_registry(source)
    folder = Path(folder) if folder is not None else default_folder(name)
    mirror = find_mirror(name)
    if progress:
        print(f"{name}: {_terms(name)}")
    hashes = [pooch.file_hash(str(folder / p)) if (folder / p).is_file() else None for p in table["path"]]
    waiting = table[table["sha256"] != hashes]
    require_free_space(folder, waiting["bytes"].astype(int).sum(), f"fetching {name}")
    pooch.get_logger().setLevel("ERROR")
    shop = pooch.create(
        path=folder,
        base_url="",
        registry=dict(zip(table["path"], "sha256:" + table["sha256"], strict=True)),
        urls=dict(zip(table["path"], table["url"], strict=True)),
        retry_if_failed=0 if mirror else 2,
    )
    rows = list(waiting.itertuples())
    for row in tqdm(rows, desc=f"fetching {name}", unit="file", disable=not progress or not rows):
        try:
            shop.fetch(row.path, downloader=partial(_copy, mirror / row.path) if mirror else None)
        except DataError:
            raise
        except zipfile.BadZipFile as error:
            raise DataError(f"{mirror / row.path}: the archive is damaged ({error}); copy it again") from error
        except ValueError as error:  # pooch's message holds the expected and the found hash
            origin = mirror / row.path if mirror else row.url
            raise DataError(f"{origin}: not the file that the registry names, nothing was kept. {error}") from error
        except OSError as error:
            done = f"{sum((folder / path).is_file() for path in table['path'])} of {len(table)}"
            raise DataError(
                f"{row.path} could not be fetched from {mirror or row.url} ({error}). {done} files are in {folder} and "
                f"are kept: run again to go on, or set DRGAN_MIRROR to a folder that holds {name}/{row.path}"
            ) from error
    for table_name in (TABLE, "registry.tsv"):  # the registry last, so that it marks a complete dataset
        if (source.parent / table_name).is_file():
            with atomic_path(folder / table_name) as temporary:
                shutil.copyfile(source.parent / table_name, temporary)
    return folder


def find_mirror(name: str) -> Path | zipfile.Path | None:
    """The copy of dataset `name` in `$DRGAN_MIRROR`: the folder `<name>`, or that folder within `<name>.zip`.

    None where no mirror is set. Raises `DataError` for a mirror that holds neither, and for a damaged archive.
    """
    if not os.environ.get("DRGAN_MIRROR"):
        return None
    mirror = Path(os.environ["DRGAN_MIRROR"]).expanduser().resolve()
    archive = mirror / f"{name}.zip"
    if (mirror / name).is_dir():
        return mirror / name
    if not archive.is_file():
        raise DataError(
            f"DRGAN_MIRROR is {mirror}, but there is neither a folder {name} nor an archive {name}.zip in it; expected "
            f"{LAYOUT}, for example $DRGAN_MIRROR/tio2_sem/images/1908248.tif; correct it or unset it"
        )
    try:
        return zipfile.Path(archive, f"{name}/")
    except zipfile.BadZipFile as error:
        raise DataError(f"{archive}: expected a zip archive ({error}); copy it again, or unset DRGAN_MIRROR") from error


def _copy(path: Path | zipfile.Path, url: str, output_file: str, shop: pooch.Pooch) -> None:
    """Copies `path`, where pooch would download."""
    if not path.is_file():
        raise DataError(f"the mirror has no {path}; expected {LAYOUT}; correct or unset DRGAN_MIRROR")
    with path.open("rb") as source, Path(output_file).open("wb") as target:
        shutil.copyfileobj(source, target)


def _terms(name: str) -> str:
    """Licence and citation, as written in the material that uses the dataset."""
    materials = (yaml.safe_load(path.read_text()) for path in sorted(MATERIALS.glob("*.yaml")))
    for dataset in (material.get("dataset", {}) for material in materials):
        if dataset.get("registry") == name:
            return f"licence {dataset.get('licence', 'unknown')}; cite {dataset.get('citation', 'its source')}"
    return "licence unknown; see data/README.md"
