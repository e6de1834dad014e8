"""Sentences that fit what came out: a number that does not exist is not told."""

from collections.abc import Mapping
from typing import Any

from k2repro.notebook.text import FIELD


def words(rows: Mapping[str, Any], template: str, otherwise: str) -> str:
    """`template` if every row in it exists, else `otherwise`: a share of no gain, say, is no number."""
    named = [match[1] for match in FIELD.finditer(template)]
    return template if all(name in rows for name in named) else otherwise
