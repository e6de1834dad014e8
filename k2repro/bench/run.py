"""`k2repro bench`: run benches by name and print their records."""

import importlib
import json
from collections.abc import Callable, Sequence
from typing import Any

from k2repro.bench import BENCHES
from k2repro.errors import unknown

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
    return "\n\n".join(f"{name}\n{_aligned(records)}" for name, records in results.items())


def _aligned(records: Records) -> str:
    columns = list(dict.fromkeys(key for record in records for key in record))
    lines = [columns, *([_cell(record.get(column)) for column in columns] for record in records)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(columns))]
    return "\n".join(
        "  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def _cell(value: Any) -> str:
    return "—" if value is None else f"{value:.3g}" if isinstance(value, float) else str(value)
