"""One verifiable problem of mini-K2, and the seeds that make it.

A problem carries everything that a program needs to judge an answer, and reference responses to learn
from. Text is what models see; `render` (in each family) turns it into sentences for people.
"""

import hashlib
import random
from dataclasses import dataclass, field
from typing import Any

from k2repro.errors import K2ReproError

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Problem:
    """A question with its gold answer, in the text form that models read.

    id        "family/split/tier/seed/index", unique
    question  what the user turn says, without a plan
    gold      the right answer: a value text (`variables`), a reference program (`programs`)
    plan      the dependency plan, as text that may follow the question
    facts     what a judge needs: definitions and values, or hidden tests; JSON-like
    """

    id: str
    family: str
    split: str
    tier: str
    question: str
    gold: str
    plan: str
    facts: dict[str, Any] = field(hash=False, compare=False)


def item_seed(*parts: str | int) -> int:
    """A seed of 64 bits from the SHA-256 of `parts`, joined by slashes.

    Never `seed + index`: with neighbouring seeds, item 1 of seed 0 would be item 0 of seed 1.
    """
    for part in parts:
        if isinstance(part, str) and "/" in part:
            raise K2ReproError(f"seed part {part!r}: must not contain '/', it separates the parts")
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")


def item_random(*parts: str | int) -> random.Random:
    """A generator of its own for one item; no global state is read or changed."""
    return random.Random(item_seed(*parts))
