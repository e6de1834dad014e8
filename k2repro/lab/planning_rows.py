"""Every number of notebook 04 that trained models stand behind, by row id."""

from collections.abc import Callable, Sequence

import numpy as np

from k2repro.evaluate import wilson_interval
from k2repro.evaluate.effects import SeedTable
from k2repro.lab import planner, selections
from k2repro.lab.best_of_n_rows import (
    FEW,
    MEAN,
    ORACLE,
    SINGLE,
    TABLE_2,
    Found,
    accuracy,
    by_level,
    gap,
    level,
    minus,
    ratio,
    unit_of,
)
from k2repro.lab.effect_rows import add_effects
from k2repro.lab.marks import OWN, SEARCH, Marks
from k2repro.lab.selections import BySeed
from k2repro.lab.test_time import SolverResults
from k2repro.mini.plans import WORKABLE
from k2repro.results import RowBook

# By what one of two searches and a planned pass may be chosen; which it is, validation problems decide.
CHOICES = ("own-sum", "own-mean", "judge", "judge+own")
# The judge did not read what solvers wrote along the planner's plans.
LIKELIHOODS = ("own-sum", "own-mean")


def add_rows(rows: RowBook, results: SolverResults) -> Found:
    """All rows of the notebook; returns what stands behind those of the solvers."""
    _planner(rows, results)
    found: Found = {}
    for kind in results.plans_tried:
        found |= _alone(results, kind)
    found |= _scores(results) | _together(results) | _with_planner(results) | _planner_together(results)
    add_effects(rows, found, unit_of)
    return found


# ---- the planner alone ----------------------------------------------------------------------------


def _planner(rows: RowBook, results: SolverResults) -> None:
    """Share of plans that work, read off the planner's thinking and as it writes them down, by tier."""
    test = results.written["test"]
    for name, kinds in (("workable", planner.kinds(test)), ("line_workable", planner.line_kinds(test))):
        for tier, count in kinds.items():
            right, n = count[WORKABLE], count.total()
            interval = wilson_interval(right, n)
            rows.add(
                f"planning.{name}.{tier}",
                right / n,
                unit="fraction",
                scale="mini",
                n=n,
                interval=(interval.low, interval.high),
                interval_method=f"{interval.method}, one planner",
                seeds=(0,),
                of_models=True,
            )
    rows.add(
        "planning.planner_tokens",
        float(np.mean([each.tokens for each in test])),
        unit="tokens",
        scale="mini",
        n=len(test),
        seeds=(0,),
        of_models=True,
    )


# ---- one pass along a plan ------------------------------------------------------------------------


def beside(searched: BySeed, planned: BySeed) -> dict[int, list[Marks]]:
    """The searches of the problems that were asked with a plan too, in their order."""
    found = {}
    for seed, marks in planned.items():
        known = {each.id: each for each in searched[seed]}
        found[seed] = [known[each.id] for each in marks]
    return found


def _pairwise(searched: BySeed, planned: BySeed, value: Callable[[Marks, Marks], float]) -> SeedTable:
    """One value a problem from its searches and its planned passes."""
    ids = tuple(each.id for each in next(iter(planned.values())))
    pairs = beside(searched, planned)
    return SeedTable(
        ids,
        {
            seed: np.array([value(a, b) for a, b in zip(pairs[seed], found, strict=True)])
            for seed, found in planned.items()
        },
    )


def _alone(results: SolverResults, kind: str) -> Found:
    """One pass along a plan of this kind against one search, by level; and how long it is."""
    planned = results.of("test", kind)
    searched = beside(results.of("test", SEARCH), planned)
    searches = by_level(searched)
    found: Found = {}
    for name, part in by_level(planned).items():
        alone, single = accuracy(part, SINGLE, 1), accuracy(searches[name], SINGLE, 1)
        found |= level(f"planning.alone.{kind}.{name}", alone)
        found |= gap(f"planning.alone_minus_search.{kind}.{name}", alone, single)
    along, searching = (selections.table(each, selections.tokens) for each in (planned, searched))
    unsolved = _pairwise(searched, planned, lambda a, _: float(not any(a.column("right"))))
    rescued = _pairwise(searched, planned, _rescued)
    found |= ratio(f"planning.token_ratio.{kind}", along, searching)
    return found | ratio(f"planning.rescued.{kind}", rescued, unsolved)


