"""The code hash decides what is stale; it must follow every import and nothing else."""

import pytest

from k2repro.results.hashing import code_files, code_hash, what_runs


@pytest.fixture
def world(tmp_path):
    package = tmp_path / "k2repro"
    for room in ("used", "lazy", "other"):
        (package / room).mkdir(parents=True)
        (package / room / "__init__.py").write_text("")
    (package / "__init__.py").write_text("")
    (package / "used" / "__init__.py").write_text("from k2repro.used.part import f\n")
    (package / "used" / "part.py").write_text("def f():\n    from k2repro.lazy import g\n    return g\n")
    (package / "lazy" / "inner.py").write_text("from ..deep.end import x\n")
    (package / "deep").mkdir()
    (package / "deep" / "__init__.py").write_text("")
    (package / "deep" / "end.py").write_text("x = 1\n")
    (package / "used" / "table.csv").write_text("a\n1\n")
    (package / "lazy" / "__init__.py").write_text("from . import inner\ng = 1\n")
    (package / "other" / "__init__.py").write_text("h = 1\n")
    notebook = tmp_path / "01_a.py"
    notebook.write_text("import k2repro\nfrom k2repro.used import f\n")
    return notebook, package


@pytest.mark.parametrize(
    "changed",
    [
        "used/__init__.py",
        "used/part.py",
        "lazy/__init__.py",
        "lazy/inner.py",
        "deep/end.py",
        "used/table.csv",
    ],
)
def test_a_change_in_anything_imported_changes_the_hash(world, changed):
    """Catches a stale notebook that passes because a lazily imported file, or data, changed."""
    notebook, package = world
    before = code_hash(notebook, package)
    path = package / changed
    path.write_text(path.read_text() + "y = 2\n")
    assert code_hash(notebook, package) != before


SOURCE = '''"""Ünïcode docstring."""

import os  # why


def f(text="# no comment"):
    """One line."""
    return text + """not a docstring"""


class A:
    """Several
    lines."""

    def g(self): "short"
'''
REWORDED = '''"""Another."""
# a comment
import os
def f(text="# no comment"):
    """Some
    lines."""

    # a comment
    return text + """not a docstring"""
class A:
    """One line."""
    def g(self): "shorter"
'''


def test_words_about_code_do_not_count():
    """Catches an hour of training lost to a better docstring, and text in strings taken for words."""
    assert what_runs(SOURCE) == what_runs(REWORDED)
    assert '"# no comment"' in what_runs(SOURCE) and '"""not a docstring"""' in what_runs(SOURCE)
    compile(what_runs(SOURCE), "what runs", "exec")


@pytest.mark.parametrize(
    "old, new",
    [
        ("# no comment", "# no"),
        ("not a docstring", "not one"),
        ("return text", "return 2 * text"),
        ("os", "io"),
    ],
)
def test_a_change_of_what_runs_counts(old, new):
    """Catches a hash that is blind to strings or code beside the words: wrong twins of the test above."""
    assert what_runs(SOURCE) != what_runs(SOURCE.replace(old, new))


def test_a_comment_in_a_notebook_source_counts(world):
    """Catches a stale notebook after its prose changed: there, Markdown is made of comments."""
    notebook, package = world
    before = code_hash(notebook, package)
    notebook.write_text(notebook.read_text() + "# %% [markdown]\n# words\n")
    assert code_hash(notebook, package) != before


def test_every_file_of_the_package_can_be_cut():
    """Catches a cut that breaks on real code, such as a docstring after a decorator or in one line."""
    from k2repro.results import Places

    for path in Places.find().package.rglob("*.py"):
        compile(what_runs(path.read_text()), str(path), "exec")


def test_a_change_elsewhere_leaves_the_hash(world):
    """Catches every notebook going stale at every commit."""
    notebook, package = world
    before = code_hash(notebook, package)
    (package / "other" / "__init__.py").write_text("h = 2\n")
    assert code_hash(notebook, package) == before


def test_the_hash_does_not_depend_on_the_checkout(world, tmp_path_factory):
    """Catches stamps that are stale on every machine but the author's."""
    import shutil

    notebook, package = world
    moved = tmp_path_factory.mktemp("elsewhere")
    shutil.copytree(package, moved / "k2repro")
    shutil.copy(notebook, moved / notebook.name)
    assert code_hash(moved / notebook.name, moved / "k2repro") == code_hash(notebook, package)


def test_magic_lines_do_not_hide_imports(world):
    """Catches a syntax error on a magic line that would empty the import list."""
    notebook, package = world
    notebook.write_text("%load_ext x\nfrom k2repro.used import f\n")
    assert package / "used" / "part.py" in code_files(notebook, package)
