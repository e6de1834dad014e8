"""Catches: an arm that trains on other problems than it says, a run that does not resume to the same weights,
a campaign that makes things twice, a number of notebook 03 that is drawn from the wrong model."""

import json
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from k2repro.engine import Completion
from k2repro.errors import K2ReproError
from k2repro.lab import rlvr, rlvr_rows, sft, steady
from k2repro.lab.campaign import jobs_for
from k2repro.lab.made import make_now
from k2repro.lab.rl_runs import CODE, MEASURED, PAPER, RUNS, SHOWN, STEADY, all_runs, plan
from k2repro.lab.rl_training import REWARDS, train_prompts, train_run
from k2repro.lab.rlvr import AT_SWITCH, RlResults, carry_out_rl, models_of, starts_of
from k2repro.lab.scale import Scale
from k2repro.mini import programs, tokenizer, traces
from k2repro.mini.benchmarks import MATHS
from k2repro.mini.checkpoint import load_checkpoint, load_snapshot
from k2repro.mini.data import reference_response
from k2repro.mini.grading import grade
from k2repro.mini.problem import Problem
from k2repro.mini.variables import problems, system_of
from k2repro.pictures.rlvr_traces import AFTER, FIRST_MISTAKE, GOOD, marked_lines, steps_picture, turned_right
from k2repro.results import ArtifactStore
from k2repro.rlvr.rewards import Prompt

