"""The parameters cell: the one place where a reader changes a value, and the change counts.

    profile = "laptop"
    context_length = 32768  # 1 .. 131072 tokens
    seeds = [0, 1, 2]  # 0 .. 1000

A value may carry its range behind `#`; for a list it is the range of each member. A built notebook
holds the values that it was run with in this very cell: nothing is injected after it, so an edit is
never overridden. A value that still is the default follows the profile, so that
`papermill 02_sft.ipynb out.ipynb -p profile smoke` runs at the sizes of smoke.
"""

import ast
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from k2repro.errors import K2ReproError, unknown
from k2repro.results.places import Places
from k2repro.results.profiles import load_profile, profile_names

CELL = re.compile(r"^# %%(?P<head>.*)$", re.MULTILINE)
TAGGED = re.compile(r"tags=\[[^\]]*[\"']parameters[\"'][^\]]*\]")
RANGE = re.compile(r"#\s*(-?[\d.e+]+)\s*\.\.\s*(-?[\d.e+]+)")


@dataclass(frozen=True)
class Parameter:
    """One declared parameter: its default, and the range of the number or of a list's members."""

    name: str
    default: Any
    low: float = -math.inf
    high: float = math.inf

    def check(self, value: Any, notebook: str) -> Any:
        """The value, if type and range fit; raises K2ReproError that names value, rule and cell."""
        where = f"{notebook}: parameter {self.name} = {value!r}"
        if not _same_kind(value, self.default):
            raise K2ReproError(
                f"{where} is {_kind(value)}, its default {self.default!r} is {_kind(self.default)}. "
                "Change it in the parameters cell, the first code cell"
            )
        members = value if isinstance(value, list) else [value]
        if isinstance(value, list) and not value:
            raise K2ReproError(f"{where} is empty; at least one member is needed")
        for member in members:
            if isinstance(self.default, list) and not _same_kind(member, self.default[0]):
                raise K2ReproError(f"{where}: the member {member!r} is {_kind(member)}")
            if isinstance(member, int | float) and not self.low <= member <= self.high:
                raise K2ReproError(f"{where}: {member!r} is outside {self.low:g} .. {self.high:g}")
        return value


def _same_kind(value: Any, default: Any) -> bool:
    if isinstance(value, bool) or isinstance(default, bool):
        return type(value) is type(default)
    if isinstance(default, float):
        return isinstance(value, int | float)
    return type(value) is type(default)


def _kind(value: Any) -> str:
    return type(value).__name__


def parameters_cell(path: Path) -> str:
    """The text of the one cell tagged `parameters` in a py:percent source."""
    text = path.read_text(encoding="utf-8")
    heads = [*CELL.finditer(text)]
    ends = [head.start() for head in heads[1:]] + [len(text)]
    found = [
        text[head.end() : end].strip("\n")
        for head, end in zip(heads, ends, strict=True)
        if TAGGED.search(head["head"])
    ]
    if len(found) != 1:
        raise K2ReproError(f"{path.name}: {len(found)} cells are tagged 'parameters'; exactly one is needed")
    return found[0]


def declared(path: Path) -> dict[str, Parameter]:
    """Every parameter of a source by name; anything but `name = literal` raises K2ReproError.

    Papermill's own inspection misses a parameter whose comment holds `=`, so the cell is parsed here.
    """
    cell = parameters_cell(path)
    lines = cell.splitlines()
    found = {}
    for node in ast.parse(cell).body:
        name, default = _literal(node, path)
        bounds = RANGE.search(lines[(node.end_lineno or node.lineno) - 1])
        low, high = (float(bounds[1]), float(bounds[2])) if bounds else (-math.inf, math.inf)
        found[name] = Parameter(name, default, low, high)
    if "profile" not in found:
        raise K2ReproError(f"{path.name}: the parameters cell lacks `profile`")
    return found


def _literal(node: ast.stmt, path: Path) -> tuple[str, Any]:
    if not (
        isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name)
    ):
        raise K2ReproError(f"{path.name}: parameters cell line {node.lineno} is not `name = literal`")
    name = node.targets[0].id
    try:
        return name, ast.literal_eval(node.value)
    except ValueError:
        raise K2ReproError(
            f"{path.name}: parameter {name!r} is not a literal. "
            "Derive values in the next cell: papermill overrides literals only"
        ) from None


def resolve_parameters(path: Path, profile: str, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Defaults of the source, overridden; unknown names, other types and ranges raise K2ReproError."""
    known = declared(path)
    values = {name: parameter.default for name, parameter in known.items()} | {"profile": profile}
    for name, value in overrides.items():
        if name not in known:
            raise unknown(f"parameter of {path.stem}", name, known)
        values[name] = known[name].check(value, path.stem)
    return values


def fold(cell: str, values: Mapping[str, Any]) -> str:
    """The parameters cell with `values` written into it; comments and order stay.

    >>> fold("size = 4  # 1 .. 9", {"size": 7})
    'size = 7  # 1 .. 9'
    """
    lines = cell.splitlines()
    for node in reversed(ast.parse(cell).body):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            name, old = node.targets[0].id, node.value
            if name in values and ast.literal_eval(old) != values[name]:
                first, last = old.lineno - 1, (old.end_lineno or old.lineno) - 1
                tail = lines[last][old.end_col_offset :]
                lines[first : last + 1] = [lines[first][: old.col_offset] + repr(values[name]) + tail]
    return "\n".join(lines)


def checked_parameters(notebook: str, namespace: Mapping[str, Any]) -> dict[str, Any]:
    """The notebook's parameters as they count: checked, and defaults replaced by the profile's sizes.

        globals().update(checked_parameters("02_sft", globals()))

    notebook    name of the source, without the ending
    namespace   where the parameters cell left its values
    Raises K2ReproError when the cell was not run, for an unknown profile, a wrong type or range.
    """
    path = Places.find().sources / f"{notebook}.py"
    known = declared(path)
    missing = [name for name in known if name not in namespace]
    if missing:
        raise K2ReproError(f"{notebook}: {', '.join(missing)} not set. Run the parameters cell first")
    profile = namespace["profile"]
    if profile not in profile_names():
        raise unknown("profile", profile, profile_names())
    planned = load_profile(profile).plan(notebook).parameters
    values = {}
    for name, parameter in known.items():
        value = parameter.check(namespace[name], notebook)
        values[name] = planned.get(name, value) if value == parameter.default else value
    return values
