"""What models, devices, number formats and engines are also called: `data/names.toml`."""

import functools
from typing import Any

from k2repro.reading import shipped_toml


@functools.cache
def load_names() -> dict[str, Any]:
    """Sections models, devices and precisions (other name -> name), and the groups of engines, in order."""
    sections = ("engines", "models", "devices", "precisions")
    return shipped_toml("k2repro.wafer", "data/names.toml", sections)
