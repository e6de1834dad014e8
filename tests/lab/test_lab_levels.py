"""Catches: the steady recipe asked other problems than it says, or trained without the plans it promises."""

from collections import Counter
from dataclasses import replace

from k2repro.evaluate.pool import Attempts, Generation, Pool
from k2repro.lab import levels, pools, sft, steady
from k2repro.lab.levels import FIRST, PLANNED, level_problems, read_levels, with_marked_plans
from k2repro.lab.made import Making, make_now
from k2repro.lab.rl_runs import RUNS, STEADY
from k2repro.lab.rl_training import train_prompts
from k2repro.lab.scale import Scale
from k2repro.lab.sft_recipe import MODEL
from k2repro.lab.steady import CONTROLS, REINFORCED, SFT, TRAINED, carry_out_steady, seeds_of
from k2repro.mini import tokenizer
from k2repro.mini.benchmarks import LEVELS, benchmark_problems
from k2repro.mini.checkpoint import new_model
from k2repro.mini.problem import Problem
from k2repro.mini.variables import marked_plan_text, system_of
from k2repro.results import ArtifactStore

TINY = replace(
    Scale.of_profile("smoke"),
    steps=0.003,
    rl_steps=0.02,
    asked=2,
    chosen=2,
    steady_seeds=1,
    steady_controls=1,
)


def marked_plan(problem: Problem) -> str:
    """By the system, and not by the plan that the problem carries."""
    return marked_plan_text(system_of(problem).needed)


def test_test_problems_were_not_asked_before():
    """Catches the problems of the first recipe, on which settings had been chosen, asked once more."""
    asked = {each.id for each in level_problems("test", 300)}
    before = {p.id for level in LEVELS for p in benchmark_problems(level, "test", FIRST)}
    assert len(asked) == 300 * len(LEVELS) and not asked & before
    assert {p.split for p in level_problems("validation", 3)} == {"validation"}


def test_a_plan_stands_behind_its_own_question():
    """Catches plans of other problems, and answers to both prompts drawn from the same random numbers."""
    problems = level_problems("validation", 2)
    for plain, planned in zip(problems, with_marked_plans(problems), strict=True):
        assert planned.plan == marked_plan(plain) and planned.question == plain.question
        assert planned.id == f"{plain.id}#{PLANNED}"


def test_a_quarter_of_the_prompts_of_rl_has_a_plan():
    """Catches runs that see no plan, which forget how to follow one, and runs that see nothing else."""
    for name in STEADY:
        run = RUNS[name]
        prompts = [train_prompts(run.tiers, 3, run.planned)(at) for at in range(16)]
        texts = [tokenizer.decode(list(prompt.tokens)) for prompt in prompts]
        for text, prompt in zip(texts, prompts, strict=True):
            assert (" plan" in text) == (marked_plan(prompt.problem) in text)
        assert sum(" plan" in text for text in texts) == 4
    plain = train_prompts(RUNS["from-sft"].tiers, 3, RUNS["from-sft"].planned)
    assert not any(" plan" in tokenizer.decode(list(plain(at).tokens)) for at in range(16))


def test_the_whole_recipe_runs_and_every_model_is_asked(tmp_path):
    """Catches a control that is never trained, and an answer that is lost between a pool and its file."""
    found = carry_out_steady(TINY, ArtifactStore(tmp_path), with_rl=True, workers=1)
    assert set(found.outcomes) == {*TRAINED, *REINFORCED, *CONTROLS}
    for by_seed in found.outcomes.values():
        for outcomes in by_seed.values():
            assert [each.level for each in outcomes] == [level for level in LEVELS for _ in range(2)]
            assert {(len(each.search), len(each.planned)) for each in outcomes} == {(3, 1)}
    assert [len(points) for points in found.curves.values()] == [len(steady.POINTS)]
    assert {log.stage for log in found.stages if log.skills} == {"skills", "search"}
    again = read_levels(make_now(steady.gate(TINY.steady_first, TINY), ArtifactStore(tmp_path)))
    bare = [replace(each, tokens=(), kinds=()) for each in again]
    assert bare == found.gates[TINY.steady_first]
    assert all(sum(map(sum, k.values())) == 3 * 2 * len(LEVELS) for k in found.mistakes[SFT].values())


def test_a_search_reads_no_plan_and_the_planned_pass_its_own(monkeypatch, tmp_path):
    """Catches searches that are asked with the plan in the prompt: both ways would be one and the same."""
    asked = Counter()

    def noted(ask, problems, grade, *, n, prompt, **_):
        asked.update({prompt(each): n for each in problems})
        wrong = (Generation("", 1, "length", False),) * n
        return Pool(tuple(Attempts(each.id, each.tier, wrong) for each in problems))

    monkeypatch.setattr(pools, "generate_pool", noted)
    monkeypatch.setattr(levels, "load_checkpoint", lambda folder: new_model(MODEL, 0, 1))
    made = levels.levels(sft.weights("steady-sft", 0, TINY), "validation", 2)
    made.make(Making(tmp_path, tmp_path / "work", {"model": tmp_path}))
    problems = level_problems("validation", 2)
    searches = Counter({tokenizer.prompt_text(each.question): 3 for each in problems})
    assert asked == searches + Counter(tokenizer.prompt_text(p.question, marked_plan(p)) for p in problems)


def test_controls_have_fewer_seeds_and_say_so():
    """Catches a control counted with five seeds of which two were never trained."""
    assert [len(seeds_of(model, Scale())) for model in (SFT, *CONTROLS)] == [5, 3, 3, 3]
    assert levels.first_of("validation") == 0
