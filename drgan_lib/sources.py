"""Where an experiment's micrographs are: the user's folder, a fetched public dataset, or a rendered twin."""

from pathlib import Path

from drgan_lib.config import Experiment, twin_source
from drgan_lib.data import DataError, default_folder, fetch
from drgan_lib.scene.twin import make_twin


def dataset_folder(exp: Experiment) -> Path:
    """Folder with the experiment's micrographs, downloading or rendering them first where needed.

    A twin is that of `dataset.twin_of`; `ConfigError` if there is none. See `drgan_lib.config.twin_source`.
    """
    dataset = exp.material.dataset
    if dataset.path is not None:
        folder = dataset.path.expanduser().resolve()
        if not folder.is_dir():
            raise DataError(f"dataset.path is {folder}, which is not a folder; give the folder of your micrographs")
        return folder
    if dataset.registry is not None:
        return fetch(dataset.registry)
    source = twin_source(exp.material)
    return make_twin(source, default_folder(f"twin_of_{source.name}"))
