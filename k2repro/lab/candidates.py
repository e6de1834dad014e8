"""Candidates for planning and best-of-N: what a solver answers to hard problems, with and without a plan.

weights of a solver -> search  -> (read by the solver) -> own plans -> planned by "own"
                    -> planned by "gold", "shuffled", "missing" and by each of `planner.PLANNERS`
                    -> check: what the solver gets along the order of each searched candidate, greedily

A solver is a model of RL from SFT. Candidates are texts; how likely they are, and to whom, is `readings`.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from k2repro.best_of_n import distinct_ways
from k2repro.engine import NUMERICS as ENGINE
from k2repro.errors import unknown
from k2repro.evaluate import POOLS
from k2repro.lab import planner, readings, rlvr
from k2repro.lab.asking import FILE, AskedPrompt, read_askings
from k2repro.lab.levels import first_of, level_problems
from k2repro.lab.lines import write_lines
from k2repro.lab.made import Made, Making
from k2repro.lab.pools import Asked
from k2repro.lab.scale import Scale
from k2repro.mini import GRADER, TEXTS, variables
from k2repro.mini.benchmarks import LEVELS, MAX_NEW_TOKENS_LEVELS, benchmark_problems
from k2repro.mini.checkpoint import load_checkpoint
from k2repro.mini.orders import evaluation_order
from k2repro.mini.problem import Problem, item_random

SOLVER = rlvr.SHIPPED
# Plans that show what a plan is worth: the program's, two trained planners', and two that are wrong: the
# program's in another order, and with one name missing.
EXHIBITS = ("gold", planner.LONG, planner.SHORT, "shuffled", "missing")
# Two searches, and one pass along the order of the likelier of them.
PAIR = 2


# ---- things to be made ----------------------------------------------------------------------------


def solver(seed: int, scale: Scale) -> Made:
    """The weights that answer."""
    return rlvr.weights(SOLVER, seed, scale)


def counted(split: str, scale: Scale) -> dict[str, int]:
    """Problems of each level and samples of each; on test the first `deep` problems get more samples."""
    if split == "validation":
        return {"problems": scale.chosen, "samples": scale.candidates, "deep": 0}
    return {"problems": scale.asked, "samples": scale.candidates, "deep": min(scale.deep, scale.asked)}


def search(seed: int, split: str, scale: Scale) -> Made:
    """Answers without a plan; to the first problems of a level more of them."""
    params = {**counted(split, scale), "deep_samples": scale.deep_samples, **_asked(split)}
    return Made(
        "candidates",
        f"search-{split}",
        seed,
        partial(_search, params, seed),
        params,
        _WORDS,
        {"solver": solver(seed, scale)},
    )


def planned(kind: str, seed: int, scale: Scale) -> Made:
    """One answer to each of the first test problems along a plan, to every one along a planner's.

    kind: one of EXHIBITS. Raises K2ReproError for another kind.
    """
    if kind not in EXHIBITS:
        raise unknown("kind of plan", kind, EXHIBITS)
    split, count = "test", scale.asked if kind in planner.PLANNERS else min(scale.deep, scale.asked)
    params = {"kind": kind, "problems": count, **_asked(split)}
    needs = {"solver": solver(seed, scale)}
    if kind in planner.PLANNERS:
        needs["plans"] = plans(split, count, scale, kind)
    return Made(
        "candidates", f"planned-{kind}-{split}", seed, partial(_planned, params, seed), params, _WORDS, needs
    )


def plans(split: str, count: int, scale: Scale, name: str = planner.LONG) -> Made:
    """What a planner hands over: one for all solvers, as in K2-Think."""
    return planner.written(
        0, scale, tiers=LEVELS, split=split, problems=count, first=first_of(split), name=name
    )


def own(seed: int, split: str, scale: Scale) -> Made:
    """For each pair of searches one answer along the order of the likelier of the two."""
    searched = search(seed, split, scale)
    params = {"pairs": scale.candidates // PAIR, **_asked(split)}
    needs = {
        "solver": solver(seed, scale),
        "search": searched,
        "likelihood": readings.reading(solver(seed, scale), searched),
    }
    return Made(
        "candidates", f"planned-own-{split}", seed, partial(_own, params, seed), params, _WORDS, needs
    )


def check(seed: int, split: str, scale: Scale) -> Made:
    """Along the order of each searched candidate, the likeliest answer of the same solver."""
    needs = {"solver": solver(seed, scale), "search": search(seed, split, scale)}
    params = _asked(split)
    return Made("candidates", f"check-{split}", seed, partial(_check, params, seed), params, _WORDS, needs)


_WORDS = (ENGINE, POOLS, TEXTS, GRADER)


def _asked(split: str) -> dict[str, Any]:
    return {
        "split": split,
        "levels": list(LEVELS),
        "first": first_of(split),
        "max_new_tokens": MAX_NEW_TOKENS_LEVELS,
    }


# ---- making ---------------------------------------------------------------------------------------


def _search(params: Mapping[str, Any], seed: int, making: Making) -> None:
    deep, rest, split = [], [], params["split"]
    for level in LEVELS:
        every = benchmark_problems(level, split, params["problems"], start=first_of(split))
        deep += every[: params["deep"]]
        rest += every[params["deep"] :]
    groups = [(deep, params["deep_samples"]), (rest, params["samples"])]
    unplanned = [([replace(each, plan="") for each in group], n) for group, n in groups if group]
    _ask(unplanned, seed, making)


def _planned(params: Mapping[str, Any], seed: int, making: Making) -> None:
    problems = level_problems(params["split"], params["problems"])
    if params["kind"] in planner.PLANNERS:
        handed = {each.id: each.plan for each in planner.read_plans(making.needs["plans"])}
        given = [variables.marked(handed[each.id]) for each in problems]
    else:
        given = [bent(params["kind"], each) for each in problems]
    _ask([(_along(zip(problems, given, strict=True), params["kind"]), 1)], seed, making)


def bent(kind: str, problem: Problem) -> str:
    """The program's plan: as it is, with its names in another order, or with one of them left out."""
    order = list(variables.system_of(problem).needed)
    rng = item_random(f"plan-{kind}", problem.id.replace("/", "."))
    if kind == "shuffled":
        rng.shuffle(order)
    elif kind == "missing":
        order.remove(rng.choice(order))
    return variables.marked_plan_text(order)


