"""Every number of notebook 05 that trained models stand behind, by row id."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from k2repro.evaluate.effects import Table
from k2repro.lab import selections
from k2repro.lab.marks import OWN as OWN_PLAN
from k2repro.lab.marks import SEARCH, Marks
from k2repro.lab.selections import BySeed
from k2repro.lab.test_time import SolverResults
from k2repro.lab.two_level_rows import TwoLevelRows
from k2repro.mini.benchmarks import LEVELS
from k2repro.results import RowBook

FEW = 3
SINGLE, ORACLE, JUDGE, BOTH, OWN = "random", "oracle", "judge", "judge+own", "own-sum"
# In the order of a table: from what needs nothing to what needs the right answer.
NAMES = (
    SINGLE,
    "majority",
    "self-certainty",
    "own-mean",
    OWN,
    "process",
    "foreign",
    "foreign+own",
    JUDGE,
    "weighted-vote",
    BOTH,
    ORACLE,
)
# What best-of-3 is in the tables of notebook 08: the judge's choice, as in the paper.
TABLE_2 = JUDGE
MEAN_SAMPLES = 1.5
MEAN = "mean"


def row_name(selector: str) -> str:
    """As it stands in a row id."""
    return selector.replace("+", "_").replace("-", "_")


def by_level(by_seed: BySeed) -> dict[str, dict[int, list[Marks]]]:
    """The marks of each level, then all of them under "mean": levels have equally many problems."""
    parts = {
        level: {seed: [each for each in found if each.tier == level] for seed, found in by_seed.items()}
        for level in LEVELS
    }
    return {**parts, MEAN: {seed: list(found) for seed, found in by_seed.items()}}


def accuracy(by_seed: BySeed, name: str, n: int) -> Table:
    """Expected accuracy of a selector among n, by problem and seed."""
    return selections.table(by_seed, lambda each: selections.chosen(each, name, n))


def add_rows(rows: RowBook, results: SolverResults) -> TwoLevelRows:
    """All rows of the notebook; returns the tables behind them."""
    book = TwoLevelRows(rows)
    searched = results.of("test", SEARCH)
    deep = selections.deep(searched)
    most = len(next(iter(deep.values()))[0].of)
    _scores(book, searched)
    _choices(book, searched, FEW)
    _choices(book, deep, most)
    _large_n(book, deep, most)
    _adaptive(book, results)
    _shuffled(book, searched)
    _counts(book, searched)
    return book


def _scores(book: TwoLevelRows, searched: BySeed) -> None:
    """Single sample, best of three and the oracle, by level."""
    for level, part in by_level(searched).items():
        book.level(f"best_of_n.score.single.{level}", accuracy(part, SINGLE, 1))
        book.level(f"best_of_n.score.bo3.{level}", accuracy(part, TABLE_2, FEW))
        book.level(f"best_of_n.score.oracle.{level}", accuracy(part, ORACLE, FEW))


def _choices(book: TwoLevelRows, part: BySeed, n: int) -> None:
    """What each selector gains over a single sample, and which share of the way to the oracle that is."""
    tables = {name: accuracy(part, name, n) for name in NAMES}
    single, oracle = tables[SINGLE], tables[ORACLE]
    room = minus(oracle, single)
    for name in NAMES:
        row = row_name(name)
        book.level(f"best_of_n.accuracy.{row}.n{n}", tables[name])
        if name in (SINGLE,):
            continue
        book.difference(f"best_of_n.gain.{row}.n{n}", tables[name], single)
        if name != ORACLE:
            book.ratio(f"best_of_n.gap_share.{row}.n{n}", minus(tables[name], single), room)
    book.difference(f"best_of_n.judge_own_minus_own.n{n}", tables[BOTH], tables[OWN])
    if n == FEW:
        book.difference("best_of_n.gain", tables[TABLE_2], single)


def minus(first: Table, second: Table) -> Table:
    """Difference by problem and seed; the problems of `second` may stand in another order."""
    other = second.aligned(first.ids)
    return Table(first.ids, {seed: values - other.by_seed[seed] for seed, values in first.by_seed.items()})


def curves(by_seed: BySeed, names: Sequence[str]) -> dict[str, dict[int, np.ndarray]]:
    """Expected accuracy at N = 1 .. M of selectors that score candidates alone, by seed; float64 [M]."""
    return {
        name: {
            seed: np.mean([selections.curve(each, name) for each in found], axis=0)
            for seed, found in by_seed.items()
        }
        for name in names
    }


def _large_n(book: TwoLevelRows, deep: BySeed, most: int) -> None:
    """Whether more samples make a choice worse: accuracy at the largest N minus that at the best N.

    Of the judge alone, and of self-certainty, the noisiest judge here. The best N: of all seeds together.
    """
    for name, row in (
        (TABLE_2, "best_of_n.large_n_minus_best_n"),
        ("self-certainty", "best_of_n.noisy_judge_large_n"),
    ):
        pooled = np.mean(list(curves(deep, (name,))[name].values()), axis=0)
        best = 1 + int(pooled.argmax())
        book.difference(row, accuracy(deep, name, most), accuracy(deep, name, best))


def _adaptive(book: TwoLevelRows, results: SolverResults) -> None:
    """Stop at the first candidate above a threshold, against a fixed N of equal tokens."""
    test, validation = results.of("test", SEARCH), results.of("validation", SEARCH)
    ids = tuple(each.id for each in next(iter(test.values())))
    for name, prefix in ((OWN, "best_of_n.adaptive"), (BOTH, "best_of_n.adaptive_judge")):
        found = {
            seed: selections.adaptive_against_fixed(
                validation[seed], test[seed], name, mean_samples=MEAN_SAMPLES
            )
            for seed in test
        }
        moving = Table(ids, {seed: each.accuracy for seed, each in found.items()})
        fixed = Table(ids, {seed: each.fixed for seed, each in found.items()})
        book.level(f"{prefix}.accuracy", moving)
        book.level(f"{prefix}.fixed", fixed)
        book.difference(f"{prefix}_minus_fixed", moving, fixed)
        samples = Table(ids, {seed: np.full(len(ids), each.samples) for seed, each in found.items()})
        book.level(f"{prefix}.samples", samples, unit="samples")


def _shuffled(book: TwoLevelRows, searched: BySeed) -> None:
    """Wrong twin: a judge that learned from solutions of other questions. One seed: it decides nothing."""
    part = {seed: found for seed, found in searched.items() if found and found[0].shuffled}
    if part:
        book.difference(
            "best_of_n.shuffled_judge_gain.n3", accuracy(part, "shuffled", FEW), accuracy(part, SINGLE, FEW)
        )


def _counts(book: TwoLevelRows, searched: BySeed) -> None:
    """Candidates without an answer that can be read, and equal texts in a pool."""
    book.level(
        "best_of_n.unreadable",
        selections.table(searched, lambda each: float(np.mean([each.answer[at] < 0 for at in each.of]))),
    )
    book.level(
        "best_of_n.distinct", selections.table(searched, lambda each: len(set(each.of)) / len(each.of))
    )


def share_records(rows: RowBook, n: int) -> list[dict[str, Any]]:
    """Each chooser among n: how often it is right, and its share of the way from random to the oracle."""
    return [
        {
            "chooser": name,
            "right": f"{rows[f'best_of_n.accuracy.{row_name(name)}.n{n}'].value:.1%}",
            "share of the way to the oracle": _share(rows, f"best_of_n.gap_share.{row_name(name)}.n{n}"),
        }
        for name in NAMES
    ]


def _share(rows: RowBook, row: str) -> str | None:
    if row not in rows:
        return None
    found = rows[row]
    if found.interval is None:
        return f"{found.value:.0%}"
    return f"{found.value:.0%} [{found.interval[0]:.0%}, {found.interval[1]:.0%}]"


def means(tables: Mapping[str, Table]) -> dict[str, dict[int, float]]:
    """The mean of each table by seed: the dots of a figure."""
    return {
        row: {seed: float(values.mean()) for seed, values in table.by_seed.items()}
        for row, table in tables.items()
    }


def budget(results: SolverResults) -> tuple[list[dict[str, Any]], list[tuple[float, float]]]:
    """(points, line) of accuracy against tokens a question, means over solvers.

    line: (tokens, accuracy) of N searches and the choice by own likelihood. points: adaptive N with the same
    choice, and two searches with one planned pass.
    """
    test, validation, own = (
        results.of(*which) for which in (("test", SEARCH), ("validation", SEARCH), ("test", OWN_PLAN))
    )
    lengths = {
        seed: float(np.mean([selections.tokens(each) for each in found])) for seed, found in test.items()
    }
    accuracies = np.mean(list(curves(_cut(test), (OWN,))[OWN].values()), axis=0)
    each = float(np.mean(list(lengths.values())))
    points = []
    for name in (OWN, BOTH):
        found = [
            selections.adaptive_against_fixed(validation[seed], test[seed], name, mean_samples=MEAN_SAMPLES)
            for seed in test
        ]
        points.append(
            {
                "name": f"adaptive N, {name}",
                "tokens": float(np.mean([one.tokens for one in found])),
                "accuracy": float(np.mean([one.accuracy.mean() for one in found])),
            }
        )
    mixed = [
        (selections.paired_tokens(a, b), selections.mixed(a, b, OWN))
        for seed in test
        for a, b in zip(test[seed], own[seed], strict=True)
    ]
    tokens, right = np.mean(mixed, axis=0)
    points.append({"name": "two searches, one plan", "tokens": float(tokens), "accuracy": float(right)})
    return points, [(each * (n + 1), float(value)) for n, value in enumerate(accuracies)]


def _cut(by_seed: BySeed) -> dict[int, list[Marks]]:
    """Every pool cut to the smallest, so that curves have one length."""
    least = min(len(each.of) for found in by_seed.values() for each in found)
    return {seed: [replace(each, of=each.of[:least]) for each in found] for seed, found in by_seed.items()}
