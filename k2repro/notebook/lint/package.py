"""Rules for library code that ruff and mypy do not know: how long, what name, which arguments."""

import ast
from collections.abc import Iterator
from pathlib import Path

from k2repro.notebook.lint.finding import Finding

MOST_FILE_LINES = 350
MOST_FUNCTION_LINES = 40
SHAPELESS_NAMES = {"utils.py", "util.py", "helpers.py", "misc.py", "common.py"}
Message = tuple[int, str, str]


def lint_package(path: Path) -> list[Finding]:
    """Findings in every Python file of a package folder, or in one file."""
    files = [path] if path.is_file() else sorted(path.rglob("*.py"))
    findings = []
    for file in files:
        for line, rule, message in _file_messages(file):
            findings.append(Finding(str(file), f"line {line}", rule, message))
    return findings


def _file_messages(file: Path) -> Iterator[Message]:
    text = file.read_text(encoding="utf-8")
    count = len(text.splitlines())
    if count > MOST_FILE_LINES:
        yield 1, "file-length", f"{count} lines, at most {MOST_FILE_LINES}: split by idea"
    if file.name in SHAPELESS_NAMES:
        yield 1, "file-name", f"{file.name} says nothing about its content"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _function_messages(node)


def _function_messages(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Message]:
    length = _lines(node) - _docstring_lines(node) - _lines_of_functions_inside(node)
    if length > MOST_FUNCTION_LINES:
        message = f"{node.name} has {length} lines without its docstring, at most {MOST_FUNCTION_LINES}"
        yield node.lineno, "function-length", message
    # Beside *args it hands a whole call on, which names nothing; alone it takes whatever is misspelt.
    if node.args.kwarg is not None and node.args.vararg is None:
        message = f"{node.name}(**{node.args.kwarg.arg}) swallows misspelt names; list the arguments"
        yield node.lineno, "kwargs", message


def _lines(node: ast.stmt) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _lines_of_functions_inside(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of functions written directly in the body: each of them is measured by itself."""
    inside = [each for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)]
    return sum(map(_lines, inside))


def _docstring_lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    first = node.body[0]
    is_text = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    if not is_text or ast.get_docstring(node, clean=False) is None:
        return 0
    return (first.end_lineno or first.lineno) - first.lineno + 1
