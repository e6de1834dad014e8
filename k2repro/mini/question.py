"""Reading a question of the family `variables` that a person typed, and saying what is wrong with it.

The language is that of `k2repro.mini.variables`: ` q=7 m: - p i i=4 p: + q i ? m p`. White space may be
any; everything else must be as the models have seen it, or their answer means nothing.
"""

import re

from k2repro.errors import K2ReproError
from k2repro.mini.variables import ASKED, LETTERS, Definition, System

EXAMPLE = "q=7 m: - p i i=4 p: + q i ? m p"
LANGUAGE = (
    f"mini-K2 reads one language only: values (q=7), definitions (m: - p i, with + - or * and two names), "
    f"then ? and one to {ASKED} names to find, all modulo 10, names from {LETTERS[0]} to {LETTERS[-1]}. "
    f"Example: {EXAMPLE!r}"
)
VALUE = re.compile(rf"([{LETTERS}])=([0-9])")
HEAD = re.compile(rf"([{LETTERS}]):")


def read_question(text: str) -> System:
    """The system behind a question, definitions in an order in which they can be evaluated.

    Raises K2ReproError that says what is accepted, with an example: for words outside the language, names
    that are defined twice or not at all, definitions that go in a circle, questions that ask nothing.
    """
    listing, mark, asked_text = text.partition("?")
    asked = tuple(asked_text.split())
    values, definitions, listed = _definitions(listing.split())
    if not mark or not asked:
        raise _outside("it asks for nothing; a question ends in ? and the names to find")
    known = {*values, *definitions}
    for name in (*asked, *(operand for found in definitions.values() for operand in found[1:])):
        if name not in known:
            raise _outside(f"{name!r} is used and never defined")
    if len(asked) > ASKED or len(set(asked)) < len(asked):
        raise _outside(f"it asks for {' '.join(asked)}; ask for at most {ASKED} different names")
    return System(values, definitions, tuple(listed), asked, tuple(_in_order(asked, values, definitions)))


def _definitions(words: list[str]) -> tuple[dict[str, int], dict[str, Definition], list[str]]:
    values: dict[str, int] = {}
    definitions: dict[str, Definition] = {}
    listed: list[str] = []
    at = 0
    while at < len(words):
        value, head = VALUE.fullmatch(words[at]), HEAD.fullmatch(words[at])
        name = (value or head or [""] * 2)[1]
        if name in listed:
            raise _outside(f"{name!r} is defined twice")
        if value:
            values[name], at = int(value[2]), at + 1
        elif head:
            definitions[name], at = _operation(name, words[at + 1 : at + 4]), at + 4
        else:
            raise _outside(
                f"{words[at]!r} is neither a value such as q=7 nor the begin of a definition such as m:"
            )
        listed.append(name)
    return values, definitions, listed


def _operation(name: str, words: list[str]) -> Definition:
    if len(words) < 3 or words[0] not in "+-*" or any(len(w) != 1 or w not in LETTERS for w in words[1:]):
        raise _outside(f"after {name}: come + - or * and two names, not {' '.join(words)!r}")
    if words[1] == words[2]:
        raise _outside(f"{name}: uses {words[1]} twice; the models have only seen two different names")
    return words[0], words[1], words[2]


def _in_order(
    asked: tuple[str, ...], values: dict[str, int], definitions: dict[str, Definition]
) -> list[str]:
    """What has to be evaluated, operands first."""
    order: list[str] = []
    open_names: set[str] = set()

    def visit(name: str) -> None:
        if name in values or name in order:
            return
        if name in open_names:
            raise _outside(f"the definition of {name!r} goes in a circle")
        open_names.add(name)
        for operand in definitions[name][1:]:
            visit(operand)
        order.append(name)

    for name in asked:
        visit(name)
    return order


def _outside(what: str) -> K2ReproError:
    return K2ReproError(f"this is not a question that mini-K2 can read: {what}. {LANGUAGE}")
