"""`k2repro bench`: run benches by name and print their records."""

import importlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from k2repro.bench import BENCHES, ON_REQUEST
from k2repro.errors import unknown
from k2repro.tables import Table

Records = list[dict[str, Any]]


def run_benches(names: Sequence[str], found: dict[str, Records]) -> None:
    """Put the records of the named benches (all but ON_REQUEST without names) into `found`.

    Each as soon as it is there: whatever ends a run early, `found` holds what was finished. Raises
    K2ReproError for a name that does not exist, before anything is timed.
    """
    for name in names:
        if name not in BENCHES:
            raise unknown("bench", name, BENCHES)
    for name in names or [each for each in BENCHES if each not in ON_REQUEST]:
        module, function = BENCHES[name].split(":")
        bench: Callable[[], Iterable[dict[str, Any]]] = getattr(importlib.import_module(module), function)
        records = found.setdefault(name, [])
        for record in bench():
            records.append(record)


def bench_text(found: Mapping[str, Records], *, as_json: bool) -> str:
    """Records as JSON, or as aligned text: a table for each bench, and for each kind of its records."""
    if as_json:
        return json.dumps(found, indent=1)
    return "\n\n".join(
        "\n\n".join([f"{name}\n{tables[0]}", *tables[1:]])
        for name, records in found.items()
        if (tables := [_table(kind).as_text(rule=False) for kind in _kinds(records)])
    )


def _kinds(records: Records) -> list[Records]:
    """Records that say the same of different things stand together."""
    kinds: dict[tuple[str, ...], Records] = {}
    for record in records:
        kinds.setdefault(tuple(record), []).append(record)
    return list(kinds.values())


def _table(records: Records) -> Table:
    """Three digits: a ratio of two timings is not worth more. The name of the bench stands above."""
    rounded = [
        {
            key: f"{value:.3g}" if isinstance(value, float) else value
            for key, value in record.items()
            if key != "bench"
        }
        for record in records
    ]
    return Table.of_records(rounded)
