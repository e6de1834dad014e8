"""Reference responses of the family `variables`: what a model is taught to write.

    searching   no plan: note a definition, look its operands up one after the other, open the first that is
                unknown, come back, evaluate when all are known
    planned     with a plan in the question: evaluate straight through in the plan's order
    direct      the answer without any reasoning
    sloppy      searching, with some steps wrong: part of the weak mixture behind the base model

A step of evaluation copies the definition, looks up the operands and computes: ` m: - p i p=3 i=4 m=9`. If i
is not known yet, the search breaks off there and opens i: ` m: - p i p=3 i: + q p q=7 p=3 i=0 m: - p i p=3
i=0 m=3`. So every decision is about one operand: is it known or not. (With both decided at once, before any
look-up, some seeds never learned to tell.) Coming back, the search notes the definition again, so that what
a step needs stands right before it: whoever opened i is the note in front of i's. Without that second note it
has to remember a stack, which a model of this size learns much later than everything else.
"""

import random
from collections.abc import Iterator

from k2repro.mini.variables import MODULUS, System, answer_text, apply, definition_text

NOTE, EVALUATE, RECALL = "note", "evaluate", "recall"


def searching_trace(system: System) -> str:
    """Depth first from the asked variables, in the asked order."""
    found = system.solve()
    return "".join(_text(action, name, system, found) for action, name in search_order(system))


def planned_trace(system: System) -> str:
    """Evaluations only, in the order of `system.needed`."""
    found = system.solve()
    return "".join(step_text(name, system, found) for name in system.needed)


def search_order(system: System) -> list[tuple[str, str]]:
    """What the search does, as (action, variable).

    NOTE copies a definition, EVALUATE looks up its operands and computes, RECALL repeats a known value: a
    first operand whose partner has to be opened, or an asked variable.
    """
    known = set(system.values)

    def visit(name: str) -> Iterator[tuple[str, str]]:
        yield NOTE, name
        first, second = system.definitions[name][1:]
        if first not in known:
            yield from visit(first)
            yield NOTE, name
        if second not in known:
            yield RECALL, first
            yield from visit(second)
            yield NOTE, name
        known.add(name)
        yield EVALUATE, name

    steps: list[tuple[str, str]] = []
    for name in system.asked:
        steps.extend([(RECALL, name)] if name in known else visit(name))
    return steps


def step_text(name: str, system: System, found: dict[str, int]) -> str:
    """One whole step: definition, operands with their values, result."""
    return _text(NOTE, name, system, found) + _text(EVALUATE, name, system, found)


def _text(action: str, name: str, system: System, found: dict[str, int]) -> str:
    if action == NOTE:
        return definition_text(name, system.definitions[name])
    if action == RECALL:
        return f" {name}={found[name]}"
    operands = "".join(f" {operand}={found[operand]}" for operand in system.definitions[name][1:])
    return f"{operands} {name}={found[name]}"


def sloppy_response(system: System, rng: random.Random, wrong: float) -> str:
    """A searching response in which each result is wrong with probability `wrong`, errors carried on."""
    found = dict(system.values)
    parts = []
    for action, name in search_order(system):
        if action == EVALUATE:
            operator, first, second = system.definitions[name]
            found[name] = apply(operator, found[first], found[second])
            if rng.random() < wrong:
                found[name] = (found[name] + rng.randint(1, MODULUS - 1)) % MODULUS
        parts.append(_text(action, name, system, found))
    answer = "".join(f" {name}={found[name]}" for name in system.asked)
    return response_text("".join(parts), answer)


def response_text(trace: str, answer: str) -> str:
    """The assistant's turn in the form of the real system: thinking, then the answer."""
    return f"<think>{trace}</think><answer>{answer}</answer>"


def searching_response(system: System) -> str:
    return response_text(searching_trace(system), answer_text(system))


def planned_response(system: System) -> str:
    return response_text(planned_trace(system), answer_text(system))


def direct_response(system: System) -> str:
    return response_text("", answer_text(system))
