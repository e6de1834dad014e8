"""`k2repro bench`: run benches by name and print their records."""

import importlib
import json
from collections.abc import Callable, Sequence
from typing import Any

from k2repro.bench import BENCHES
from k2repro.errors import unknown
from k2repro.tables import Table

Records = list[dict[str, Any]]


def run_benches(names: Sequence[str], *, as_json: bool) -> str:
    """Records of the named benches (all without names), as JSON or as aligned text.

    Raises K2ReproError for a name that does not exist, before anything is timed.
    """
    for name in names:
        if name not in BENCHES:
            raise unknown("bench", name, BENCHES)
    results: dict[str, Records] = {}
    for name in names or BENCHES:
        module, function = BENCHES[name].split(":")
        bench: Callable[[], Records] = getattr(importlib.import_module(module), function)
        results[name] = bench()
    if as_json:
        return json.dumps(results, indent=1)
    return "\n\n".join(f"{name}\n{_table(records).as_text(rule=False)}" for name, records in results.items())


def _table(records: Records) -> Table:
    """Three digits: a ratio of two timings is not worth more."""
    rounded = [
        {key: f"{value:.3g}" if isinstance(value, float) else value for key, value in record.items()}
        for record in records
    ]
    return Table.of_records(rounded)
