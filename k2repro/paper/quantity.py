"""An operand of a claim becomes a number: a fact, or a named quantity computed from facts.

In `claims.toml` an operand is a fact key, or a table such as

    { of = "difference", a = "table2.../+ Plan only/AIME 2024", b = "table2.../SFT+RL Checkpoint/AIME 2024" }

Operands may nest. A literal number is refused: what a claim is checked against has to be a fact.
"""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from k2repro.errors import K2ReproError, unknown
from k2repro.paper.facts import FactBook

Operand = str | Mapping[str, object]


@dataclass(frozen=True)
class Quantity:
    """A number with its unit and the formula that gave it, numbers filled in.

    is_fact   read, not computed; the formula is then the printed number
    """

    value: float
    unit: str
    formula: str
    is_fact: bool = False


def bind(kind: str, name: str, function: Callable[..., object], given: Mapping[str, object]) -> None:
    """Check that `given` are the arguments which `function` asks for; raises K2ReproError otherwise."""
    parameters = list(inspect.signature(function).parameters.values())[1:]
    known = [parameter.name for parameter in parameters]
    for key in given:
        if key not in known:
            raise unknown(f"argument of {kind} {name!r}", key, known)
    for parameter in parameters:
        if parameter.default is parameter.empty and parameter.name not in given:
            raise K2ReproError(f"{kind} {name!r} lacks the argument {parameter.name!r}")


def resolve(operand: object, book: FactBook, quantities: Mapping[str, Callable[..., Quantity]]) -> Quantity:
    """The operand's number; raises K2ReproError for literals, unknown names and missing cells."""
    if isinstance(operand, str):
        fact = book.fact(operand)
        return Quantity(book.number(operand), fact.unit, fact.printed, is_fact=True)
    if not isinstance(operand, Mapping) or "of" not in operand:
        raise K2ReproError(
            f"operand {operand!r} is neither a fact key nor a table with `of`. "
            "A number typed into a claim would make its verdict a constant; add a fact instead"
        )
    name = str(operand["of"])
    if name not in quantities:
        raise unknown("quantity", name, quantities)
    given = {key: value for key, value in operand.items() if key != "of"}
    bind("quantity", name, quantities[name], given)
    return quantities[name](book, **given)
