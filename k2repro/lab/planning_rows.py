"""Every number of notebook 04 that trained models stand behind, by row id."""

from collections.abc import Callable

import numpy as np

from k2repro.evaluate import wilson_interval
from k2repro.evaluate.effects import Table
from k2repro.lab import planner, selections
from k2repro.lab.best_of_n_rows import FEW, MEAN, SINGLE, TABLE_2, accuracy, by_level, minus
from k2repro.lab.marks import OWN, SEARCH, Marks
from k2repro.lab.selections import BySeed
from k2repro.lab.test_time import SolverResults
from k2repro.lab.two_level_rows import TwoLevelRows
from k2repro.mini.plans import WORKABLE
from k2repro.results import RowBook

# By what one of two searches and a planned pass may be chosen; which it is, validation problems decide.
CHOICES = ("own-sum", "own-mean", "judge", "judge+own")


def add_rows(rows: RowBook, results: SolverResults) -> TwoLevelRows:
    """All rows of the notebook; returns the tables behind them."""
    book = TwoLevelRows(rows)
    _workable(rows, results)
    select = best_choice(results)
    for kind in results.plans_tried:
        _alone(book, results, kind)
    _scores(book, results)
    _together(book, results, select)
    return book


def _workable(rows: RowBook, results: SolverResults) -> None:
    """Share of the planner's plans that work, by tier; of one planner, so the interval is Wilson's."""
    found = planner.kinds(results.written["test"])
    for tier, count in found.items():
        right, n = count[WORKABLE], count.total()
        interval = wilson_interval(right, n)
        rows.add(
            f"planning.workable.{tier}",
            right / n,
            unit="fraction",
            scale="mini",
            n=n,
            interval=(interval.low, interval.high),
            interval_method=f"{interval.method}, one planner",
            seeds=(0,),
            of_models=True,
        )
    tokens = [each.tokens for each in results.written["test"]]
    rows.add(
        "planning.planner_tokens",
        sum(tokens) / len(tokens),
        unit="tokens",
        scale="mini",
        n=len(tokens),
        seeds=(0,),
        of_models=True,
    )


def best_choice(results: SolverResults) -> str:
    """The selector that does best on validation among two searches and a planned pass, all seeds together."""
    searched, own = results.of("validation", SEARCH), results.of("validation", OWN)
    return max(CHOICES, key=lambda name: float(_mixed(searched, own, name).mean.mean()))


def beside(searched: BySeed, planned: BySeed) -> dict[int, list[Marks]]:
    """The searches of the problems that were asked with a plan too, in their order."""
    found = {}
    for seed, marks in planned.items():
        known = {each.id: each for each in searched[seed]}
        found[seed] = [known[each.id] for each in marks]
    return found


def _mixed(searched: BySeed, planned: BySeed, name: str) -> Table:
    return _pairwise(searched, planned, lambda a, b: selections.mixed(a, b, name))


def _pairwise(searched: BySeed, planned: BySeed, value: Callable[[Marks, Marks], float]) -> Table:
    """One value a problem from its searches and its planned passes."""
    ids = tuple(each.id for each in next(iter(planned.values())))
    return Table(
        ids,
        {
            seed: np.array([value(a, b) for a, b in zip(beside(searched, planned)[seed], found, strict=True)])
            for seed, found in planned.items()
        },
    )


def _alone(book: TwoLevelRows, results: SolverResults, kind: str) -> None:
    """One pass along a plan of this kind against one search, by level; and how long it is."""
    planned = results.of("test", kind)
    searched = beside(results.of("test", SEARCH), planned)
    parts, searches = by_level(planned), by_level(searched)
    for level, part in parts.items():
        alone, single = accuracy(part, SINGLE, 1), accuracy(searches[level], SINGLE, 1)
        book.level(f"planning.alone.{kind}.{level}", alone)
        book.difference(f"planning.alone_minus_search.{kind}.{level}", alone, single)
    book.ratio(
        f"planning.token_ratio.{kind}",
        selections.table(planned, selections.tokens),
        selections.table(searched, selections.tokens),
        unit="ratio",
    )
    unsolved = _pairwise(searched, planned, lambda a, _: float(not any(a.column("right"))))
    rescued = _pairwise(searched, planned, _rescued)
    book.ratio(f"planning.rescued.{kind}", rescued, unsolved)


def _rescued(searched: Marks, planned: Marks) -> float:
    """Share of right planned passes where no search is right; 0 where one is."""
    return 0.0 if any(searched.column("right")) else float(np.mean(planned.column("right")))


def _scores(book: TwoLevelRows, results: SolverResults) -> None:
    """The row "Plan only" of the paper's Table 2: one pass along the solver's own plan, or the planner's."""
    kind = results.plan
    planned = results.of("test", kind)
    searches = by_level(beside(results.of("test", SEARCH), planned))
    for level, part in by_level(planned).items():
        plan, single = accuracy(part, SINGLE, 1), accuracy(searches[level], SINGLE, 1)
        book.level(f"planning.score.plan.{level}", plan)
        book.difference("planning.gain" if level == MEAN else f"planning.gain.{level}", plan, single)
    best = accuracy(searches[MEAN], TABLE_2, FEW)
    book.difference("best_of_n.gain_exceeds_planning", best, accuracy(planned, SINGLE, 1))


def _together(book: TwoLevelRows, results: SolverResults, select: str) -> None:
    """Two searches and one planned pass against three searches, both chosen by `select`."""
    own, searches = by_level(results.of("test", OWN)), by_level(results.of("test", SEARCH))
    for level, planned in own.items():
        searched = searches[level]
        together, three = _mixed(searched, planned, select), accuracy(searched, select, FEW)
        book.level(f"best_of_n.score.plan-bo3.{level}", together)
        book.level(f"planning.bo3.{level}", three)
        name = "planning.plan_bo3_minus_bo3"
        book.difference(name if level == MEAN else f"{name}.{level}", together, three)
        single = selections.table(searched, selections.tokens)
        spent = _pairwise(searched, planned, selections.paired_tokens)
        each = _scaled(spent, 1 / FEW)
        book.ratio(f"best_of_n.length-change.{level}", minus(each, single), single)
        if level == MEAN:
            book.difference("planning.gain_on_best_of_3", together, three)
            book.ratio("planning.plan_bo3_token_ratio", spent, _scaled(single, FEW), unit="ratio")
            book.ratio("planning.length_change", minus(each, single), single)
    _correlation(book, searches[MEAN], own[MEAN])


def _correlation(book: TwoLevelRows, searched: BySeed, planned: BySeed) -> None:
    """How often two searches are both wrong, and how often the likelier's own plan is wrong with a search."""

    def two_searches(marks: Marks, _: Marks) -> float:
        wrong = 1 - np.array(marks.column("right"))
        return float((wrong.sum() ** 2 - wrong.sum()) / (len(wrong) * (len(wrong) - 1)))

    def with_plan(marks: Marks, plan: Marks) -> float:
        return float(
            np.mean(1 - np.array(marks.column("right"))) * np.mean(1 - np.array(plan.column("right")))
        )

    book.level("planning.both_wrong.two_searches", _pairwise(searched, planned, two_searches))
    book.level("planning.both_wrong.search_and_plan", _pairwise(searched, planned, with_plan))


def _scaled(table: Table, factor: float) -> Table:
    return Table(table.ids, {seed: factor * values for seed, values in table.by_seed.items()})
