"""Digests of code: which files count, and what of them."""

from pathlib import Path

import pytest

from drgan_lib.config import ROOT
from drgan_lib.digest import code_digest, imported_files, meaning

SCENE = ROOT / "drgan_lib" / "scene"


@pytest.mark.parametrize(
    ("start", "seen", "unseen"),
    [
        ("twin", {"twin", "microscope", "meshes/make", "layout/place", "render", "spread"}, {"panel", "transport"}),
        ("trace", {"trace", "build", "lights", "terms", "splat", "spread"}, {"panel", "transport", "twin"}),
        ("render", {"backend", "build", "layout/sizes", "meshes/convention", "spread"}, {"trace", "transport", "twin"}),
    ],
)
def test_what_the_scene_imports_counts_and_nothing_else(start, seen, unseen):
    names = {
        path.relative_to(SCENE).with_suffix("").as_posix()
        for path in imported_files(SCENE / f"{start}.py", within=SCENE)
    }
    assert seen <= names
    assert not names & (unseen | {"prepare", "figures/layouts", "__init__"})


def test_imports_are_followed_in_circles_and_out_of_functions(tmp_path):
    package = tmp_path / "part"
    texts = {
        "a.py": "def f():\n    from drgan_lib.part.b import x\n",
        "b.py": "from drgan_lib.part.a import f\nfrom drgan_lib.part.c.deep import y\nfrom drgan_lib.other import z\n",
        "c/deep.py": "import numpy\n",
        "c/beside.py": "",
        "d.py": "",
    }
    for name, text in texts.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text)
    found = imported_files(package / "a.py", within=package)
    assert [path.relative_to(package) for path in found] == [Path("a.py"), Path("b.py"), Path("c/deep.py")]


def test_the_digest_sees_names_and_meaning_but_no_comments(tmp_path):
    path, other = tmp_path / "a.py", tmp_path / "b.py"
    path.write_text("x = 1\n")
    first = code_digest([path], root=tmp_path)
    path.write_text('"""One."""\n# one\nx  =  1\n')
    assert code_digest([path], root=tmp_path) == first
    other.write_text("x = 1\n")
    assert code_digest([other], root=tmp_path) != first
    path.write_text("x = 2\n")
    assert code_digest([path], root=tmp_path) != first


def test_docstrings_mean_nothing_and_other_strings_do():
    bare = 'class A:\n    x = "one"\n\n    def f(self):\n        return 1\n\ndef g():\n    pass\n'
    told = '''"""Module."""

class A:
    """Class."""
    x = "one"

    def f(self):
        """Method."""
        return 1

def g():
    """Function of nothing else."""
'''
    assert meaning(told) == meaning(bare)
    assert meaning(told.replace('"one"', '"two"')) != meaning(bare)
    assert meaning('x = 1\n"""no docstring"""\n') != meaning("x = 1\n")
