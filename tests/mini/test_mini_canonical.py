"""The normal form: what makes two problems the same does not change it, what makes them differ does."""

import dataclasses
import hashlib
import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from k2repro.mini.canonical import canonical_form, canonical_hash, structure_hash
from k2repro.mini.variables import (
    LETTERS,
    MODULUS,
    TIERS,
    Definition,
    System,
    draw_system,
    problems,
    question_text,
    split_of,
    system_of,
)

SYSTEMS = [
    system_of(problem)
    for tier in TIERS
    for split in ("train", "test")
    for problem in problems(tier, split, 12, seed=21)
]


def renamed(system: System, letters: list[str]) -> System:
    """The same system with the i-th letter of the alphabet replaced by `letters[i]`."""
    new = dict(zip(LETTERS, letters, strict=True))
    return System(
        {new[name]: value for name, value in system.values.items()},
        {new[name]: (d[0], new[d[1]], new[d[2]]) for name, d in system.definitions.items()},
        tuple(new[name] for name in system.listed),
        tuple(new[name] for name in system.asked),
        tuple(new[name] for name in system.needed),
    )


def commuted(system: System, rng: random.Random) -> System:
    """Operands of + and * in another order."""
    definitions: dict[str, Definition] = {
        name: (d[0], d[2], d[1]) if d[0] in "+*" and rng.random() < 0.5 else d
        for name, d in system.definitions.items()
    }
    return dataclasses.replace(system, definitions=definitions)


def solved_in_another_order(system: System, rng: random.Random) -> System:
    """`needed` in another workable order."""
    left, order, known = list(system.needed), [], set(system.values)
    while left:
        ready = [name for name in left if known.issuperset(system.definitions[name][1:])]
        name = rng.choice(ready)
        left.remove(name)
        order.append(name)
        known.add(name)
    return dataclasses.replace(system, needed=tuple(order))


def without_distractors(system: System) -> System:
    definitions = {name: system.definitions[name] for name in system.needed}
    listed = tuple(name for name in system.listed if name in definitions or name in system.values)
    return dataclasses.replace(system, definitions=definitions, listed=listed)


def disguised(system: System, rng: random.Random) -> System:
    """The same problem in other clothes: letters, listing, asked order, operands, order, distractors."""
    system = renamed(system, rng.sample(LETTERS, len(LETTERS)))
    system = solved_in_another_order(commuted(system, rng), rng)
    if rng.random() < 0.5:
        system = without_distractors(system)
    return dataclasses.replace(
        system,
        listed=tuple(rng.sample(system.listed, len(system.listed))),
        asked=tuple(rng.sample(system.asked, len(system.asked))),
    )


def split_of_text(system: System) -> str:
    """Wrong twin: a hash of the raw question."""
    place = int(hashlib.sha256(question_text(system).encode()).hexdigest(), 16) % 10
    return "train" if place < 8 else "validation" if place == 8 else "test"


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.sampled_from(SYSTEMS), st.integers(0, 2**32))
def test_renaming_and_reordering_keep_the_split(system: System, seed: int) -> None:
    """Catches test problems in training under other names: a disguise never changes the normal form."""
    other = disguised(system, random.Random(seed))
    assert canonical_form(other) == canonical_form(system)
    assert split_of(other) == split_of(system)


def test_a_hash_of_the_text_lets_twins_cross() -> None:
    """Catches a property that anything has: by the wrong twin many disguised test problems are train."""
    rng = random.Random(4)
    crossed = 0
    for system in SYSTEMS:
        for _ in range(5):
            crossed += split_of_text(disguised(system, rng)) != split_of_text(system)
    assert crossed > 0.2 * 5 * len(SYSTEMS)


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.sampled_from(SYSTEMS), st.integers(0, 2**32))
def test_another_operation_is_another_problem(system: System, seed: int) -> None:
    """Catches a normal form that is too coarse: one operator of one needed variable changes it."""
    rng = random.Random(seed)
    name = rng.choice(system.needed)
    operator, first, second = system.definitions[name]
    definitions = {**system.definitions, name: (rng.choice("+-*".replace(operator, "")), first, second)}
    other = dataclasses.replace(system, definitions=definitions)
    assert canonical_hash(other) != canonical_hash(system)
    assert structure_hash(other) != structure_hash(system)


