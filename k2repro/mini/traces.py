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

In a *marked* search each look-up names its variable before it says anything about it, ` i?`:

    m: - p i ? p? p=3 i? i: + q p m q? q=7 p? p=3 i=0 m: - p i ? p? p=3 i? i=0 m=3

Without marks one token says both which variable comes next and whether it is known. Most of what was left of
the loss of every seed that fell behind lay on that token. With marks on the asked variables alone that was
learned twice, behind a mark and elsewhere, and some seeds had learned the one and not the other: one was
wrong in 11 of 100 cases behind a mark and in none elsewhere, one in 5 of 100 elsewhere and in none behind.
Along a marked plan a step ends by its place there, ` m? m: - p i p=3 i=0 m=3 ok m?`: what stands behind that
mark in the plan comes next, letter for letter. Without it that was looked for from the result, a digit; one
seed of four had not learned to in 4,000 steps, and counted steps. Without the word ` ok` a mark meant two
things, "now look this up" and "what comes behind it?", and searching drove following out.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from k2repro.mini.variables import MODULUS, System, answer_text, apply, definition_text

NOTE, EVALUATE, RECALL = "note", "evaluate", "recall"
# What a note goes back to that nobody opened: the question.
QUESTION = "?"


class Move(NamedTuple):
    """One move of the search.

    action  NOTE copies a definition, EVALUATE looks up its operands and computes, RECALL repeats a known
            value: a first operand whose partner has to be opened, or an asked variable
    name    the variable
    back    of a note: who needs it, or QUESTION
    """

    action: str
    name: str
    back: str = ""


def searching_trace(system: System, *, marked: bool = False) -> str:
    """Depth first from the asked variables, in the asked order.

    marked: each look-up names its variable first, ` m?`. A return to a note looks nothing up.
    """
    return _written(search_order(system), system, system.solve(), marked=marked)


def planned_trace(system: System, *, marked: bool = False) -> str:
    """Evaluations only, in the order of `system.needed`.

    marked: each step begins with the mark of its name and ends by its place in the plan. Its operands have no
    mark: along a plan every look-up is for what is known.
    """
    found = system.solve()
    steps = ((name, step_text(name, system, found)) for name in system.needed)
    return "".join(f" {name}?{step} ok {name}?" if marked else step for name, step in steps)


def _written(moves: Sequence[Move], system: System, found: Mapping[str, int], *, marked: bool) -> str:
    """Moves as text, with the values `found`."""
    noted: set[str] = set()
    parts = []
    for move in moves:
        returns = move.action == NOTE and move.name in noted
        parts.append(_text(move, system, found, marked=marked and not returns))
        noted.add(move.name)
    return "".join(parts)


def search_order(system: System) -> list[Move]:
    """What the search does, move by move."""
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
        moves.extend([Move(RECALL, name)] if name in known else visit(name, QUESTION))
    return moves


def step_text(name: str, system: System, found: Mapping[str, int]) -> str:
    """One whole step: definition, operands with their values, result."""
    return "".join(_text(Move(action, name), system, found) for action in (NOTE, EVALUATE))


def _text(move: Move, system: System, found: Mapping[str, int], *, marked: bool = False) -> str:
    name = move.name
    mark = f" {name}?" if marked else ""
    if move.action == NOTE:
        return mark + definition_text(name, system.definitions[name]) + (f" {move.back}" if move.back else "")
    if move.action == RECALL:
        return f"{mark} {name}={found[name]}"
    operands = [Move(RECALL, operand) for operand in system.definitions[name][1:]]
    looked_up = "".join(_text(each, system, found, marked=marked) for each in operands)
    return f"{looked_up} {name}={found[name]}"


def sloppy_response(system: System, rng: random.Random, wrong: float, *, marked: bool = False) -> str:
    """A searching response in which each result is wrong with probability `wrong`, errors carried on."""
    found = dict(system.values)
    moves = search_order(system)
    for move in moves:
        if move.action == EVALUATE:
            operator, first, second = system.definitions[move.name]
            found[move.name] = apply(operator, found[first], found[second])
            if rng.random() < wrong:
                found[move.name] = (found[move.name] + rng.randint(1, MODULUS - 1)) % MODULUS
    answer = "".join(f" {name}={found[name]}" for name in system.asked)
    return response_text(_written(moves, system, found, marked=marked), answer)


def response_text(trace: str, answer: str) -> str:
    """The assistant's turn in the form of the real system: thinking, then the answer."""
    return f"<think>{trace}</think><answer>{answer}</answer>"


def searching_response(system: System, *, marked: bool = False) -> str:
    return response_text(searching_trace(system, marked=marked), answer_text(system))


def planned_response(system: System, *, marked: bool = False) -> str:
    return response_text(planned_trace(system, marked=marked), answer_text(system))


def direct_response(system: System) -> str:
    return response_text("", answer_text(system))
