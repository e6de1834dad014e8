"""Rules for the code of notebook cells: what is called, and how figures are shown."""

import ast
import re
from collections.abc import Iterator

from k2repro.notebook.folding import call_name
from k2repro.notebook.lint.markdown import typed_numbers
from k2repro.notebook.text import FIELD

SHORTEST_ALT = 20
Message = tuple[str, str]

FORBIDDEN = {
    "clear_output": "nbval cannot compare it; print less instead",
    "FigureWidget": "it stores megabytes of state; use show() with frames and sliders",
    "plt.show": "figures go through show(fig, alt, table)",
    "time.time": "wall times vary; they go to timings, not into cells",
    "time.perf_counter": "wall times vary; they go to timings, not into cells",
    "time.monotonic": "wall times vary; they go to timings, not into cells",
    "perf_counter": "wall times vary; they go to timings, not into cells",
    "exec": "code from a text runs only in the sandbox (k2repro.verify)",
    "eval": "code from a text runs only in the sandbox (k2repro.verify)",
    "np.random.seed": "pass a generator: np.random.default_rng(seed)",
    "random.seed": "pass a generator: random.Random(seed)",
    "torch.manual_seed": "pass a generator: torch.Generator().manual_seed(seed)",
}
SEEDED = ("default_rng", "Generator", "SeedSequence", "Random")


def code_messages(source: str) -> Iterator[Message]:
    """Messages for one code cell."""
    for line in source.splitlines():
        if line.lstrip().startswith(("%", "!")):
            yield "magic", f"{line.strip()[:40]!r}: magics do not run as Python"
            return
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        yield "syntax", f"line {error.lineno}: {error.msg}"
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from _import_messages(node)
        elif isinstance(node, ast.Call):
            yield from _call_messages(node)
    yield from _bare_figure(tree)


def _import_messages(node: ast.Import | ast.ImportFrom) -> Iterator[Message]:
    names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
    for name in names:
        if name.split(".")[0] in ("matplotlib", "seaborn"):
            yield "matplotlib", f"import of {name}: figures are plotly figures, shown with show()"


def _call_messages(node: ast.Call) -> Iterator[Message]:
    name = call_name(node.func)
    last = name.split(".")[-1]
    for known, reason in FORBIDDEN.items():
        if name == known or ("." not in known and last == known and known not in ("exec", "eval")):
            yield "forbidden-call", f"{name}(): {reason}"
    if _draws_globally(name):
        yield "global-random", f"{name}(): draw from a generator that is an argument"
    if name.endswith(".show") and name != "plt.show":
        yield "figure-past-show", f"{name}(): use show(fig, alt=..., table=...)"
    if name == "show":
        yield from _show_messages(node)
    if name == "tell":
        yield from _differences_in_percent(node)
    if name in SPEAKERS:
        yield from _spoken_numbers(node, name)


def _draws_globally(name: str) -> bool:
    parts = name.split(".")
    numpy_style = parts[:-1] in (["np", "random"], ["numpy", "random"])
    plain = parts[:-1] == ["random"]
    return (numpy_style or plain) and parts[-1] not in (*SEEDED, "seed")


def _argument(node: ast.Call, name: str, place: int) -> ast.expr | None:
    for keyword in node.keywords:
        if keyword.arg == name:
            return keyword.value
    return node.args[place] if len(node.args) > place else None


def _show_messages(node: ast.Call) -> Iterator[Message]:
    alt, table = _argument(node, "alt", 1), _argument(node, "table", 2)
    if alt is None:
        yield "show-alt", "show() without alt: say what one sees"
    elif isinstance(alt, ast.Constant) and len(str(alt.value).strip()) < SHORTEST_ALT:
        yield "show-alt", f"alt {alt.value!r} is shorter than {SHORTEST_ALT} characters"
    if table is None:
        yield "show-table", "show() without table: give the data behind the figure"


# Which argument of which function is read by people: its name; its place is the second.
SPEAKERS = {"tell": "template", "show": "alt", "show_table": "caption"}


def _spoken_numbers(node: ast.Call, name: str) -> Iterator[Message]:
    """Typed numbers in the constant parts of a text; what is filled in is not typed."""
    text = _argument(node, SPEAKERS[name], 1)
    parts = (
        [text] if isinstance(text, ast.Constant) else text.values if isinstance(text, ast.JoinedStr) else []
    )
    words = "".join(str(part.value) if isinstance(part, ast.Constant) else "{filled.in}" for part in parts)
    for message in typed_numbers(FIELD.sub(" … ", words)):
        yield "typed-number", f"{name}(): {message}"


DIFFERENCE = re.compile(r"\{([a-z0-9._-]*(?:gain|minus|change)[a-z0-9._-]*):(?:ci )?pct\}")


def _differences_in_percent(node: ast.Call) -> Iterator[Message]:
    """A difference of two percentages is in points; only a level, or a share of something, is in per cent."""
    text = _argument(node, "template", 1)
    if isinstance(text, ast.Constant):
        for name in DIFFERENCE.findall(str(text.value)):
            if "share" not in name:
                yield "points", f"{{{name}}} is a difference: tell it with :pts, not :pct"


def _bare_figure(tree: ast.Module) -> Iterator[Message]:
    last = tree.body[-1] if tree.body else None
    if isinstance(last, ast.Expr) and isinstance(last.value, ast.Name) and last.value.id.startswith("fig"):
        yield "figure-past-show", f"a bare {last.value.id!r} at the end: use show(fig, alt=..., table=...)"
