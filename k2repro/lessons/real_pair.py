"""Does a rule write the target's texts on a real pair? A random test, and what it could have noticed.

The vocabulary is too large to write down every branch, but the law of the next two words is known from the
target alone. So many draws of the rule are counted against it. Pairs that few draws would give are one cell.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from k2repro.architecture import Qwen2
from k2repro.evaluate.multiple import holm
from k2repro.lessons.draws import noticed, p_values
from k2repro.speculative import Draft, speculative_sample

# Draws that a pair has to be expected in, to be a cell of its own.
EXPECTED = 5
GAMMA = 3
# The defect that the power is stated for: such a share of the draft's texts stays unjudged.
UNJUDGED = (0.1, 0.2, 0.5, 1.0)
LEVEL, POWER = 0.05, 0.8


class Pairs(NamedTuple):
    """first, second: int64 [cells], pairs with a cell of their own. chances: [cells + 1], the rest last."""

    first: NDArray[np.int64]
    second: NDArray[np.int64]
    chances: NDArray[np.float64]


def pairs_of(model: Qwen2, text: Sequence[int], temperature: float, draws: int) -> Pairs:
    """The law of the next two words after `text`."""
    first = _next_words(model, [text], temperature)[0]
    likely = np.flatnonzero(first * draws >= EXPECTED)
    joint = first[likely, None] * _next_words(model, [[*text, word] for word in likely.tolist()], temperature)
    rows, second = np.nonzero(joint * draws >= EXPECTED)
    return Pairs(likely[rows], second, _with_rest(joint[rows, second]))


def chances_on(pairs: Pairs, model: Qwen2, text: Sequence[int], temperature: float) -> NDArray[np.float64]:
    """What another model gives the same cells."""
    first = _next_words(model, [text], temperature)[0]
    words, rows = np.unique(pairs.first, return_inverse=True)
    second = _next_words(model, [[*text, word] for word in words.tolist()], temperature)
    return _with_rest(first[pairs.first] * second[rows, pairs.second])


def counts_on(pairs: Pairs, written: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """How often texts of at least two words fall into each cell."""
    places = {
        pair: at for at, pair in enumerate(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))
    }
    found = [places.get((one[0], one[1]), len(places)) for one in written]
    return np.bincount(found, minlength=len(places) + 1)


def g_tests(
    target: Qwen2,
    draft: Qwen2,
    texts: Sequence[Sequence[int]],
    *,
    rules: Sequence[str],
    temperature: float,
    draws: int,
    generator: np.random.Generator,
) -> list[dict[str, object]]:
    """Each rule behind each text: cells, p-value, Holm's, and from which share of unjudged texts it notices.

    It notices what it finds in POWER of the runs at Holm's strictest level, LEVEL over the number of tests.
    """
    found: list[dict[str, object]] = []
    level = LEVEL / (len(texts) * len(rules))
    for place, text in enumerate(texts):
        pairs = pairs_of(target, text, temperature, draws)
        of_draft = chances_on(pairs, draft, text, temperature)
        notices = noticed_from(of_draft, pairs.chances, draws, level, generator)
        for rule in rules:
            made = speculative_sample(
                target,
                Draft.of(draft),
                [text],
                n=draws,
                rule=rule,
                gamma=GAMMA,
                temperature=temperature,
                max_new_tokens=GAMMA + 1,
                seeds=[place],
                batch=64,
            )
            counts = counts_on(pairs, [row.tokens for row in made.responses[0]])
            p_value = float(p_values(counts[None], pairs.chances, generator)[0])
            record = {"text": place + 1, "rule": rule, "cells": len(counts), "p": p_value}
            found.append({**record, "notices from": notices})
    adjusted = holm([float(str(one["p"])) for one in found]).adjusted
    return [{**one, "p, Holm": float(each)} for one, each in zip(found, adjusted, strict=True)]


def noticed_from(
    of_draft: NDArray[np.float64],
    wanted: NDArray[np.float64],
    draws: int,
    level: float,
    generator: np.random.Generator,
) -> float | None:
    """The least of UNJUDGED that is noticed; None where not even the draft's own texts are."""
    for share in UNJUDGED:
        bent = share * of_draft + (1 - share) * wanted
        if noticed(bent, wanted, draws, 200, generator, level=level) >= POWER:
            return share
    return None


def _with_rest(chances: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.append(chances, max(0.0, 1 - chances.sum()))


@torch.inference_mode()
def _next_words(model: Qwen2, texts: Sequence[Sequence[int]], temperature: float) -> NDArray[np.float64]:
    """The law of the word after each of equally long texts, [texts, V]."""
    logits = model(torch.tensor([list(text) for text in texts]))[:, -1].double()
    found: NDArray[np.float64] = torch.softmax(logits / temperature, -1).numpy()
    return found
