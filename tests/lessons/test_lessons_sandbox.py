"""Catches: lessons of notebook 03 that show something else than what the code does."""

from k2repro.lab.rl_probe import SHOWN, ProbePoint
from k2repro.lab.rl_runs import run_named
from k2repro.lab.rlvr import Log
from k2repro.lessons import lax, published, sandbox
from k2repro.mini import programs
from k2repro.mini.benchmarks import benchmark_problems
from k2repro.mini.data import reference_response
from k2repro.mini.grading import run_programs
from k2repro.rlvr.config import GrpoConfig

WRONG = "<think></think><answer>def f(*given): return None</answer>"


def test_every_published_setting_stands_once_and_ours_are_read_from_the_code():
    """Catches a setting that is lost, and a column of ours that names settings nobody published."""
    records = published.grpo_records()
    named = {record["setting"] for record in records}
    assert len(named) == len(records)
    assert set(published._our_grpo()) <= named
    ours = {record["setting"]: record["mini-K2"] for record in records}
    assert ours["rollouts per prompt"] == str(GrpoConfig(max_new_tokens=1).group_size)


def test_only_the_right_program_is_paid():
    """Catches a sandbox that believes what a program prints, or a program that is wrong by its type only."""
    rewards = {record["program"]: record["reward"] for record in sandbox.sandbox_records()}
    assert [name for name, reward in rewards.items() if reward] == ["right"]


def test_the_strict_verifier_singles_out_the_honest_response_and_the_lax_ones_do_not():
    """Catches a lesson on hacking in which lax verifiers push honesty up as well."""
    [problem] = benchmark_problems("tier-1", "validation", 1)
    pushed = {record["response"]: record for record in lax.lax_advantages(problem)}
    for name, record in pushed.items():
        assert (float(record["strict"]) > 0) == (name == "honest")
    assert pushed["honest"]["anywhere"] == pushed["lists every digit"]["anywhere"]


def test_the_program_that_is_shown_turned_right():
    """Catches an example of a gain that was right before, or is wrong after."""
    asked = benchmark_problems(programs.TIER, "validation", SHOWN)
    right = {problem.id: reference_response(problem, "searching") for problem in asked}
    wrong = dict.fromkeys(right, WRONG)
    first = wrong | {asked[0].id: right[asked[0].id]}
    last = right | {asked[1].id: WRONG}
    problem, before, after = sandbox.turned_program([_log(wrong, wrong), _log(first, last)])
    assert problem.id == asked[2].id
    assert [run.passed for run in run_programs([(problem, before), (problem, after)])] == [False, True]
    outcomes = {record["outcome"] for record in sandbox.tested_records(problem, before)}
    assert outcomes == {"wrong answer"}


def test_without_a_program_that_turned_right_the_first_is_shown():
    """Catches an error in a notebook whose run learnt nothing, or wrote no program at all."""
    asked = benchmark_problems(programs.TIER, "validation", SHOWN)
    nothing = dict.fromkeys([problem.id for problem in asked], "not a response")
    assert sandbox.turned_program([_log(nothing, nothing)]) == (asked[0], "", "")


def _log(first: dict[str, str], last: dict[str, str]) -> Log:
    points = tuple(
        ProbePoint(step, {programs.TIER: ""}, {programs.TIER: ()}, {programs.TIER: ()}, texts)
        for step, texts in ((0, first), (1, last))
    )
    return Log(run_named("code"), 0, (), points)
