"""Read text that people or installations can damage, and say which file, which line, and what to do.

Files that ship with the package are read by the functions called `shipped_...`, everything else by
`read_text`. All text is UTF-8, whatever the machine's own encoding is.
"""

import csv
import json
import tomllib
from collections.abc import Callable, Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar

from k2repro.errors import K2ReproError

Item = TypeVar("Item")
REPAIR = (
    "This file comes with the package. Usual cause: a damaged installation; reinstall k2repro, "
    "or in a checkout `git checkout -- k2repro`"
)


def read_text(path: Path | Traversable, repair: str = "") -> str:
    """A whole text file; K2ReproError when it does not exist or is not UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        cause = repair or "Usual cause: saved by a spreadsheet in another encoding; save it as UTF-8"
        raise K2ReproError(f"{path.name} is not UTF-8 text (byte {error.start}). {cause}") from None
    except FileNotFoundError:
        raise K2ReproError(f"{path.name} does not exist. {repair}".rstrip()) from None


def shipped_text(package: str, name: str) -> str:
    """A file of the package, such as `shipped_text("k2repro.paper", "claims.toml")`, never empty."""
    text = read_text(resources.files(package) / name, REPAIR)
    if not text.strip():
        raise K2ReproError(f"{name} is empty. {REPAIR}")
    return text


def shipped_toml(package: str, name: str, sections: Sequence[str] = ()) -> dict[str, Any]:
    """A TOML file of the package that holds all of `sections` at its top."""
    try:
        content = tomllib.loads(shipped_text(package, name))
    except tomllib.TOMLDecodeError as error:
        raise K2ReproError(f"{name} is not TOML: {error}. {REPAIR}") from None
    for section in sections:
        if section not in content:
            raise K2ReproError(f"{name} lacks {section!r}. {REPAIR}")
    return content


def shipped_json(package: str, name: str) -> Any:
    """The content of a JSON file of the package."""
    text = shipped_text(package, name)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise K2ReproError(f"{name} is not JSON: {error}. {REPAIR}") from None


def shipped_lines(package: str, name: str, read: Callable[[dict[str, str]], Item]) -> list[Item]:
    """Every line of a CSV file of the package through `read`, which gets the cells by column.

    What `read` raises on a cell that is missing or no number is told with the line; no line is left out.
    """
    items = []
    for number, line in enumerate(csv.DictReader(shipped_text(package, name).splitlines()), start=2):
        try:
            if None in line or None in line.values():
                raise K2ReproError("another number of cells than columns")
            items.append(read(line))
        except KeyError as error:
            raise K2ReproError(f"{name} has no column {error}. {REPAIR}") from None
        except (ValueError, TypeError, ArithmeticError) as error:
            raise K2ReproError(f"{name} line {number}: {error}. {REPAIR}") from None
    if not items:
        raise K2ReproError(f"{name} holds no lines below its header. {REPAIR}")
    return items
