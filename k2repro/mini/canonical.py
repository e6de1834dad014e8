"""The normal form of a `variables` system: two problems are the same if one is a renaming of the other.

Names are replaced by what they compute: a given value by its digit, a defined variable by its operator and
the normal forms of its operands (sorted for + and *, which commute). Listing order, letters and
distractors disappear, so a train problem with other letters can never be a test problem.
"""

import hashlib
from dataclasses import replace
from itertools import permutations
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from k2repro.mini.variables import System


def canonical_form(system: "System") -> tuple[str, ...]:
    """Digests of what is asked, in sorted order."""
    forms: dict[str, str] = {name: f"={value}" for name, value in system.values.items()}
    for name in system.needed:
        operator, first, second = system.definitions[name]
        operands = [forms[first], forms[second]]
        if operator in "+*":
            operands.sort()
        forms[name] = _digest(operator, *operands)
    return tuple(sorted(forms[name] for name in system.asked))


def canonical_hash(system: "System") -> int:
    """64 bits of the normal form."""
    return int(_digest(*canonical_form(system)), 16)


def structure_hash(system: "System") -> int:
    """64 bits of what is computed whatever the digits: two systems are near-duplicates if these are equal.

    Given values become numbered marks; of all numberings the smallest normal form counts.
    """
    operands = {operand for name in system.needed for operand in system.definitions[name][1:]}
    used = sorted(operands & system.values.keys())
    return min(
        canonical_hash(replace(system, values=dict(zip(used, marks, strict=True))))
        for marks in permutations(range(len(used)))
    )


def _digest(*parts: str) -> str:
    return hashlib.sha256("|".join(parts).encode()).hexdigest()[:16]
