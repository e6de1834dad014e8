"""Plotly's number formats in Python: the part of d3-format and of text templates that figures use."""

import math
import re
from typing import Any

from k2repro.errors import K2ReproError, unknown

SPEC = re.compile(r"([+\- (]?)(\$?)(0?)(\d*)(,?)(?:\.(\d+))?(~?)([a-z%]?)", re.IGNORECASE)
PLACEHOLDER = re.compile(r"%\{([a-zA-Z0-9_\[\]]+)(?::([^}]*))?\}")
SUFFIXES = [(1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "k")]


def format_tick(value: float, record: dict[str, Any]) -> str:
    """Label of one tick under an axis or colour bar record."""
    spec = record.get("tickformat")
    text = format_d3(value, spec) if spec else plain_number(value)
    return f"{record.get('tickprefix') or ''}{text}{record.get('ticksuffix') or ''}"


def plain_number(value: float) -> str:
    """Plotly's own choice: plain below ten thousand, with k, M, B, T above, µ, n below a millionth.

    >>> plain_number(2500), plain_number(32_000), plain_number(0.30000000000000004)
    ('2500', '32k', '0.3')
    """
    if value == 0 or not math.isfinite(value):
        return "0" if value == 0 else ""
    for size, suffix in SUFFIXES:
        if abs(value) >= size and abs(value) >= 1e4:
            return f"{value / size:.6g}{suffix}".replace("-", "−")
    for size, suffix in ((1e-6, "µ"), (1e-9, "n")):
        if abs(value) < 1e-4 and abs(value) >= size * 0.9999:
            return f"{value / size:.6g}{suffix}".replace("-", "−")
    return f"{value:.6g}".replace("-", "−")


def format_d3(value: float, spec: str) -> str:
    """A number under a d3 format such as `,.1f`, `.0%`, `.2s` or `~g`.

    Raises K2ReproError for a spec outside this part of https://d3js.org/d3-format.
    """
    match = SPEC.fullmatch(spec)
    if match is None:
        raise K2ReproError(
            f"show: number format {spec!r} is not known; use one such as ',.1f', '.0%' or '.2s'"
        )
    sign, dollar, zero, width, comma, digits, trim, kind = match.groups()
    if kind == "s":
        text = _with_suffix(value, int(digits) if digits else 6, trim == "~")
    else:
        precision = f".{digits}" if digits else ""
        if kind == "d" or (not kind and not digits and float(value).is_integer()):
            precision, kind = ".0", "f"
        text = format(value, f"{sign.replace('(', '')}{zero}{width}{comma}{precision}{kind or 'g'}")
        if trim and "." in text:
            text = re.sub(r"\.?0+(?=%?$)", "", text)
    return (dollar + text).replace("-", "−")


def _with_suffix(value: float, digits: int, trim: bool) -> str:
    """d3's `s`: significant digits and an SI prefix (G for a thousand million)."""
    for size, suffix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1, ""), (1e-3, "m"), (1e-6, "µ")):
        if abs(value) >= size:
            text = f"{value / size:#.{digits}g}".rstrip(".")
            return (re.sub(r"\.?0+$", "", text) if trim and "." in text else text) + suffix
    return f"{value:.{digits}g}"


def fill_template(pattern: str, values: dict[str, Any]) -> str:
    """A plotly texttemplate such as `%{y:.1%}` with one point's values."""

    def one(match: re.Match[str]) -> str:
        name, spec = match.groups()
        if name not in values:
            raise unknown("texttemplate variable", name, values)
        value = values[name]
        if value is None:
            return ""
        if isinstance(value, str | bool):
            return str(value)
        return format_d3(value, spec) if spec else plain_number(value)

    return PLACEHOLDER.sub(one, pattern)
