"""Profiles: named sets of parameters. Sizes and seeds change, code paths do not.

A profile is `profiles/<name>.toml` and holds values only:

    name = "smoke"
    description = "proves the path, not the science"
    threads = 2

    [lab]
    seeds = 1

    [notebooks.01_architecture]
    budget_seconds = 60
    budget_memory_mb = 1500
    expect = ["architecture.k2-think.parameters.total"]
    parameters = { context_length = 2048 }
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from k2repro.errors import K2ReproError, unknown
from k2repro.reading import read_text
from k2repro.results.places import Places


@dataclass(frozen=True)
class NotebookPlan:
    """What one profile asks of one notebook.

    budget_seconds     on an idle machine; the run fails when it uses more processor time than `threads`
                       processors give in 1.5 times as long
    budget_memory_mb   the run fails beyond 1.5 times as much
    expect                             row ids that must exist after the run
    parameters                         papermill parameters; each must be declared in the notebook
    """

    budget_seconds: int
    budget_memory_mb: int
    expect: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Profile:
    """A named set of parameters for every notebook.

    threads  part of the fingerprint
    lab      how large the experiments on mini-K2 are: fields of `k2repro.lab.scale.Scale`, the others at
             their defaults
    """

    name: str
    description: str
    threads: int
    notebooks: Mapping[str, NotebookPlan]
    lab: Mapping[str, Any] = field(default_factory=dict)

    def plan(self, notebook: str) -> NotebookPlan:
        if notebook not in self.notebooks:
            raise unknown(f"notebook in profile {self.name!r}", notebook, self.notebooks)
        return self.notebooks[notebook]


def profile_names(profiles: Path | None = None) -> list[str]:
    """Names of the profiles that exist."""
    return sorted(path.stem for path in (profiles or Places.find().profiles).glob("*.toml"))


def load_profile(name: str, profiles: Path | None = None) -> Profile:
    """Read and validate `profiles/<name>.toml`; unknown profile, key or wrong type raise K2ReproError."""
    folder = profiles or Places.find().profiles
    path = folder / f"{name}.toml"
    if not path.is_file():
        raise unknown("profile", name, profile_names(folder))
    try:
        content = tomllib.loads(read_text(path))
    except tomllib.TOMLDecodeError as error:
        raise K2ReproError(f"{path.name} is not TOML: {error}") from None
    types = {"name": str, "description": str, "threads": int, "notebooks": dict, "lab": dict}
    _check_keys(path.name, content, types, optional={"lab"})
    if content["name"] != name:
        raise K2ReproError(f"{path.name} says name = {content['name']!r}; the file name must agree")
    if content["threads"] < 1:
        raise K2ReproError(f"{path.name}: threads = {content['threads']}; at least 1")
    plans = {
        key: _plan(f"{path.name} [notebooks.{key}]", value) for key, value in content["notebooks"].items()
    }
    return Profile(name, content["description"], content["threads"], plans, content.get("lab", {}))


def _plan(place: str, content: dict[str, Any]) -> NotebookPlan:
    types = {"budget_seconds": int, "budget_memory_mb": int, "expect": list, "parameters": dict}
    _check_keys(place, content, types, optional={"expect", "parameters"})
    return NotebookPlan(
        budget_seconds=content["budget_seconds"],
        budget_memory_mb=content["budget_memory_mb"],
        expect=tuple(content.get("expect", ())),
        parameters=dict(content.get("parameters", {})),
    )


def _check_keys(place: str, content: dict[str, Any], types: dict[str, type], optional: set[str]) -> None:
    for key in content:
        if key not in types:
            raise unknown(f"key in {place}", key, types)
    for key, kind in types.items():
        if key not in content:
            if key in optional:
                continue
            raise K2ReproError(f"{place} lacks the key {key!r} ({kind.__name__})")
        if type(content[key]) is not kind:
            raise K2ReproError(f"{place}: {key} = {content[key]!r} is not of type {kind.__name__}")
