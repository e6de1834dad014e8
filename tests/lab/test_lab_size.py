"""Catches: a large model compared on other problems, with other seeds, or with its arithmetic left out."""

from pathlib import Path

import numpy as np
import pytest

from k2repro.architecture import forward_flops
from k2repro.lab import size
from k2repro.lab.marks import OWN, SEARCH, Marks
from k2repro.lab.outcomes import from_hex, to_hex
from k2repro.lab.planning_rows import best_choice
from k2repro.lab.sft_recipe import LARGE, MODEL
from k2repro.lab.size import LargeSeed, SizeResults
from k2repro.lab.solvers import Gates
from k2repro.lab.test_time import SolverResults
from k2repro.mini.benchmarks import LEVELS
from k2repro.results import open_rows

PROBLEMS, SEARCHED, PLANNED, LARGE_TOKENS = 20, 200, 100, 150


def marked(seed: int, kind: str, split: str, rng: np.random.Generator) -> list[Marks]:
    """Marks in which the judge finds the right answer likelier, and the solver has no opinion.

    The last seed, which the large model lacks, writes three times as much.
    """
    count, length = (4, SEARCHED) if kind == SEARCH else (2, PLANNED)
    length *= 3 if seed == 2 else 1
    found = []
    for level in LEVELS:
        for at in range(PROBLEMS):
            right = tuple(int(rng.random() < 0.6) for _ in range(count))
            judge, own = tuple(-5.0 + 3 * each for each in right), (-5.0,) * count
            found.append(
                Marks(
                    f"variables/{split}/{level}/0/{at}",
                    level,
                    split,
                    kind,
                    of=tuple(range(count)),
                    right=right,
                    tokens=(length,) * count,
                    answer=tuple(0 if each else 1 for each in right),
                    own=own,
                    certainty=own,
                    judge=judge,
                    foreign=own,
                    agrees=right,
                )
            )
    return found


@pytest.fixture(scope="module")
def small() -> SolverResults:
    rng = np.random.default_rng(0)
    every = [(kind, split) for split in ("validation", "test") for kind in (SEARCH, OWN)]
    marks = {seed: [m for kind, split in every for m in marked(seed, kind, split, rng)] for seed in range(3)}
    return SolverResults(Gates((0, 1, 2), {}), marks, {}, Path(), Path())


@pytest.fixture(scope="module")
def large() -> SizeResults:
    rng = np.random.default_rng(1)
    ids = [(f"variables/test/{level}/0/{at}", level) for level in LEVELS for at in range(PROBLEMS)]
    seeds = [
        LargeSeed(
            seed,
            9,
            to_hex("".join(str(int(rng.random() < 0.7)) for _ in 3 * ids)),
            (3 * LARGE_TOKENS,) * len(ids),
        )
        for seed in range(2)
    ]
    return SizeResults(seeds, ids, {0: 8, 1: 8})


@pytest.fixture(scope="module")
def rows(small, large):
    book = open_rows("05_best_of_n", profile="smoke")  # never saved
    size.add_rows(book, large, small)
    return book


def test_both_sides_answer_the_same_problems(rows, small, large):
    """Catches a level of one side beside another level of the other, and planned passes as single answers."""
    bits = np.array([list(map(int, from_hex(s.search, 3 * len(large.ids), ""))) for s in large.seeds])
    for at, level in enumerate(LEVELS):
        alone = bits[:, 3 * PROBLEMS * at : 3 * PROBLEMS * (at + 1)].mean()
        single = np.mean([m.right for s in range(2) for m in small.of("test", SEARCH)[s] if m.tier == level])
        assert rows[f"best_of_n.size.large.{level}"].value == pytest.approx(alone)
        difference = rows[f"best_of_n.size.single_minus_large.{level}"].value
        assert difference == pytest.approx(single - alone)
    gain = rows["best_of_n.size.plan_bo3_minus_large.mean"]
    assert gain.value > rows["best_of_n.size.single_minus_large.mean"].value
    assert gain.seeds == (0, 1)


def test_arithmetic_counts_all_three_answers_and_who_reads_them(rows, small):
    """Catches one answer's tokens for three, tokens in place of FLOPs, and a judge that costs nothing."""
    assert "judge" in best_choice(small)
    spent = 2 * (2 * flops(MODEL, SEARCHED) + flops(MODEL, PLANNED))
    ratio = spent / flops(LARGE, LARGE_TOKENS)
    assert rows["best_of_n.size.flops_ratio"].value == pytest.approx(ratio)
    assert ratio < 2 * (2 * SEARCHED + PLANNED) / LARGE_TOKENS / 3
    assert 3 < rows["best_of_n.size.parameter_ratio"].value < 5


def test_at_equal_arithmetic_no_answer_too_many(rows):
    """Catches answers counted by tokens, of which the large model's cost more, and seeds that it lacks."""
    n = int(flops(LARGE, LARGE_TOKENS) / flops(MODEL, SEARCHED))
    assert rows["best_of_n.size.equal_flops_n"].value == n and n > LARGE_TOKENS / SEARCHED
    assert 0.5 < rows["best_of_n.size.memory_ratio"].value < 1


def flops(shape, tokens: int) -> int:
    return forward_flops(shape, tokens, attention="causal").total
