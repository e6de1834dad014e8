"""The family `variables`: definitions in shuffled order, arithmetic modulo 10, up to three asked values.

    q=7 m: - p i i=4 p: + q i ? m p

reads: q is 7, m is p minus i, i is 4, p is q plus i; what are m and p? A definition may use
what is defined later, so solving needs the order of dependency: that is what a plan gives. The operator
comes first and each role of a letter (use ` m`, definition ` m:`, value ` m=`) is one token of its
own, which makes every look-up one step of copying for a small model.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from k2repro.errors import K2ReproError, unknown
from k2repro.mini.canonical import canonical_hash
from k2repro.mini.problem import SPLITS, Problem, item_random

FAMILY = "variables"
LETTERS = "abcdefghijklmnopqrst"
MODULUS = 10
ASKED = 3
# Operations that the asked values need, least and most, in each tier.
TIERS = {"tier-1": (2, 3), "tier-2": (4, 6), "tier-3": (7, 9), "tier-4": (10, 12)}
# What models of the steady recipe are judged on, and test-time methods with them: longer than anything that
# they trained on, so that one sample often fails; 16 is the most that 20 letters allow.
LEVELS = {"ops-9-10": (9, 10), "ops-11-12": (11, 12), "ops-13-14": (13, 14), "ops-15-16": (15, 16)}
# What its reinforcement learning practises: longer than fine-tuning, shorter than the levels.
PRACTICE = {"ops-5-6": (5, 6), "ops-7-8": (7, 8)}
EVERY = TIERS | PRACTICE | LEVELS

Definition = tuple[str, str, str]  # operator, first operand, second operand


@dataclass(frozen=True)
class System:
    """A set of variables: given values, definitions, the order in which they are listed, the question.

    definitions  needed ones and distractors, by variable
    needed       the variables to evaluate, in an order in which every operand comes first
    """

    values: Mapping[str, int]
    definitions: Mapping[str, Definition]
    listed: tuple[str, ...]
    asked: tuple[str, ...]
    needed: tuple[str, ...]

    def solve(self) -> dict[str, int]:
        """Every needed value, given ones included."""
        found = dict(self.values)
        for name in self.needed:
            operator, first, second = self.definitions[name]
            found[name] = apply(operator, found[first], found[second])
        return found


def apply(operator: str, first: int, second: int) -> int:
    """`first operator second` modulo 10."""
    if operator == "+":
        return (first + second) % MODULUS
    if operator == "-":
        return (first - second) % MODULUS
    if operator == "*":
        return first * second % MODULUS
    raise unknown("operator", operator, ["+", "-", "*"])


def problems(tier: str, split: str, count: int, *, seed: int = 0, start: int = 0) -> list[Problem]:
    """`count` problems of a tier or level from item `start` on; the same arguments give the same problems.

    Raises K2ReproError for an unknown tier or split, a count below 1 or a negative start.
    """
    if tier not in EVERY:
        raise unknown("tier", tier, list(EVERY))
    if split not in SPLITS:
        raise unknown("split", split, list(SPLITS))
    if count < 1:
        raise K2ReproError(f"count is {count}: must be at least 1")
    if start < 0:
        raise K2ReproError(f"start is {start}: must be 0 or more, it numbers the items of a split")
    return [_problem(tier, split, seed, index) for index in range(start, start + count)]


def _problem(tier: str, split: str, seed: int, index: int) -> Problem:
    rng = item_random(FAMILY, split, tier, seed, index)
    while True:
        system = draw_system(rng, rng.randint(*EVERY[tier]))
        if split_of(system) == split:
            break
    return Problem(
        id=f"{FAMILY}/{split}/{tier}/{seed}/{index}",
        family=FAMILY,
        split=split,
        tier=tier,
        question=question_text(system),
        gold=answer_text(system),
        plan=plan_text(system.needed),
        facts={
            "values": dict(system.values),
            "definitions": {name: list(d) for name, d in system.definitions.items()},
            "listed": list(system.listed),
            "asked": list(system.asked),
            "needed": list(system.needed),
        },
    )


def system_of(problem: Problem) -> System:
    """The system behind a problem of this family."""
    facts = problem.facts
    definitions = {name: (d[0], d[1], d[2]) for name, d in facts["definitions"].items()}
    return System(
        facts["values"], definitions, tuple(facts["listed"]), tuple(facts["asked"]), tuple(facts["needed"])
    )


def draw_system(rng: random.Random, operations: int) -> System:
    """A random system in which the asked values need exactly `operations` definitions."""
    while True:
        letters = rng.sample(LETTERS, len(LETTERS))
        given = letters[: rng.randint(2, 4)]
        needed = letters[len(given) : len(given) + operations]
        definitions = _chain(rng, given, needed)
        sinks = [name for name in needed if not any(name in d[1:] for d in definitions.values())]
        if len(sinks) <= min(ASKED, operations):
            break
    others = [name for name in needed if name not in sinks]
    asked = sinks + rng.sample(others, min(ASKED, operations) - len(sinks))
    rng.shuffle(asked)
    spare = letters[len(given) + operations :][: rng.randint(0, 2)]
    for name in spare:
        definitions[name] = _definition(rng, rng.sample([*given, *needed], 2))
    listed = [*given, *needed, *spare]
    rng.shuffle(listed)
    values = {name: rng.randrange(MODULUS) for name in given}
    return System(values, definitions, tuple(listed), tuple(asked), tuple(needed))


def _chain(rng: random.Random, given: Sequence[str], needed: Sequence[str]) -> dict[str, Definition]:
    """Definitions of `needed`, each over what comes before it, preferring what nobody uses yet.

    Towards the end the preference becomes a must, so that few values are left unused: those are asked.
    """
    definitions: dict[str, Definition] = {}
    unused: list[str] = []
    for at, name in enumerate(needed):
        before = [*given, *needed[:at]]
        # Each operation can take at most one from `unused`: two used, one new.
        must = len(unused) - ASKED >= len(needed) - at - 1
        first = rng.choice(unused) if unused and (must or rng.random() < 0.75) else rng.choice(before)
        rest = [other for other in unused if other != first]
        if not (rest and (must or rng.random() < 0.25)):
            rest = [other for other in before if other != first]
        second = rng.choice(rest)
        definitions[name] = _definition(rng, rng.sample([first, second], 2))
        unused = [other for other in unused if other not in (first, second)] + [name]
    return definitions


def _definition(rng: random.Random, operands: Sequence[str]) -> Definition:
    return rng.choice("+-*"), operands[0], operands[1]


# ---- text -----------------------------------------------------------------------------------------


def question_text(system: System) -> str:
    """The user turn: given values and definitions as listed, then the asked variables."""
    lines = [
        f" {name}={system.values[name]}"
        if name in system.values
        else definition_text(name, system.definitions[name])
        for name in system.listed
    ]
    return "".join(lines) + " ?" + "".join(f" {name}" for name in system.asked)


def definition_text(name: str, definition: Definition) -> str:
    operator, first, second = definition
    return f" {name}: {operator} {first} {second}"


def plan_text(order: Sequence[str]) -> str:
    """A plan names the variables to evaluate, in an order that works."""
    return " plan" + "".join(f" {name}" for name in order)


def marked_plan_text(order: Sequence[str]) -> str:
    """The same plan with a mark on each name, a token that operands do not have along a plan.

    A plain ` m` is an operand too, so what follows it in the plan is no unique look-up.
    """
    return " plan" + "".join(f" {name}?" for name in order)


def marked(plan: str) -> str:
    """A plan as `plan_text` writes it, with marks; an empty one stays empty."""
    return marked_plan_text(plan.split()[1:]) if plan else ""


def answer_text(system: System) -> str:
    """The asked values, each with its name and in the asked order."""
    found = system.solve()
    return "".join(f" {name}={found[name]}" for name in system.asked)


def split_of(system: System) -> str:
    """The split that a system belongs to, whatever its letters and its order of listing.

    Two systems that differ only by renaming or reordering hash alike, so splits are disjoint after
    normalisation by construction: 8 of 10 hashes are train, 1 validation, 1 test.
    """
    place = canonical_hash(system) % 10
    return "train" if place < 8 else "validation" if place == 8 else "test"
