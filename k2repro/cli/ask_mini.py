"""`k2repro solve` on the mini-K2 that ships: which checkpoints answer, plan and judge."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from k2repro.cli.command import say
from k2repro.errors import K2ReproError

if TYPE_CHECKING:
    from k2repro.solve import Solution, SolveSettings

# What --planner without a folder stands for.
TRAINED_HERE = "trained here"
# The options that mini-K2 looks at; what it is sampled with is fixed. It streams nothing anyway.
MINI_READS = (
    "question", "best_of", "planned", "planner", "plan_text", "judge", "select", "seed", "trace", "json",
    "no_stream",
)  # fmt: skip


def on_mini(question: str, args: argparse.Namespace) -> "Solution":
    """One question in the language of mini-K2. Raises K2ReproError for one outside of it."""
    from k2repro.engine import LocalBackend
    from k2repro.results import Places
    from k2repro.solve import Roles, solve
    from k2repro.solve.mini import MiniDialect, given_plan, shipped_checkpoint
    from k2repro.solve.reading import LocalReader
    from k2repro.solve.roles import JUDGE_READS, NEEDS_JUDGE, SOLVER_READS

    dialect, settings = MiniDialect(), _mini_settings(args)
    _check_used(args, settings)
    dialect.check(question)
    folder = shipped_checkpoint(Places.find().shipped_artifacts("laptop"))

    def loaded(where: Path, name: str) -> LocalBackend:
        return LocalBackend.from_checkpoint(where, name=name, compiled=False)

    whose = "a given" if args.plan_text is not None else "a planner's" if args.planner else "its own"
    if not args.json:
        say(
            f"mini-K2 ({folder.parent.name} {folder.name}): {settings.n} samples, {settings.planned} along "
            f"{whose} order, chosen by {settings.select}"
        )
    solver = loaded(folder, "mini-K2")
    readers = {SOLVER_READS: LocalReader(solver, solver)}
    if settings.select in NEEDS_JUDGE:
        readers[JUDGE_READS] = LocalReader(loaded(_judge(args.judge), "the judge"), solver)
    roles = Roles(solver, loaded(_planner(args.planner), "planner") if args.planner else None, None, readers)
    plan = None if args.plan_text is None else given_plan(args.plan_text)
    return solve(
        question, roles, dialect, settings, seed=args.seed, plan=plan, tell=None if args.json else say
    )


def _check_used(args: argparse.Namespace, settings: "SolveSettings") -> None:
    """Raises K2ReproError for a planner or a judge that nobody would ask."""
    from k2repro.solve.roles import NEEDS_JUDGE

    if args.planner and (args.plan_text is not None or not settings.planned):
        raise K2ReproError(
            "--planner beside a plan of your own, or without a planned sample: nobody would ask it"
        )
    if args.judge and settings.select not in NEEDS_JUDGE:
        raise K2ReproError(
            f"--judge with --select {settings.select}: that selector asks no judge; --select judge does"
        )


def _mini_settings(args: argparse.Namespace) -> "SolveSettings":
    """What is asked of mini-K2: by default two searches and one pass along a plan."""
    from dataclasses import replace

    from k2repro.solve.mini import SETTINGS

    n = SETTINGS.n if args.best_of is None else args.best_of
    planned = SETTINGS.planned if n > 1 or args.planner or args.plan_text is not None else 0
    planned = planned if args.planned is None else args.planned
    # Several plans of one question have to be drawn; the likeliest one would be the same each time.
    sampling = replace(SETTINGS.planner, temperature=SETTINGS.planner.temperature if planned < 2 else 1.0)
    return replace(SETTINGS, n=n, planned=planned, select=args.select or SETTINGS.select, planner=sampling)


def _judge(where: str | None) -> Path:
    """The folder of mini-K2's judge: the one that ships, or another."""
    from k2repro.results import Places
    from k2repro.solve.mini import shipped_judge

    return Path(where) if where else shipped_judge(Places.find().shipped_artifacts("laptop"))


def _planner(where: str) -> Path:
    """The folder of mini-K2's planner; its weights do not ship, so the first use trains it."""
    if where != TRAINED_HERE:
        return Path(where)
    from k2repro.lab.campaign import carry_out
    from k2repro.lab.planner import planner
    from k2repro.lab.scale import Scale
    from k2repro.results.store import open_store

    (folder,) = carry_out([planner(0, Scale.of_profile("laptop"))], open_store("laptop")).values()
    return folder
