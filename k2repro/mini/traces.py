"""Reference responses of the family `variables`: what a model is taught to write.

    searching   no plan: note a definition, look its operands up one after the other, open the first that is
                unknown, come back, evaluate when all are known
    planned     with a plan in the question: evaluate straight through in the plan's order
    direct      the answer without any reasoning
    sloppy      searching, with some steps wrong: part of the weak mixture behind the base model

A step of evaluation copies the definition, looks up the operands and computes: ` m: - p i p=3 i=4 m=9`. If i
is not known yet, the search breaks off there and opens i. A note then says where to go back to: `?` for the
question, or who needs it:

    m: - p i ? p=3 i: + q p m q=7 p=3 i=0 m: - p i ? p=3 i=0 m=3

So every decision is about one operand: is it known or not. (With both decided at once, before any look-up,
some seeds never learned to tell.) And the stack of a search is written out: where to go on after i is the
last word of i's note. Without it a return had to be found by looking for whoever noted i as an operand; after
the same training that was right in 55 to 73 of 100 cases on tier-4, and it was what limited every tier.
"""

import random
from collections.abc import Iterator
from typing import NamedTuple

from k2repro.mini.variables import MODULUS, System, answer_text, apply, definition_text

NOTE, EVALUATE, RECALL, ASKED = "note", "evaluate", "recall", "asked"
# What a note goes back to that nobody opened: the question.
QUESTION = "?"


class Move(NamedTuple):
    """One move of the search.

    action  NOTE copies a definition, EVALUATE looks up its operands and computes, RECALL repeats a known
            value: a first operand whose partner has to be opened, or an asked variable; ASKED marks the next
            asked variable before anything is said about it
    name    the variable
    back    of a note: who needs it, or QUESTION
    """

    action: str
    name: str
    back: str = ""


def searching_trace(system: System, *, marked: bool = False) -> str:
    """Depth first from the asked variables, in the asked order.

    marked: each asked variable is named first, ` m?`. Without it "which is next" and "is it known already"
    are decided in one token. In three seeds that was wrong in 8 to 35 of a hundred cases, and most of what
    was left of their loss.
    """
    found = system.solve()
    return "".join(_text(move, system, found) for move in search_order(system, marked=marked))


def planned_trace(system: System) -> str:
    """Evaluations only, in the order of `system.needed`."""
    found = system.solve()
    return "".join(step_text(name, system, found) for name in system.needed)


def search_order(system: System, *, marked: bool = False) -> list[Move]:
    """What the search does, move by move; marked: see `searching_trace`."""
    known = set(system.values)

    def visit(name: str, back: str) -> Iterator[Move]:
        yield Move(NOTE, name, back)
        first, second = system.definitions[name][1:]
        if first not in known:
            yield from visit(first, name)
            yield Move(NOTE, name, back)
        if second not in known:
            yield Move(RECALL, first)
            yield from visit(second, name)
            yield Move(NOTE, name, back)
        known.add(name)
        yield Move(EVALUATE, name)

    moves: list[Move] = []
    for name in system.asked:
        if marked:
            moves.append(Move(ASKED, name))
        moves.extend([Move(RECALL, name)] if name in known else visit(name, QUESTION))
    return moves


def step_text(name: str, system: System, found: dict[str, int]) -> str:
    """One whole step: definition, operands with their values, result."""
    return "".join(_text(Move(action, name), system, found) for action in (NOTE, EVALUATE))


def _text(move: Move, system: System, found: dict[str, int]) -> str:
    name = move.name
    if move.action == NOTE:
        return definition_text(name, system.definitions[name]) + (f" {move.back}" if move.back else "")
    if move.action == ASKED:
        return f" {name}?"
    if move.action == RECALL:
        return f" {name}={found[name]}"
    operands = "".join(f" {operand}={found[operand]}" for operand in system.definitions[name][1:])
    return f"{operands} {name}={found[name]}"


def sloppy_response(system: System, rng: random.Random, wrong: float) -> str:
    """A searching response in which each result is wrong with probability `wrong`, errors carried on."""
    found = dict(system.values)
    parts = []
    for move in search_order(system):
        if move.action == EVALUATE:
            operator, first, second = system.definitions[move.name]
            found[move.name] = apply(operator, found[first], found[second])
            if rng.random() < wrong:
                found[move.name] = (found[move.name] + rng.randint(1, MODULUS - 1)) % MODULUS
        parts.append(_text(move, system, found))
    answer = "".join(f" {name}={found[name]}" for name in system.asked)
    return response_text("".join(parts), answer)


def response_text(trace: str, answer: str) -> str:
    """The assistant's turn in the form of the real system: thinking, then the answer."""
    return f"<think>{trace}</think><answer>{answer}</answer>"


def searching_response(system: System, *, marked: bool = False) -> str:
    return response_text(searching_trace(system, marked=marked), answer_text(system))


def planned_response(system: System) -> str:
    return response_text(planned_trace(system), answer_text(system))


def direct_response(system: System) -> str:
    return response_text("", answer_text(system))
