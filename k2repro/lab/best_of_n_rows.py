"""Every number of notebook 05 that trained models stand behind, by row id."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from k2repro.evaluate import effects
from k2repro.evaluate.effects import Effect, SeedTable
from k2repro.lab import selections
from k2repro.lab.effect_rows import add_effects
from k2repro.lab.marks import OWN as OWN_PLAN
from k2repro.lab.marks import SEARCH, Marks
from k2repro.lab.selections import BySeed, Numbers, Stopping
from k2repro.lab.test_time import SolverResults
from k2repro.mini.benchmarks import LEVELS
from k2repro.mini.problem import item_seed
from k2repro.results import RowBook

Found = dict[str, Effect]
Stops = Mapping[str, Mapping[int, Stopping]]
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
RESAMPLES = 2_000


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


def accuracy(by_seed: BySeed, name: str, n: int) -> SeedTable:
    """Expected accuracy of a selector among n, by problem and seed."""
    return selections.table(by_seed, lambda each: selections.chosen(each, name, n))


# ---- one row --------------------------------------------------------------------------------------


def level(row: str, table: SeedTable) -> Found:
    """The mean of a table."""
    return {row: effects.level(table, generator=_generator(row), resamples=RESAMPLES, each_seed=False)}


def gap(row: str, plus: SeedTable, minus: SeedTable) -> Found:
    """Mean of `plus` minus mean of `minus`, paired by seed and problem."""
    return {row: effects.gap(plus, minus, generator=_generator(row), resamples=RESAMPLES)}


def ratio(row: str, above: SeedTable, below: SeedTable) -> Found:
    """Mean of `above` over mean of `below`; no row where some seed has nothing below the line."""
    if not all(values.any() for values in below.by_seed.values()):
        return {}
    return {row: effects.statistic([above, below], _over, generator=_generator(row), resamples=RESAMPLES)}


def _over(columns: Numbers) -> float:
    """columns: [problems, 2]. Few problems may all be drawn without a gap; then no part of one was found."""
    above, below = columns.mean(axis=0)
    return float(above / below) if below else 0.0


def _generator(row: str) -> np.random.Generator:
    return np.random.default_rng(item_seed("test-time row", row))


def unit_of(row: str) -> str:
    """The unit of a row, from its id."""
    if row.endswith(".samples"):
        return "samples"
    return "ratio" if "token_ratio" in row else "fraction"


# ---- all rows -------------------------------------------------------------------------------------


def add_rows(rows: RowBook, results: SolverResults, stops: Stops) -> Found:
    """All rows of the notebook; returns what stands behind them. stops: see `stopping`."""
    searched = results.of("test", SEARCH)
    deep = selections.deep(searched)
    most = len(next(iter(deep.values()))[0].of)
    found = {
        **_scores(searched),
        **_choices(searched, FEW),
        **_choices(deep, most),
        **_large_n(deep, most),
        **_adaptive(searched, stops),
        **_shuffled(searched),
        **_counts(searched),
    }
    add_effects(rows, found, unit_of)
    return found


def _scores(searched: BySeed) -> Found:
    """Single sample, best of three and the oracle, by level."""
    found: Found = {}
    for name, part in by_level(searched).items():
        found |= level(f"best_of_n.score.single.{name}", accuracy(part, SINGLE, 1))
        found |= level(f"best_of_n.score.bo3.{name}", accuracy(part, TABLE_2, FEW))
        found |= level(f"best_of_n.score.oracle.{name}", accuracy(part, ORACLE, FEW))
    return found


def _choices(part: BySeed, n: int) -> Found:
    """What each selector gains over a single sample, and which share of the way to the oracle that is."""
    tables = {name: accuracy(part, name, n) for name in NAMES}
    room = minus(tables[ORACLE], tables[SINGLE])
    found: Found = {}
    for name, table in tables.items():
        row = row_name(name)
        found |= level(f"best_of_n.accuracy.{row}.n{n}", table)
        if name != SINGLE:
            found |= gap(f"best_of_n.gain.{row}.n{n}", table, tables[SINGLE])
        if name not in (SINGLE, ORACLE):
            found |= ratio(f"best_of_n.gap_share.{row}.n{n}", minus(table, tables[SINGLE]), room)
    return found | gap(f"best_of_n.judge_own_minus_own.n{n}", tables[BOTH], tables[OWN])


def minus(first: SeedTable, second: SeedTable) -> SeedTable:
    """Difference by problem and seed; the problems of `second` may stand in another order."""
    other = second.aligned(first.ids)
    return SeedTable(
        first.ids, {seed: values - other.by_seed[seed] for seed, values in first.by_seed.items()}
    )


def curves(by_seed: BySeed, names: Sequence[str]) -> dict[str, dict[int, Numbers]]:
    """Expected accuracy at N = 1 .. M of selectors that score candidates alone, by seed; float64 [M]."""
    return {
        name: {
            seed: np.mean([selections.curve(each, name) for each in found], axis=0)
            for seed, found in by_seed.items()
        }
        for name in names
    }


def _large_n(deep: BySeed, most: int) -> Found:
    """Whether more samples make a choice worse: accuracy at the largest N minus that at the best N.

    Of the judge alone, and of self-certainty, the noisiest judge here. The best N: of all seeds together.
    """
    found: Found = {}
    for name, row in (
        (TABLE_2, "best_of_n.large_n_minus_best_n"),
        ("self-certainty", "best_of_n.noisy_judge_large_n"),
    ):
        pooled = np.mean(list(curves(deep, (name,))[name].values()), axis=0)
        best = 1 + int(pooled.argmax())
        found |= gap(row, accuracy(deep, name, most), accuracy(deep, name, best))
    return found


def stopping(results: SolverResults) -> dict[str, dict[int, Stopping]]:
    """Adaptive N beside fixed N, by selector and seed; thresholds from validation problems."""
    test, validation = results.of("test", SEARCH), results.of("validation", SEARCH)
    stop = partial(selections.adaptive_against_fixed, mean_samples=MEAN_SAMPLES)
    return {name: {seed: stop(validation[seed], test[seed], name) for seed in test} for name in (OWN, BOTH)}


def _adaptive(searched: BySeed, stops: Stops) -> Found:
    """Stop at the first candidate above a threshold, against a fixed N of equal tokens."""
    ids = tuple(each.id for each in next(iter(searched.values())))
    found: Found = {}
    for name, prefix in ((OWN, "best_of_n.adaptive"), (BOTH, "best_of_n.adaptive_judge")):
        moving = SeedTable(ids, {seed: each.accuracy for seed, each in stops[name].items()})
        fixed = SeedTable(ids, {seed: each.fixed for seed, each in stops[name].items()})
        samples = SeedTable(ids, {seed: each.samples for seed, each in stops[name].items()})
        found |= level(f"{prefix}.accuracy", moving) | level(f"{prefix}.fixed", fixed)
        found |= gap(f"{prefix}_minus_fixed", moving, fixed) | level(f"{prefix}.samples", samples)
    return found


def _shuffled(searched: BySeed) -> Found:
    """Wrong twin: a judge that learned from solutions of other questions. One seed: it decides nothing."""
    part = {seed: found for seed, found in searched.items() if found and found[0].shuffled}
    if not part:
        return {}
    row = "best_of_n.shuffled_judge_gain.n3"
    return gap(row, accuracy(part, "shuffled", FEW), accuracy(part, SINGLE, FEW))


def _counts(searched: BySeed) -> Found:
    """Candidates without an answer that can be read, and distinct texts in a pool."""
    unreadable = selections.table(
        searched, lambda each: sum(each.answer[at] < 0 for at in each.of) / len(each.of)
    )
    distinct = selections.table(searched, lambda each: len(set(each.of)) / len(each.of))
    return level("best_of_n.unreadable", unreadable) | level("best_of_n.distinct", distinct)


# ---- for figures and tables -----------------------------------------------------------------------


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


def best_words(rows: RowBook, n: int) -> str:
    """A sentence: who finds most of what n answers offer, and what the solver's own likelihood finds."""
    ids = {name: f"best_of_n.gap_share.{row_name(name)}.n{n}" for name in NAMES}
    share = {name: rows[row].value for name, row in ids.items() if row in rows}
    if not share:
        return "No chooser can gain here: the oracle is no better than a random choice."
    best = max(share, key=lambda name: share[name])
    return (
        f"Of what {n} answers offer {best} finds the largest part, {share[best]:.0%} of the way to the "
        f"oracle; the solver's own likelihood ({OWN}) finds {share[OWN]:.0%}."
    )


