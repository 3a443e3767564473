"""Digests of code: which files count, and what of them."""

from pathlib import Path

import pytest

from drgan_lib.config import PACKAGE
from drgan_lib.digest import code_behind, meaning


def names(*starts, **more) -> set[str]:
    return set(code_behind(*starts, **more))


@pytest.mark.parametrize(
    ("start", "seen", "unseen"),
    [
        ("scene/twin.py", {"scene/microscope.py", "scene/layout/place.py", "scene/render.py"}, {"scene/transport.py"}),
        ("scene/basis.py", {"scene/build.py", "scene/lights.py", "scene/terms.py"}, {"scene/transport.py"}),
        ("scene/render.py", {"scene/backend.py", "scene/trace.py"}, {"scene/basis.py", "scene/twin.py"}),
    ],
)
def test_what_the_scene_imports_counts_and_nothing_else(start, seen, unseen):
    found = names(PACKAGE / start)
    assert seen | {start} <= found
    assert not found & (unseen | {"scene/panel.py", "scene/__init__.py", "config/base.py"})


@pytest.fixture
def library(tmp_path) -> Path:
    """A library with imports in circles, in functions, through the faces of packages, and of plots."""
    texts = {
        "a/__init__.py": "",
        "a/__init__.pyi": "from .one import f\nfrom .plots import draw\n",
        "a/one.py": "def f():\n    from drgan_lib.b.two import x\n",
        "a/beside.py": "",
        "a/plots.py": "from drgan_lib.c import y\n",
        "b/two.py": "from drgan_lib.a.one import f\nfrom drgan_lib.config import PACKAGE\nimport numpy\n",
        "c.py": "y = 1\n",
        "config.py": "PACKAGE = 1\n",
    }
    for name, text in texts.items():
        (tmp_path / "library" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "library" / name).write_text(text)
    return tmp_path / "library"


def test_imports_are_followed_to_where_a_name_is_from(library, tmp_path):
    notebook = tmp_path / "chapter.py"
    notebook.write_text("from drgan_lib.a import f\n")
    assert names(notebook, package=library) == {"a/one.py", "b/two.py"}
    notebook.write_text("from drgan_lib import a\n")
    assert names(notebook, package=library) == {"a/__init__.py", "a/one.py", "b/two.py"}
    shown = names(notebook, showing=True, package=library)
    assert shown == {"a/__init__.py", "a/one.py", "b/two.py", "a/plots.py", "c.py"}


def test_what_strings_name_is_followed_where_asked(library, tmp_path):
    notebook = tmp_path / "chapter.py"
    notebook.write_text('PLACES = ["drgan_lib.a:f", "drgan_lib.c"]\nWORDS = "of drgan_lib.a.beside", "numpy.a"\n')
    assert names(notebook, package=library) == set()
    assert names(notebook, named=True, package=library) == {"a/one.py", "b/two.py", "c.py"}
    assert names("drgan_lib.b.two", package=library) == {"a/one.py", "b/two.py"}


def test_the_results_of_chapter_05_depend_on_all_that_trains_and_segments():
    """Also on what nnU-Net finds in a folder, what runs in another process, and what only the registry names."""
    found = names(PACKAGE / "chapters" / "05_segmentation_evaluation.py", named=True)
    made_by = "worker", "raw", "nnunet", "network", "classical", "own", "trainers/compact", "graphed"
    assert {f"segmentation/{name}.py" for name in made_by} <= found


def test_digests_see_what_code_says_but_no_comments(library):
    start, path = library / "a/one.py", library / "b/two.py"
    first = code_behind(start, package=library)
    path.write_text('"""Two."""\n# two\n' + path.read_text())
    assert code_behind(start, package=library) == first
    path.write_text(path.read_text() + "x = 2\n")
    assert code_behind(start, package=library) != first


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
