"""What a pairwise reader is worth, and what the order of reading decides: numbers of notebook 05, one reader.

Everything here is of one trained reader and one solver: it describes them and decides nothing about others.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from k2repro.best_of_n import expected_knock_out, expected_round_robin
from k2repro.best_of_n.expectation import best_of
from k2repro.best_of_n.judging import FIRST, SECOND, UNREADABLE
from k2repro.evaluate.bootstrap import RowStatistic
from k2repro.lab.effect_rows import add_statistic
from k2repro.lab.pair_reader import Compared
from k2repro.mini.problem import item_seed
from k2repro.results.rowbook import RowBook

FEW = 3
Counts = NDArray[np.float64]


def table(compared: Compared) -> NDArray[np.int64]:
    """Verdicts on the candidates as `best_of_n.Verdicts.table`; equal texts are not compared."""
    found = np.full((len(compared.of), len(compared.of)), UNREADABLE)
    for i, first in enumerate(compared.of):
        for j, second in enumerate(compared.of):
            margin = compared.margins[first][second]
            if first != second and margin is not None and margin != 0.0:
                found[i, j] = FIRST if margin > 0 else SECOND
    return found


@dataclass(frozen=True)
class Bias:
    """Counts over the pairs of one problem of which one text is right, both orders read.

    pairs. when_first, when_second: right verdicts with the right text read first, and second. changed: pairs
    whose two verdicts name different texts. first: verdicts for what was read first, of 2 * pairs.
    averaged: pairs where the mean of both margins is right, a tie counting half. missing: not readable.
    """

    pairs: int = 0
    when_first: int = 0
    when_second: int = 0
    changed: int = 0
    first: int = 0
    averaged: float = 0.0
    missing: int = 0


def bias(compared: Compared) -> Bias:
    """What the order of reading decides, on one problem."""
    right = [at for at, value in enumerate(compared.right) if value]
    wrong = [at for at, value in enumerate(compared.right) if not value]
    both = [(compared.margins[i][j], compared.margins[j][i]) for i in right for j in wrong]
    read = [(ahead, behind) for ahead, behind in both if ahead is not None and behind is not None]
    return Bias(
        pairs=len(read),
        # The right text read first should have a margin above 0, read second one below.
        when_first=sum(ahead > 0 for ahead, _ in read),
        when_second=sum(behind < 0 for _, behind in read),
        changed=sum((ahead > 0) == (behind > 0) for ahead, behind in read),
        first=sum((ahead > 0) + (behind > 0) for ahead, behind in read),
        averaged=sum(0.5 if ahead == behind else float(ahead > behind) for ahead, behind in read),
        missing=len(both) - len(read),
    )


def smallest(found: Sequence[Compared]) -> int:
    """Candidates of the smallest pool: curves go no further."""
    return min(len(each.of) for each in found)


def accuracies(found: Sequence[Compared], n: int) -> dict[str, Counts]:
    """Expected share right of each way to choose among n candidates, by problem."""
    ways: dict[str, Callable[[Compared], float]] = {
        "random": lambda each: float(np.mean(_truth(each))),
        "own_sum": lambda each: _likeliest(each, n),
        "knock_out": lambda each: expected_knock_out(table(each), _truth(each), n),
        "round_robin": lambda each: expected_round_robin(table(each), _truth(each), n),
    }
    return {name: np.array([way(each) for each in found]) for name, way in ways.items()}


def _truth(compared: Compared) -> list[bool]:
    return [bool(compared.right[at]) for at in compared.of]


def _likeliest(compared: Compared, n: int) -> float:
    return best_of(np.array([compared.own[at] for at in compared.of]), np.array(_truth(compared)), n)


def curves(found: Sequence[Compared]) -> dict[str, dict[int, Counts]]:
    """Accuracy of each way to choose at N = 1 .. M, under the seed of the reader, float64 [M]."""
    by_n = [accuracies(found, n) for n in range(1, smallest(found) + 1)]
    return {name: {0: np.array([each[name].mean() for each in by_n])} for name in by_n[0]}


def add_pair_reader_rows(rows: RowBook, found: Sequence[Compared]) -> None:
    """All rows: position bias, then best of three and of the whole pool."""
    counts = [bias(each) for each in found]
    for row, above, below in (
        ("best_of_n.pair_reader.right_when_first", "when_first", 1),
        ("best_of_n.pair_reader.right_when_second", "when_second", 1),
        ("best_of_n.pair_reader.depends_on_order", "changed", 1),
        ("best_of_n.pair_reader.first_preferred", "first", 2),
        ("best_of_n.pair_reader.both_orders", "averaged", 1),
    ):
        _share(rows, row, [getattr(each, above) for each in counts], [below * each.pairs for each in counts])
    _share(
        rows,
        "best_of_n.pair_reader.unreadable",
        [each.missing for each in counts],
        [each.pairs + each.missing for each in counts],
    )
    rows.add(
        "best_of_n.pair_reader.pairs",
        float(sum(each.pairs for each in counts)),
        unit="pairs",
        scale="mini",
        n=len(found),
        seeds=(0,),
        of_models=True,
    )
    for n in dict.fromkeys((FEW, smallest(found))):
        values = accuracies(found, n)
        for name, each in values.items():
            _mean(rows, f"best_of_n.pair_reader.accuracy.{name}.n{n}", each)
        for name in ("knock_out", "round_robin"):
            _mean(rows, f"best_of_n.pair_reader.gain.{name}.n{n}", values[name] - values["random"])
            _mean(rows, f"best_of_n.pair_reader.minus_own_sum.{name}.n{n}", values[name] - values["own_sum"])
        _mean(
            rows,
            f"best_of_n.pair_reader.round_robin_minus_knock_out.n{n}",
            values["round_robin"] - values["knock_out"],
        )


def _share(rows: RowBook, row: str, above: Sequence[float], below: Sequence[float]) -> None:
    """Sum over sum, problems resampled; no row where nothing was compared."""
    kept = [at for at, value in enumerate(below) if value]
    if not kept:
        return
    top, bottom = (np.asarray(values, float)[kept] for values in (above, below))
    _interval(rows, row, lambda index: top[index].sum(-1) / bottom[index].sum(-1), len(kept))


def _mean(rows: RowBook, row: str, values: Counts) -> None:
    _interval(rows, row, lambda index: values[index].mean(-1), len(values))


def _interval(rows: RowBook, row: str, statistic: RowStatistic, problems: int) -> None:
    generator = np.random.default_rng(item_seed("pair-reader row", row))
    add_statistic(
        rows, row, statistic, problems, "fraction", generator=generator, of="reader", of_models=True
    )
