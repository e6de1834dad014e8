"""Public safety sets by name: where they lie, which column holds the prompt, which surface they test.

No prompt ships. Which sets stand behind the published table is known in part only (libra-eval names some),
so a mean over these sets is a measurement of its own; `data_cards/safety_sets.md` has sources and conditions.
"""

import csv
import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from k2repro.engine.backend import derived_seed
from k2repro.errors import K2ReproError, unknown
from k2repro.harness.benchmarks import numbered, text_of
from k2repro.harness.named import hub_rows
from k2repro.harness.safety import SafetyPrompt

HUMAN, ASSISTANT = "Human:", "\n\nAssistant:"


@dataclass(frozen=True)
class SafetySet:
    """One set. keep: (column, value) of the rows that are prompts to be tested, None for all."""

    title: str
    surface: str
    repository: str
    config: str | None
    split: str
    column: str
    keep: tuple[str, str] | None


@cache
def safety_sets() -> dict[str, SafetySet]:
    """The sets of data/safety_sets.csv, by name."""
    with (Path(__file__).parent / "data" / "safety_sets.csv").open(newline="", encoding="utf-8") as lines:
        return {row["name"]: _of(row) for row in csv.DictReader(lines)}


def _of(row: Mapping[str, str]) -> SafetySet:
    column, _, value = row["keep"].partition("=")
    return SafetySet(
        title=row["title"],
        surface=row["surface"],
        repository=row["repository"],
        config=row["config"] or None,
        split=row["split"],
        column=row["column"],
        keep=(column, value) if column else None,
    )


def load_safety_set(name: str, most: int | None = None) -> list[SafetyPrompt]:
    """The prompts of a set, from the hub; `most` of them, drawn the same way each time.

    Raises K2ReproError for an unknown name, for a hub that is not there, and for another schema.
    """
    if name not in safety_sets():
        raise unknown("safety set", name, safety_sets())
    known = safety_sets()[name]
    found = convert(name, hub_rows(known.title, known.repository, known.split, known.config))
    if most is None or most >= len(found):
        return found
    if most < 1:
        raise K2ReproError(f"--per-set {most}: must be at least 1 prompt")
    drawn = random.Random(derived_seed("safety set", name)).sample(range(len(found)), most)
    return [found[place] for place in sorted(drawn)]


def convert(name: str, rows: Iterable[Mapping[str, Any]]) -> list[SafetyPrompt]:
    """Rows of a set as prompts. Raises K2ReproError for a row of another schema, and when none is left."""
    known, found = safety_sets()[name], []
    for number, (place, row) in enumerate(numbered(rows, known.repository), 1):
        if known.keep is not None and text_of(place, row, known.keep[:1]) != known.keep[1]:
            continue
        text = opening(text_of(place, row, (known.column,)))
        found.append(SafetyPrompt(f"{name}/{number}", text, known.surface, name))
    if not found:
        raise K2ReproError(f"{known.repository}: no row is a prompt; usual cause: a changed schema")
    return found


def opening(text: str) -> str:
    """What a person asked first, where a set holds whole conversations; any other text as it is.

    >>> opening("Human: Hello?\\n\\nAssistant: Yes.\\n\\nHuman: Bye."), opening("Hello?")
    ('Hello?', 'Hello?')
    """
    if not text.startswith(HUMAN):
        return text
    return text.removeprefix(HUMAN).partition(ASSISTANT)[0].strip()
