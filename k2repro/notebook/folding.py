"""Which code cells are plumbing: a reader sees the method's code, and opens the rest with one click.

Plumbing is what brings a number to the page: imports, recording rows, calling a picture, showing it.
A cell is folded when more than half of its lines are of that kind; the tag `show-code` keeps one open.
"""

import ast

SHOW_TAG = "show-code"
PARAMETERS = "parameters"
EXERCISE = "exercise"
FOLDED_FROM = 0.5
SPEAKING = {"show", "show_table", "tell", "show_code", "note", "expected", "display", "record"}
FIGURE_CALLS = ("add_", "update_")
# Modules of the lab that read a run's results into rows: sft_rows, rlvr_rows, planning_rows.
ROW_MODULES = ("_rows",)


def is_plumbing(source: str, tags: list[str]) -> bool:
    """Whether the code of a cell is folded away; a cell that is no Python never is."""
    if SHOW_TAG in tags or PARAMETERS in tags:
        return False
    # The solution of an exercise waits behind one click.
    return EXERCISE in tags or plumbing_share(source) > FOLDED_FROM


def plumbing_share(source: str) -> float:
    """Share of a cell's lines that are plumbing, 0 to 1; 0 for one that is no Python."""
    lines = {True: 0, False: 0}
    for statement in statements(source):
        lines[_is_plumbing(statement)] += (statement.end_lineno or statement.lineno) - statement.lineno + 1
    return lines[True] / max(sum(lines.values()), 1)


def statements(source: str) -> list[ast.stmt]:
    """The statements at the top level of a cell; none of one that is no Python."""
    try:
        return ast.parse(source).body
    except SyntaxError:
        return []


def _is_plumbing(node: ast.stmt) -> bool:
    if isinstance(node, ast.Import | ast.ImportFrom | ast.Assert):
        return True
    if isinstance(node, ast.For):
        return all(_is_plumbing(inner) for inner in node.body)
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return _is_recording(node.value)
    if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
        return _is_setting_up(node.value)
    return False


def call_name(node: ast.expr) -> str:
    """Dotted name of what is called: "show", "plt.show", "?.update" of something computed; else "?"."""
    if isinstance(node, ast.Attribute):
        return f"{call_name(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else "?"


def _is_recording(call: ast.Call) -> bool:
    """rows.add, show, tell, fig.update_layout, globals().update: nothing is computed that a reader needs."""
    name = call_name(call.func)
    first, last = name.split(".")[0], name.split(".")[-1]
    if (first == "rows" or first.endswith(ROW_MODULES)) and last in ("add", "add_rows", "rest_on", "save"):
        return True
    if name == "?.update":
        return True
    return name in SPEAKING or first in ("fig", "figure") and last.startswith(FIGURE_CALLS)


def _is_setting_up(call: ast.Call) -> bool:
    """figure, records = pictures.x(...); rows = open_rows(...); saved = rows.save(); gains = sft_rows.x()."""
    name = call_name(call.func)
    first, last = name.split(".")[0], name.split(".")[-1]
    return (
        last.endswith("_picture")
        or first == "pictures"
        or first.endswith(ROW_MODULES)
        or name in ("open_rows", "rows.save", "load_facts")
    )
