"""What was published, number by number: every cell of the paper's tables and figures as a `Fact`.

    book = load_facts()
    book.number("table2_test_time_ablation/+ Plan only/AIME 2024")      # 85.21
    with book.tracing() as used: ...                                    # which facts were read
    book.override({"table2_test_time_ablation/+ Plan only/AIME 2024": 87.0})

A key is `table/row/column`. A missing cell is a fact without a value; it is never filled in.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace

from k2repro.errors import K2ReproError, unknown
from k2repro.paper.confidence import Confidence, confidence

Value = float | str | None


@dataclass(frozen=True)
class Fact:
    """One published cell.

    printed      the characters in the data file: its decimals say how finely it was published
    value        a float where those characters are a number ("~2000" is 2000.0), else the text, else None
    confidence   one of the words in `confidence.CONFIDENCE`
    """

    table: str
    row: str
    column: str
    printed: str
    unit: str
    source: str
    confidence: str
    note: str = ""

    @property
    def key(self) -> str:
        return f"{self.table}/{self.row}/{self.column}"

    @property
    def value(self) -> Value:
        return parse_value(self.printed)

    @property
    def decimals(self) -> int:
        """Digits after the point as printed; 0 for a whole number."""
        return len(self.printed.partition(".")[2])

    @property
    def trust(self) -> Confidence:
        return confidence(self.confidence)


def parse_value(printed: str) -> Value:
    """Float, text or None; `~2000` is the number 2000 published as approximate."""
    if not printed:
        return None
    try:
        return float(printed.removeprefix("~"))
    except ValueError:
        return printed


class FactBook(Mapping[str, Fact]):
    """All facts by key, in the order of the files; remembers what was read while tracing."""

    def __init__(self, facts: Iterable[Fact]) -> None:
        self._facts: dict[str, Fact] = {}
        self._traces: list[set[str]] = []
        for fact in facts:
            if fact.key in self._facts:
                raise K2ReproError(
                    f"fact {fact.key!r} stands twice ({self._facts[fact.key].printed!r} and "
                    f"{fact.printed!r}). A key names one cell; rename the row or the column"
                )
            confidence(fact.confidence)
            self._facts[fact.key] = fact

    def __getitem__(self, key: str) -> Fact:
        return self.fact(key)

    def __iter__(self) -> Iterator[str]:
        return iter(self._facts)

    def __len__(self) -> int:
        return len(self._facts)

    def __contains__(self, key: object) -> bool:
        return key in self._facts

    def fact(self, key: str) -> Fact:
        """The fact under `key`, noted in every open trace; raises K2ReproError with near names."""
        if key not in self._facts:
            table = key.partition("/")[0]
            same_table = [name for name in self._facts if name.startswith(f"{table}/")]
            raise unknown("fact", key, same_table or sorted({f.table for f in self._facts.values()}))
        for trace in self._traces:
            trace.add(key)
        return self._facts[key]

    def value(self, key: str) -> Value:
        return self.fact(key).value

    def number(self, key: str) -> float:
        """The fact's number; raises K2ReproError when the cell is missing or holds text."""
        value = self.value(key)
        if not isinstance(value, float):
            state = "is missing" if value is None else f"holds the text {value!r}"
            raise K2ReproError(f"fact {key!r} {state}; a number is needed here")
        return value

    def text(self, key: str) -> str:
        """The characters as printed; raises K2ReproError when the cell is missing."""
        printed = self.fact(key).printed
        if not printed:
            raise K2ReproError(f"fact {key!r} is missing; its text is needed here")
        return printed

    def in_table(self, table: str) -> list[Fact]:
        """The facts of one table in file order, without noting them as read."""
        found = [fact for fact in self._facts.values() if fact.table == table]
        if not found:
            raise unknown("table of facts", table, {fact.table for fact in self._facts.values()})
        return found

    @contextmanager
    def tracing(self) -> Iterator[set[str]]:
        """Collect the keys that are read inside the block."""
        used: set[str] = set()
        self._traces.append(used)
        try:
            yield used
        finally:
            self._traces = [trace for trace in self._traces if trace is not used]

    def override(self, changes: Mapping[str, float | str | None]) -> "FactBook":
        """A new book in which some cells hold another value; unknown keys raise K2ReproError."""
        changed = dict(self._facts)
        for key, value in changes.items():
            self.fact(key)
            printed = "" if value is None else value if isinstance(value, str) else repr(value)
            changed[key] = replace(changed[key], printed=printed)
        return FactBook(changed.values())

    def hash_of(self, keys: Iterable[str]) -> str:
        """16 hexadecimal digits over the named cells and their confidence, whatever their order."""
        cells = [[key, self.fact(key).printed, self.fact(key).confidence] for key in sorted(set(keys))]
        return hashlib.sha256(json.dumps(cells).encode()).hexdigest()[:16]