def _rescued(searched: Marks, planned: Marks) -> float:
    """Share of right planned passes where no search is right; 0 where one is."""
    return 0.0 if any(searched.column("right")) else float(np.mean(planned.column("right")))


def _with_planner(results: SolverResults) -> Found:
    """What the planner and a solver along its plan write together, against one search."""
    planned = results.of("test", "planner")
    spent = {each.id: each.tokens for each in results.written["levels"]}
    both = selections.table(planned, lambda each: spent[each.id] + selections.tokens(each))
    searched = selections.table(beside(results.of("test", SEARCH), planned), selections.tokens)
    return ratio("planning.token_ratio_of_both_roles", both, searched)


def _scores(results: SolverResults) -> Found:
    """The row "Plan only" of the paper's Table 2: one pass along the planner's plan, or the solver's own."""
    planned = results.of("test", results.plan)
    searches = by_level(beside(results.of("test", SEARCH), planned))
    found: Found = {}
    for name, part in by_level(planned).items():
        plan, single = accuracy(part, SINGLE, 1), accuracy(searches[name], SINGLE, 1)
        row = "planning.gain" if name == MEAN else f"planning.gain.{name}"
        found |= level(f"planning.score.plan.{name}", plan) | gap(row, plan, single)
    best, plan = accuracy(searches[MEAN], TABLE_2, FEW), accuracy(planned, SINGLE, 1)
    found |= gap("best_of_n.gain_exceeds_planning", best, plan)
    return found | _plan_and_choice(results)


def _plan_and_choice(results: SolverResults) -> Found:
    """The row "Plan + Bo3" of Table 2 and the lengths of Table 3, with the same plans as "Plan only"."""
    select = best_choice(results, LIKELIHOODS if results.plan == "planner" else CHOICES)
    planned = results.of("test", results.plan)
    searches = by_level(beside(results.of("test", SEARCH), planned))
    found: Found = {}
    for name, part in by_level(planned).items():
        single = selections.table(searches[name], selections.tokens)
        spent = _pairwise(searches[name], part, selections.paired_tokens)
        together = mixed(searches[name], part, select)
        found |= level(f"best_of_n.score.plan-bo3.{name}", together)
        if name == MEAN:
            found |= gap(
                "planning.plan_and_choice_minus_oracle", together, accuracy(searches[name], ORACLE, FEW)
            )
        found |= ratio(f"best_of_n.length-change.{name}", minus(_scaled(spent, 1 / FEW), single), single)
    return found


# ---- two searches and a planned pass --------------------------------------------------------------


def best_choice(results: SolverResults, among: Sequence[str] = CHOICES) -> str:
    """The selector that does best on validation among two searches and a planned pass, all seeds together."""
    searched, own = results.of("validation", SEARCH), results.of("validation", OWN)
    return max(among, key=lambda name: float(mixed(searched, own, name).mean.mean()))


def mixed(searched: BySeed, planned: BySeed, name: str) -> SeedTable:
    return _pairwise(searched, planned, lambda a, b: selections.mixed(a, b, name))


def _together(results: SolverResults) -> Found:
    """Two searches and a pass along their own order against three searches, chosen as validation says."""
    select = best_choice(results)
    own, searches = by_level(results.of("test", OWN)), by_level(results.of("test", SEARCH))
    found: Found = {}
    for name, planned in own.items():
        searched = searches[name]
        together, three = mixed(searched, planned, select), accuracy(searched, select, FEW)
        row = "planning.plan_bo3_minus_bo3" if name == MEAN else f"planning.plan_bo3_minus_bo3.{name}"
        found |= level(f"planning.own_bo3.{name}", together) | level(f"planning.bo3.{name}", three)
        found |= gap(row, together, three)
    single = selections.table(searches[MEAN], selections.tokens)
    spent = _pairwise(searches[MEAN], own[MEAN], selections.paired_tokens)
    found |= ratio("planning.plan_bo3_token_ratio", spent, _scaled(single, FEW))
    return found | _correlation(searches[MEAN], own[MEAN])


