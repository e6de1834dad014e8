"""Hashes that stand for "everything that made this": parameters, code, data.

The code hash of a notebook covers its source and, transitively, every k2repro module that it
imports together with the data files of their rooms. A change in one pillar leaves the notebooks
of the others fresh; a change in anything that a notebook uses makes it stale. Comments, docstrings
and blank lines do not count: better words must not cost an hour of training.
"""

import ast
import hashlib
import io
import tokenize
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from k2repro.results.atomic import canonical_json

LENGTH = 16
DATA_SUFFIXES = {".csv", ".toml", ".json"}


def hash_bytes(content: bytes) -> str:
    """First 16 hexadecimal digits of SHA-256."""
    return hashlib.sha256(content).hexdigest()[:LENGTH]


def hash_value(value: Any) -> str:
    """Hash of a JSON-like value in its canonical spelling."""
    return hash_bytes(canonical_json(value).encode())


def hash_file(path: Path) -> str:
    """SHA-256 of a file's content, all 64 digits, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def hash_files(paths: Iterable[Path], root: Path) -> str:
    """Hash of names (relative to `root`) and contents, in sorted order."""
    listing = [[path.relative_to(root).as_posix(), hash_file(path)] for path in sorted(set(paths))]
    return hash_value(listing)


def code_files(start: Path, package: Path) -> set[Path]:
    """`start` and every file of `package` that it imports, directly or through others.

    Imports inside functions count, so a lazily loaded module still makes its user stale.
    """
    found: set[Path] = set()
    known: set[str] = set()
    rooms: set[Path] = set()
    waiting = [start]
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        if path.suffix == ".py":
            new = _imported_names(path, package, path.stat().st_mtime_ns) - known
            known |= new
            for name in sorted(new):
                waiting.extend(_module_files(name.split(".")[1:], package, rooms))
    return found


def code_hash(start: Path, package: Path) -> str:
    """Hash of `code_files`, independent of where the checkout lies."""
    listing = sorted(
        [path.relative_to(package.parent).as_posix(), _content_hash(path, path.stat().st_mtime_ns)]
        if path.is_relative_to(package)
        else [path.name, hash_file(path)]
        for path in code_files(start, package)
    )
    return hash_value(listing)


def what_runs(source: str) -> str:
    """Python source without comments, docstrings and blank lines.

    Text is cut out, not printed anew from the syntax tree: that would differ between Python versions. A
    docstring leaves an ellipsis, so that a body of nothing else stays a body.
    """
    lines = source.splitlines()
    cuts = [*_docstrings(source), *_comments(source)]
    for (first, start), (last, end), instead in sorted(cuts, reverse=True):
        joined = lines[first - 1][:start] + instead + lines[last - 1][end:]
        lines[first - 1 : last] = [joined]
    return "\n".join(line.rstrip() for line in lines if line.strip())


_Cut = tuple[tuple[int, int], tuple[int, int], str]  # (line, column) of begin and end, replacement


def _docstrings(source: str) -> list[_Cut]:
    """Columns of `ast` count bytes of UTF-8, those of a text count characters."""
    lines = source.splitlines()

    def column(line: int, offset: int) -> int:
        return len(lines[line - 1].encode()[:offset].decode())

    found: list[_Cut] = []
    for node in _statements(ast.parse(source)):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if ast.get_docstring(node, clean=False) is not None:
            text = node.body[0]
            last, end = text.end_lineno or text.lineno, text.end_col_offset or 0
            begin = (text.lineno, column(text.lineno, text.col_offset))
            found.append((begin, (last, column(last, end)), "..."))
    return found


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """The tree and its statements at every depth: expressions hold no import and no docstring, and are most
    of what `ast.walk` would visit."""
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        yield node
        for part in ("body", "orelse", "finalbody", "handlers", "cases"):
            waiting.extend(getattr(node, part, ()))


def _comments(source: str) -> list[_Cut]:
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return [(token.start, token.end, "") for token in tokens if token.type == tokenize.COMMENT]


@cache
def _content_hash(path: Path, modified_ns: int) -> str:
    """Of what runs in a Python file, of all bytes of a data file."""
    if path.suffix != ".py":
        return hash_file(path)
    return hash_bytes(what_runs(path.read_text(encoding="utf-8")).encode())


@cache
def _imported_names(path: Path, package: Path, modified_ns: int) -> frozenset[str]:
    """Names of this package that a file imported at that time of change: parsed once for nine notebooks."""
    names: set[str] = set()
    for node in _statements(ast.parse(_python_only(path.read_text(encoding="utf-8")))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(node, path, package)
            names.add(module)
            names.update(f"{module}.{alias.name}" for alias in node.names)
    return frozenset(name for name in names if name.split(".")[0] == package.name)


def _absolute(node: ast.ImportFrom, path: Path, package: Path) -> str:
    """The dotted name behind `from x import` or, inside the package, `from ..x import`."""
    if node.level == 0 or not path.is_relative_to(package):
        return node.module or ""
    parents = [package.name, *path.relative_to(package).parts[:-1]]
    base = parents[: len(parents) - node.level + 1]
    return ".".join([*base, *([node.module] if node.module else [])])


def _python_only(source: str) -> str:
    """A notebook source may hold `%` or `!` lines; they import nothing of ours."""
    return "\n".join("pass" if line.startswith(("%", "!")) else line for line in source.splitlines())


def _module_files(parts: list[str], package: Path, rooms: set[Path]) -> list[Path]:
    """The files behind a dotted name: each package's __init__, the module, and the room's data.

    rooms: those whose data have been listed; it grows.
    """
    files = [package / "__init__.py"]
    folder = package
    for part in parts:
        if (folder / f"{part}.py").is_file():
            files.append(folder / f"{part}.py")
            break
        folder = folder / part
        if not (folder / "__init__.py").is_file():
            break  # an attribute of the package, not a module
        files.append(folder / "__init__.py")
        if folder not in rooms:
            rooms.add(folder)
            files.extend(p for p in folder.rglob("*") if p.suffix in DATA_SUFFIXES and p.is_file())
    return files
