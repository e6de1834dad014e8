"""After a NameError: which cell sets the name, and under which heading it stands.

Cells that are run out of order, or after the kernel was restarted half-way, fail with "name 'rows' is
not defined". `make lab` installs this in every kernel; it adds one line below the traceback.
"""

import ast
import os
import re
import sys
from pathlib import Path
from typing import Any

from k2repro.notebook.folding import statements
from k2repro.results.places import Places

HEADING = re.compile(r"^#+\s+(.+)$", re.MULTILINE)
# Set by the Jupyter server in the environment of a kernel.
SESSION = "JPY_SESSION_NAME"


def install() -> None:
    """Hook the running IPython shell; nothing happens outside of one."""
    from IPython.core.getipython import get_ipython

    shell = get_ipython()
    if shell is not None:
        shell.set_custom_exc((NameError,), _explain)


def _explain(shell: Any, kind: type, error: NameError, trace: Any, tb_offset: int | None = None) -> None:
    shell.showtraceback((kind, error, trace), tb_offset=tb_offset)
    session = os.environ.get(SESSION, "")
    hint = advice(error.name or "", Path(session).stem)
    if hint:
        sys.stderr.write(hint + "\n")


def advice(name: str, notebook: str) -> str:
    """Where `name` is set in a notebook, as one sentence; empty when no cell sets it."""
    from k2repro.notebook.source import read_source

    places = Places.find()
    path = places.sources / f"{notebook}.py"
    if not path.is_file():
        return ""
    heading = ""
    for number, cell in enumerate(read_source(path).cells, start=1):
        if cell.cell_type == "markdown":
            titles = HEADING.findall(cell.source)
            heading = titles[-1] if titles else heading
        elif name in names_set(cell.source):
            return (
                f"'{name}' is set by cell {number}, under \"{heading}\". Run that cell first, "
                "or everything above with Run > Run All Above Selected Cell."
            )
    return ""


def names_set(source: str) -> set[str]:
    """Names that the top level of a cell binds: assignments, imports, functions, loops, with."""
    found: set[str] = set()
    for statement in statements(source):
        if isinstance(statement, ast.FunctionDef | ast.ClassDef):
            found.add(statement.name)
            continue
        for node in ast.walk(statement):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found.add(node.id)
            elif isinstance(node, ast.Import | ast.ImportFrom):
                found |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    return found
