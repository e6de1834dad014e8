"""Signs that several notebooks share, so that one thing looks the same in all of them."""

from typing import Any

from k2repro.evaluate.effects import Effect
from k2repro.lab.pools import KINDS
from k2repro.mini.mistakes import RIGHT
from k2repro.notebook.palette import PALETTE
from k2repro.pictures.style import HATCHES
from k2repro.results.rows import Row


def mistake_mark(kind: str) -> dict[str, Any]:
    """Colour and hatch of a kind of first mistake: the same wherever it is drawn."""
    place = [each for each in KINDS if each != RIGHT].index(kind)
    colour, hatch = PALETTE[place % len(PALETTE)], HATCHES[place % len(HATCHES)]
    return {"color": colour, "pattern": {"shape": hatch}}


def bounds(number: Effect | Row) -> tuple[float, float]:
    """Low and high end of the interval of an effect or a row; both its value where a row has none."""
    if isinstance(number, Effect):
        return number.interval.low, number.interval.high
    return number.interval or (number.value, number.value)