TINY = Scale(
    seeds=1,
    steps=0.003,
    problems=2,
    samples=1,
    deep=2,
    deep_samples=2,
    probe=1,
    rl_steps=0.05,
    prompts=2,
    group=2,
    rl_probe=2,
    points=2,
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[RlResults, ArtifactStore]:
    store = ArtifactStore(tmp_path_factory.mktemp("campaign"), shipped=None)
    return carry_out_rl(TINY, store), store


# ---- the plan of a run ------------------------------------------------------------------------------


@settings(derandomize=True, max_examples=200, deadline=None)
@given(st.sampled_from(list(RUNS)), st.floats(0.01, 1), st.integers(1, 50))
def test_a_plan_fits_any_size(name: str, share: float, points: int):
    """Catches a stage that begins between two points of the curve, or after the end."""
    planned = plan(RUNS[name], Scale(rl_steps=share, points=points))
    assert planned.points[0] == 0 and planned.points[-1] == planned.steps
    first = [step for step, _ in planned.stages]
    assert first == sorted(set(first)) and first[-1] < planned.steps
    assert set(first) <= set(planned.points)
    assert (planned.switch is None) == (len(RUNS[name].budget) == 1)


def test_the_short_budget_ends_at_half_of_the_steps():
    """Catches a switch that comes too late or never: at the point of the curve that is nearest to half."""
    planned = plan(RUNS["short-budget"], Scale())
    nearest = min(planned.points, key=lambda step: abs(step - planned.steps / 2))
    assert planned.switch == nearest
    assert planned.stages[0][1] < planned.stages[1][1]


def test_the_short_budget_of_the_steady_recipe_cuts_about_half_of_its_searches():
    """Catches a budget that was chosen for longer problems: it must cut, and leave planned passes whole."""
    short = RUNS["steady-short-budget"]
    tokens: dict[str, list[int]] = {"searching": [], "planned": []}
    for tier in short.tiers:
        for problem in problems(tier, "train", 300):
            system = system_of(problem)
            for style, write in (
                ("searching", traces.searching_response),
                ("planned", traces.planned_response),
            ):
                tokens[style].append(len(tokenizer.encode(write(system, marked=True) + tokenizer.TURN_END)))
    (_, budget), (_, full) = short.budget
    assert 0.4 < sum(each <= budget for each in tokens["searching"]) / len(tokens["searching"]) < 0.6
    assert max(tokens["planned"]) <= budget and max(tokens["searching"]) <= full


@pytest.mark.parametrize("budget", [(), ((0.1, 9),), ((0.0, 9), (0.0, 8)), ((0.0, 9), (1.0, 8))])
def test_budgets_that_leave_steps_out_are_refused(budget: tuple[tuple[float, int], ...]):
    """Catches a run whose first steps have no budget."""
    with pytest.raises(K2ReproError, match="budget shares"):
        replace(RUNS["from-sft"], budget=budget)


def test_misspelt_rewards_and_schedules_are_named():
    """Catches a typo that is found after training, or pays nothing for ever."""
    with pytest.raises(K2ReproError, match="reward 'right answr'"):
        replace(RUNS["from-sft"], reward="right answr")
    with pytest.raises(K2ReproError, match="schedule 'linaer'"):
        replace(RUNS["from-sft"], schedule="linaer")


def test_prompts_come_from_train_and_never_twice():
    """Catches test problems in training, and seeds that share their problems."""
    tiers = (*MATHS, MATHS[0])
    streams = {seed: [train_prompts(tiers, seed)(at) for at in range(50)] for seed in (0, 1)}
    asked = [prompt.problem for stream in streams.values() for prompt in stream]
    assert all(isinstance(problem, Problem) and problem.split == "train" for problem in asked)
    assert len({prompt.id for stream in streams.values() for prompt in stream}) == 100
    assert [problem.tier for problem in asked[:5]] == list(tiers)


def test_the_right_answer_pays_what_the_grader_finds_right():
    """Catches a reward of its own making; the broken one pays for any answer."""
    prompts = [train_prompts(("tier-1",), 0)(at) for at in range(4)]
    asked = [prompt.problem for prompt in prompts]
    texts = [f"<think></think><answer>{asked[0].gold}</answer>", "<answer> a=1</answer>", "", "5"]
    done = [Completion(tokens=(), finish="stop", text=text) for text in texts]
    expected = [float(right) for right in grade(asked, texts)]
    assert REWARDS["right answer"](prompts, done) == expected
    assert expected[0] == 1.0 and sum(expected) == 1.0
    assert REWARDS["any answer"](prompts, done) == [1.0, 1.0, 0.0, 0.0]
    with pytest.raises(K2ReproError, match="nobody can judge"):
        REWARDS["right answer"]([Prompt("x", (1,), None)], done[:1])


# ---- artifacts --------------------------------------------------------------------------------------


def test_each_arm_of_the_paper_and_each_control_is_run():
    """Catches an arm that the notebook shows and nobody trains."""
    assert {name for name, _ in all_runs(Scale(seeds=2))} == {*MEASURED, *SHOWN}
    assert set(RUNS) == {*MEASURED, *SHOWN, *STEADY}
    assert set(STEADY) == {*steady.REINFORCED, steady.BROKEN, steady.SHORT}
    assert {*PAPER, *CODE} <= set(RUNS)
    assert [seed for name, seed in all_runs(Scale(seeds=2)) if name == "from-base"] == [0, 1]
    assert ("sft", 1) in starts_of(Scale(seeds=2))


def test_whatever_makes_a_run_is_in_its_address():
    """Catches a result that survives a change of arm, seed or size."""
    larger, retrained = replace(TINY, prompts=3), replace(TINY, steps=0.004)
    keys = {
        rlvr.weights(name, seed, scale).key
        for name in RUNS
        for seed in (0, 1)
        for scale in (TINY, larger, retrained)
    }
    assert len(keys) == 3 * 2 * len(RUNS)
    with pytest.raises(K2ReproError, match="run 'from-stf'"):
        rlvr.weights("from-stf", 0, TINY)


def test_a_campaign_makes_everything_once(made: tuple[RlResults, ArtifactStore]):
    """Catches a second call that trains again, and a model without scores."""
    campaign, store = made
    assert jobs_for(rlvr.everything(TINY), store) == []
    models = {model for name, _ in all_runs(TINY) for model in models_of(name, TINY)}
    assert set(campaign.scores) == models | {"base", "sft"}
    assert {attempt.tier for attempt in campaign.scores["code"][0].attempts} == {programs.TIER}
    for name, _ in all_runs(TINY):
        log = campaign.logs[name][0]
        planned = plan(RUNS[name], TINY)
        assert [record.step for record in log.records] == list(range(planned.steps))
        assert [point.step for point in log.points] == planned.points


def test_weights_at_the_switch_stand_only_where_a_budget_changes(made: tuple[RlResults, ArtifactStore]):
    """Catches scores "at the switch" of a run that has none."""
    _, store = made
    with pytest.raises(K2ReproError, match="there is no switch"):
        rlvr.scores(f"from-sft{AT_SWITCH}", 0, TINY)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_same_run_gives_the_same_bits_with_one_and_two_threads(
    made: tuple[RlResults, ArtifactStore], tmp_path, threads: int
):
    """Catches randomness from outside the seed, and a sum of gradients cut by the threads at hand.

    What was kept was made by jobs of one thread.
    """
    _, store = made
    start = make_now(sft.weights("base", 0, TINY), store)
    kept = make_now(rlvr.training("from-base", 0, TINY), store)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        model = load_checkpoint(start)
        records = train_run(RUNS["from-base"], model, 0, TINY, tmp_path)
    finally:
        torch.set_num_threads(before)
    lines = [json.loads(line) for line in (kept / rlvr.RECORDS).read_text().splitlines()]
    assert [record.as_dict() for record in records] == lines
    last = load_snapshot(sorted((kept / rlvr.STEPS).iterdir())[-1])
    pairs = zip(model.state_dict().values(), last.state_dict().values(), strict=True)
    assert all(torch.equal(mine, theirs) for mine, theirs in pairs)


def test_the_cut_into_micro_batches_is_in_the_address_of_a_run(monkeypatch):
    """Catches runs whose last bits depend on something that their key does not say."""
    before = rlvr.weights("from-base", 0, TINY).key
    monkeypatch.setattr(rlvr, "MICRO_BATCH_MULTIPLE", 1)
    assert rlvr.weights("from-base", 0, TINY).key != before


# ---- what notebook 03 draws -------------------------------------------------------------------------


def test_every_row_is_of_the_models_that_its_name_says(made: tuple[RlResults, ArtifactStore]):
    """Catches rows from the wrong pools: gains are differences of the levels, tier by tier."""
    campaign, _ = made
    levels = rlvr_rows.pass_rates(campaign)
    for prefix, arm, start in (
        ("rlvr.gain_from_sft", "rl-from-sft", "sft"),
        ("rlvr.gain_from_base", "rl-from-base", "base"),
    ):
        for name, gain in rlvr_rows.gains(campaign).items():
            if name.startswith(prefix):
                tier = name.removeprefix(prefix).strip(".") or "mean"
                expected = (
                    levels[f"rlvr.pass_at_1.{arm}.{tier}"].value
                    - levels[f"rlvr.pass_at_1.{start}.{tier}"].value
                )
                assert gain.value == pytest.approx(expected)
    found = (
        rlvr_rows.final_levels(campaign)
        | rlvr_rows.budgets(campaign)
        | rlvr_rows.controls(campaign)
        | rlvr_rows.code(campaign)
    )
    assert "rlvr.short_budget_minus_sft" in found and "rlvr.code.gain" in found
    assert found["rlvr.code.gain"].n == TINY.problems


def test_the_rows_do_not_depend_on_which_others_are_drawn(made: tuple[RlResults, ArtifactStore]):
    """Catches a shared random stream: asked alone or after others, a row is the same."""
    campaign, _ = made
    alone = rlvr_rows.code(campaign)["rlvr.code.gain"]
    rlvr_rows.pass_rates(campaign)
    assert rlvr_rows.code(campaign)["rlvr.code.gain"] == alone


def test_a_response_is_marked_up_to_its_first_mistake():
    """Catches a mark on the wrong line: all lines before the mistake are good, all after it are not."""
    [problem] = problems("tier-2", "validation", 1)
    good = reference_response(problem, "searching")
    assert {line.state for line in marked_lines(problem, good)} == {GOOD}
    at = good.index("=", good.index(":") + 1) + 1
    wrong = good[:at] + str((int(good[at]) + 1) % 10) + good[at + 1 :]
    wrong = wrong.replace(problem.gold, " a=0")
    states = [line.state for line in marked_lines(problem, wrong)]
    first = states.index(FIRST_MISTAKE)
    assert states[:first] == [GOOD] * first and set(states[first + 1 :]) == {AFTER}
    assert [line.state for line in marked_lines(problem, "<|im_end|>")] == [FIRST_MISTAKE]


def test_the_slider_shows_one_problem_at_every_point(made: tuple[RlResults, ArtifactStore]):
    """Catches a slider that skips a point or mixes problems."""
    log = made[0].logs["from-base"][0]
    figure, records = steps_picture(log, turned_right(log, MATHS))
    assert [record["after steps"] for record in records] == [point.step for point in log.points]
    assert len(figure.layout.sliders[0].steps) == len(log.points)
    with pytest.raises(K2ReproError, match="kept no text"):
        turned_right(log, ())
