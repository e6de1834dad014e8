"""Reference responses of the family `variables`: what a model is taught to write.

    searching   no plan: note a definition with ` m?`, look into its unknown operands first, then evaluate
    planned     with a plan in the question: evaluate straight through in the plan's order
    direct      the answer without any reasoning
    sloppy      searching, with some steps wrong: part of the weak mixture behind the base model

A step of evaluation copies the definition, looks up the operands and computes:
` m: - p i p=3 i=4 m=9`.
"""

import random
from collections.abc import Iterator

from k2repro.mini.variables import MODULUS, System, answer_text, apply, definition_text


def searching_trace(system: System) -> str:
    """Depth first from the asked variables; each definition is noted before its operands are sought."""
    found = system.solve()
    return "".join(
        step_text(name, system, found) if evaluate else note_text(name, system)
        for name, evaluate in search_order(system)
    )


def planned_trace(system: System) -> str:
    """Evaluations only, in the order of `system.needed`."""
    found = system.solve()
    return "".join(step_text(name, system, found) for name in system.needed)


def search_order(system: System) -> list[tuple[str, bool]]:
    """(variable, False) where its definition is noted, (variable, True) where it is evaluated."""
    known = set(system.values)

    def visit(name: str) -> Iterator[tuple[str, bool]]:
        yield name, False
        for operand in system.definitions[name][1:]:
            if operand not in known:
                yield from visit(operand)
        known.add(name)
        yield name, True

    return [step for name in system.asked if name not in known for step in visit(name)]


def note_text(name: str, system: System) -> str:
    """A definition noted while searching."""
    operator, first, second = system.definitions[name]
    return f" {name}? {operator} {first} {second}"


def step_text(name: str, system: System, found: dict[str, int]) -> str:
    """One evaluation: definition, operands with their values, result."""
    definition = system.definitions[name]
    operands = "".join(f" {operand}={found[operand]}" for operand in definition[1:])
    return f"{definition_text(name, definition)}{operands} {name}={found[name]}"


def sloppy_response(system: System, rng: random.Random, wrong: float) -> str:
    """A searching response in which each result is wrong with probability `wrong`, errors carried on."""
    found = dict(system.values)
    parts = []
    for name, evaluate in search_order(system):
        if evaluate:
            operator, first, second = system.definitions[name]
            found[name] = apply(operator, found[first], found[second])
            if rng.random() < wrong:
                found[name] = (found[name] + rng.randint(1, MODULUS - 1)) % MODULUS
            parts.append(step_text(name, system, found))
        else:
            parts.append(note_text(name, system))
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