def small(definition: Definition, values: dict[str, int], asked: str = "m") -> System:
    return System(values, {"m": definition}, ("a", "b", "m"), (asked,), ("m",))


def test_what_is_not_needed_does_not_count_and_what_is_does() -> None:
    """Catches both extremes on one operation: order matters for minus only, digits always."""
    minus = small(("-", "a", "b"), {"a": 3, "b": 4})
    assert canonical_hash(minus) != canonical_hash(small(("-", "b", "a"), {"a": 3, "b": 4}))
    assert canonical_hash(minus) == canonical_hash(small(("-", "b", "a"), {"a": 4, "b": 3}))
    assert canonical_hash(minus) != canonical_hash(small(("-", "a", "b"), {"a": 3, "b": 5}))
    plus = small(("+", "a", "b"), {"a": 3, "b": 4})
    assert canonical_hash(plus) == canonical_hash(small(("+", "b", "a"), {"a": 3, "b": 4}))
    assert canonical_hash(plus) == canonical_hash(small(("+", "b", "a"), {"a": 3, "b": 4, "c": 9}))


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.sampled_from(SYSTEMS), st.integers(0, 2**32))
def test_other_digits_are_the_same_structure(system: System, seed: int) -> None:
    """Catches near-duplicates that go uncounted: a disguise with new digits has the same structure."""
    rng = random.Random(seed)
    values = {name: rng.randrange(MODULUS) for name in system.values}
    other = disguised(dataclasses.replace(system, values=values), rng)
    assert structure_hash(other) == structure_hash(system)


def test_structure_sees_which_given_values_are_shared() -> None:
    """Catches "given" as one label for all: (a+b)*(a-c) and (a+b)*(c-a) and (a+b)*(c-d) are three."""

    def product(first: Definition, second: Definition) -> System:
        definitions: dict[str, Definition] = {"x": first, "y": second, "z": ("*", "x", "y")}
        return System(dict.fromkeys("abcd", 1), definitions, tuple("abcdxyz"), ("z",), ("x", "y", "z"))

    shapes = [
        product(("+", "a", "b"), ("-", "a", "c")),
        product(("+", "a", "b"), ("-", "c", "a")),
        product(("+", "a", "b"), ("-", "c", "d")),
    ]
    assert len({structure_hash(shape) for shape in shapes}) == 3
    assert len({canonical_hash(shape) for shape in shapes}) == 1  # all digits are 1


@pytest.mark.parametrize("operations", [2, 3])
def test_structures_agree_with_a_search_for_a_renaming(operations: int) -> None:
    """Catches collisions and splits of the hash: equal exactly where some renaming maps one to the other."""
    rng = random.Random(operations)
    systems = [without_distractors(draw_system(rng, operations)) for _ in range(60)]
    for one, other in itertools.combinations(systems, 2):
        assert (structure_hash(one) == structure_hash(other)) is isomorphic(one, other)


def isomorphic(one: System, other: System) -> bool:
    """Slow reference: every bijection of used given values and of needed variables is tried."""

    def used(system: System) -> list[str]:
        return [name for name in system.values if any(name in d[1:] for d in system.definitions.values())]

    def shape(system: System, name: dict[str, str]) -> set[tuple[str, ...]]:
        lines = set()
        for variable, (operator, *operands) in system.definitions.items():
            mapped = [name[operand] for operand in operands]
            lines.add((name[variable], operator, *(sorted(mapped) if operator in "+*" else mapped)))
        return lines | {("?", name[asked]) for asked in system.asked}

    given, givens = used(one), used(other)
    if len(given) != len(givens) or len(one.needed) != len(other.needed):
        return False
    target = shape(other, {name: name for name in LETTERS})
    return any(
        shape(one, {**dict(zip(given, g, strict=True)), **dict(zip(one.needed, n, strict=True))}) == target
        for g in itertools.permutations(givens)
        for n in itertools.permutations(other.needed)
    )