def _own(params: Mapping[str, Any], seed: int, making: Making) -> None:
    known = {each.id: each for each in read_askings(making.needs["search"])}
    likely = {each.id: each for each in readings.read_readings(making.needs["likelihood"])}
    found: list[tuple[Problem, str]] = []
    for problem in level_problems(params["split"], len(known) // len(LEVELS)):
        asking, reading = known[problem.id], likely[problem.id]
        for first in range(0, PAIR * params["pairs"], PAIR):
            better = readings.likeliest(asking, reading, range(first, first + PAIR))
            found.append((problem, variables.marked_plan_text(evaluation_order(asking.texts[better]))))
    _ask([(_along(found, "own"), 1)], seed, making)


def _check(params: Mapping[str, Any], seed: int, making: Making) -> None:
    known = {each.id: each for each in read_askings(making.needs["search"])}
    found: list[tuple[Problem, str]] = []
    for problem in level_problems(params["split"], len(known) // len(LEVELS)):
        orders = [variables.marked_plan_text(evaluation_order(text)) for text in known[problem.id].texts]
        found += [(problem, way) for way in distinct_ways(orders).distinct]
    _ask([(_along(found, "check"), 1)], seed, making, temperature=0.0)


def _along(pairs: Iterable[tuple[Problem, str]], kind: str) -> list[Problem]:
    """Problems that carry these plans, each with an id and thereby a stream of random numbers of its own."""
    return [
        replace(problem, id=f"{problem.id}#{kind}-{at}", plan=plan)
        for at, (problem, plan) in enumerate(pairs)
    ]


def _ask(
    groups: Sequence[tuple[Sequence[Problem], int]], seed: int, making: Making, temperature: float = 1.0
) -> None:
    """Ask, grade, and write one line for each prompt."""
    model = load_checkpoint(making.needs["solver"])
    asked = Asked(
        model,
        seed,
        making.work,
        making.report,
        max_new_tokens=MAX_NEW_TOKENS_LEVELS,
        temperature=temperature,
        planned=True,
    )
    pool = asked.pool(groups, {})
    known = {each.id: each for problems, _ in groups for each in problems}
    write_lines(
        making.folder / FILE,
        (
            AskedPrompt(
                each.id.partition("#")[0],
                each.tier,
                known[each.id].question,
                known[each.id].plan,
                tuple(one.text for one in each.generations),
                tuple(one.tokens for one in each.generations),
                tuple(one.right for one in each.generations),
            )
            for each in pool.attempts
        ),
    )