def _planner_together(results: SolverResults) -> Found:
    """Two searches and a pass along a planner's plan, against three searches, chosen alike.

    The planner's on the problems without deep pools: the others were looked at before this was declared, and
    stand in a row of their own, `.seen`. The control's on all problems.
    """
    row, select = "planning.{}_bo3_minus_bo3", best_choice(results, LIKELIHOODS)
    planned, short = results.of("test", planner.LONG), results.of("test", planner.SHORT)
    deep = {each.id for each in next(iter(selections.deep(results.of("test", SEARCH)).values()))}
    seen = {seed: [each for each in marks if each.id in deep] for seed, marks in planned.items()}
    fresh = {seed: [each for each in marks if each.id not in deep] for seed, marks in planned.items()}
    found = _against_three(results, seen, select, f"{row.format('planner')}.seen")
    if all(fresh.values()):
        for name, part in by_level(fresh).items():
            found |= _against_three(results, part, select, _by_name(row.format("planner"), name))
        found |= _prices(results, fresh, select, "planner", "levels")
    for name, part in by_level(short).items():
        found |= _against_three(results, part, select, _by_name(row.format("short_planner"), name))
    return found | _prices(results, short, select, "short_planner", planner.SHORT)


def _by_name(row: str, name: str) -> str:
    return row if name == MEAN else f"{row}.{name}"


def _against_three(results: SolverResults, planned: BySeed, select: str, row: str) -> Found:
    """Two searches and a planned pass minus three searches, on the problems that were planned."""
    searched = beside(results.of("test", SEARCH), planned)
    return gap(row, mixed(searched, planned, select), accuracy(searched, select, FEW))


def _prices(results: SolverResults, planned: BySeed, select: str, name: str, part: str) -> Found:
    """Tokens of the solver, and of both roles, against three searches; and what as many buy in searches.

    part: of `results.written`, whose plans these are.
    """
    searched = beside(results.of("test", SEARCH), planned)
    spent = {each.id: each.tokens for each in results.written[part]}
    single = selections.table(searched, selections.tokens)
    solver = _pairwise(searched, planned, selections.paired_tokens)
    both = _pairwise(searched, planned, lambda a, b: selections.paired_tokens(a, b) + spent[b.id])
    bought = {seed: float(both.by_seed[seed].mean() / single.by_seed[seed].mean()) for seed in searched}
    equal = SeedTable(
        both.ids,
        {
            seed: np.array([selections.at_budget(each, select, bought[seed]) for each in marks])
            for seed, marks in searched.items()
        },
    )
    return (
        ratio(f"planning.{name}_bo3_token_ratio", solver, _scaled(single, FEW))
        | ratio(f"planning.{name}_bo3_token_ratio_of_both_roles", both, _scaled(single, FEW))
        | gap(f"planning.{name}_bo3_minus_equal_tokens", mixed(searched, planned, select), equal)
    )


def _correlation(searched: BySeed, planned: BySeed) -> Found:
    """How often two searches are both wrong, and how often the likelier's own plan is wrong with a search."""

    def two_searches(marks: Marks, _: Marks) -> float:
        wrong = 1 - np.array(marks.column("right"))
        return float((wrong.sum() ** 2 - wrong.sum()) / (len(wrong) * (len(wrong) - 1)))

    def with_plan(marks: Marks, plan: Marks) -> float:
        wrong = (1 - np.mean(each.column("right")) for each in (marks, plan))
        return float(np.prod(list(wrong)))

    both = _pairwise(searched, planned, two_searches), _pairwise(searched, planned, with_plan)
    return level("planning.both_wrong.two_searches", both[0]) | level(
        "planning.both_wrong.search_and_plan", both[1]
    )


def _scaled(table: SeedTable, factor: float) -> SeedTable:
    return SeedTable(table.ids, {seed: factor * values for seed, values in table.by_seed.items()})
