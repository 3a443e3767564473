"""Results that are long to make, in folders named by all that they depend on."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from drgan_lib.digest import digest
from drgan_lib.files import write_json


class Store:
    """Folders below `root`, one for each kind of result and identity.

    An identity names what a result depends on, and leaves out what may grow: epochs, iterations, numbers of images. So
    more of them goes on from what is there, and a setting that is changed back finds its results again. Nothing in a
    store is moved. With an `owner`, a folder of results, links in `owner/uses` say what it needs of the store.
    """

    def __init__(self, root: str | Path, *, owner: Path | None = None):
        self.root, self.owner = Path(root).absolute(), owner  # workers may run elsewhere

    def folder(self, kind: str, identity: Mapping[str, Any]) -> Path:
        """The folder of this `kind` and `identity` (values that JSON can hold), made on first use.

        `identity.json` in it says what it is for.
        """
        text = json.dumps(identity, sort_keys=True, default=str)
        place = self.root / kind / digest(text)
        if not (place / "identity.json").is_file():
            write_json(place / "identity.json", json.loads(text))
        if self.owner is not None:
            point(self.owner / "uses" / f"{kind}-{place.name}", place)
        return place


def point(link: Path, target: Path) -> None:
    """Makes `link` a relative symbolic link to `target`, in one step, in place of another link.

    Raises `FileExistsError` if `link` is no link.
    """
    if link.exists() and not link.is_symlink():
        raise FileExistsError(f"{link}: expected a link to results, got a file or folder; move it away")
    link.parent.mkdir(parents=True, exist_ok=True)
    relative = os.path.relpath(target.resolve(), link.parent.resolve())
    if link.is_symlink() and os.readlink(link) == relative:
        return
    temporary = link.with_name(f".{link.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(relative)
    os.replace(temporary, link)