def _share(rows: RowBook, row: str) -> str | None:
    found = rows.get(row)
    if found is None or found.interval is None:
        return found and f"{found.value:.0%}"
    return f"{found.value:.0%} [{found.interval[0]:.0%}, {found.interval[1]:.0%}]"


def means(found: Mapping[str, Effect]) -> dict[str, dict[int, float]]:
    """Each effect by seed: the dots of a figure."""
    return {row: {seed: value for seed, (value, _) in each.by_seed.items()} for row, each in found.items()}


def budget(results: SolverResults, stops: Stops) -> tuple[list[dict[str, Any]], list[tuple[float, float]]]:
    """(points, line) of accuracy against tokens a question, means over solvers.

    line: (tokens, accuracy) of N searches and the choice by own likelihood. points: adaptive N, and two
    searches with one planned pass and the same choice.
    """
    test, own = results.of("test", SEARCH), results.of("test", OWN_PLAN)
    accuracies = np.mean(list(curves(_cut(test), (OWN,))[OWN].values()), axis=0)
    each = float(selections.table(test, selections.tokens).mean.mean())
    points = [
        {
            "name": f"adaptive N, {name}",
            "tokens": float(np.mean([one.tokens for one in found.values()])),
            "accuracy": float(np.mean([one.accuracy.mean() for one in found.values()])),
        }
        for name, found in stops.items()
    ]
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
