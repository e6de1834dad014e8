"""The planner's lab: a reply that gets lost, a bar that always holds, plans of other weights than trained."""

import json
from dataclasses import replace

import pytest
import torch

from k2repro.errors import K2ReproError
from k2repro.lab import planner, sft
from k2repro.lab.lines import write_lines
from k2repro.lab.made import make_now
from k2repro.lab.planner import BARS, Written, is_obtained, kinds, workable_share, write_plans
from k2repro.lab.rl_runs import RUNS
from k2repro.lab.scale import Scale
from k2repro.lab.sft_recipe import MODEL
from k2repro.mini import plans, tokenizer, variables
from k2repro.mini.benchmarks import benchmark_problems
from k2repro.mini.checkpoint import load_checkpoint, new_model, save_checkpoint
from k2repro.mini.mixtures import draw_example
from k2repro.mini.variables import system_of
from k2repro.results import ArtifactStore

TINY = Scale(seeds=1, steps=0.003, problems=2, samples=1, deep=2, deep_samples=2, probe=1)
TIERS = ("tier-1", "tier-4")


@pytest.mark.parametrize("name", planner.PLANNERS)
def test_every_text_fits_the_rows_of_the_stage(name):
    """Catches a mixture that stops the training in the middle, at the first text that is too long."""
    (stage,) = planner.PLANNERS[name]
    assert max(len(draw_example(stage.mixture, "fits", index)) for index in range(400)) <= stage.length
    assert sum(each.share for each in stage.mixture) == pytest.approx(1)
    assert {each.kind for each in stage.mixture} == {"planning"}


def test_the_control_is_taught_no_longer_problems_than_the_solvers():
    """Catches a control that was taught the lengths which are asked, as the planner was."""
    (stage,) = planner.PLANNERS[planner.SHORT]
    longest = max(most for tier in RUNS["steady-from-sft"].tiers for most in variables.PRACTICE[tier])
    assert max(each.operations[1] for each in stage.mixture) == longest
    assert longest < min(least for least, _ in variables.LEVELS.values())
    with pytest.raises(K2ReproError, match="unknown planner 'tall'"):
        planner.planner(0, TINY, "tall")


class Replies:
    """A sampler that gives replies out of a hat, in the order of the problems."""

    def __init__(self, texts, finish="stop"):
        self.texts, self.finish = texts, finish

    def __call__(self, model):
        return self

    def sample(self, prompts, *, n, **settings):
        from k2repro.engine.backend import Completion

        self.settings, drawn = settings, iter(self.texts)
        return [
            [
                Completion(tuple(tokenizer.encode(text)), self.finish, text=text)
                for text in (next(drawn) for _ in range(n))
            ]
            for _ in prompts
        ]


def test_every_reply_is_counted_with_its_kind_and_its_tokens(monkeypatch):
    """Catches a reply that is dropped because it could not be read, and tokens that count the plan alone."""
    problems = benchmark_problems("tier-2", "validation", 3)
    right = [plans.planning_response(system_of(problem)) + tokenizer.TURN_END for problem in problems]
    texts = [right[0], "<think>", right[1], right[0], right[2], right[2].replace("> plan", "> plan plan")]
    monkeypatch.setattr(planner, "Sampler", Replies(texts))
    found = write_plans(new_model(MODEL, 0, 1), problems, samples=2, temperature=1.0)
    assert [(each.id, each.sample) for each in found] == [(p.id, i) for p in problems for i in (0, 1)]
    assert [each.tokens for each in found] == [len(tokenizer.encode(text)) for text in texts]
    assert [each.kind for each in found][::2] == [plans.WORKABLE] * 3
    assert found[1].kind == plans.UNREADABLE
    # The plan of another problem names what this one does not define, or comes in no order for it.
    assert found[3].kind != plans.WORKABLE
    # The thinking is what counts; the line behind it is judged beside it.
    assert (found[5].kind, found[5].line) == (plans.WORKABLE, plans.UNDEFINED)
    assert [bool(each.plan) for each in found] == [each.kind not in plans.NO_PLAN for each in found]
    assert kinds(found)["tier-2"].total() == 6
    assert workable_share(found) == {"tier-2": 4 / 6}


def test_a_reply_that_was_cut_hands_nothing_over(monkeypatch):
    """Catches a plan that is read out of a text whose end is missing."""
    problems = benchmark_problems("tier-1", "validation", 1)
    monkeypatch.setattr(
        planner, "Sampler", Replies([plans.planning_response(system_of(problems[0]))], "length")
    )
    (found,) = write_plans(new_model(MODEL, 0, 1), problems)
    assert (found.kind, found.plan) == (plans.UNFINISHED, "")


def test_the_bars_hold_on_every_tier_or_not_at_all():
    """Catches a planner that counts as obtained by its mean, or by the tiers that were asked."""
    assert is_obtained(BARS)
    for tier, bar in BARS.items():
        assert not is_obtained({**BARS, tier: bar - 0.001})
        assert not is_obtained({other: 1.0 for other in BARS if other != tier})


def test_from_training_to_plans_and_back(tmp_path, monkeypatch):
    """Catches plans that are not those of the trained weights, and a recipe that leaves a choice out."""
    store = ArtifactStore(tmp_path / "artifacts")
    small = new_model(replace(MODEL, num_hidden_layers=4), 0, 4)

    def start(name, seed, scale):
        from k2repro.lab.made import Made

        return Made("weights", name, seed, lambda making: save_checkpoint(small, making.folder))

    monkeypatch.setattr(sft, "weights", start)

    def wanted(**changes):
        settings = {"tiers": TIERS, "split": "validation", "problems": 2, **changes}
        return planner.written(0, TINY, **settings)

    folder = make_now(wanted(), store)
    found = planner.read_plans(folder)
    asked = [problem for tier in TIERS for problem in benchmark_problems(tier, "validation", 2)]
    assert [(each.id, each.tier) for each in found] == [(problem.id, problem.tier) for problem in asked]
    trained = make_now(planner.planner(0, TINY), store)
    assert found == write_plans(load_checkpoint(trained), asked)
    assert len(json.loads((trained / planner.HISTORY).read_text())["planner"]["loss"]) == 2
    pairs = zip(load_checkpoint(trained).parameters(), small.parameters(), strict=True)
    assert not all(torch.equal(after, before) for after, before in pairs)
    keys = {
        wanted(**changes).key
        for changes in ({}, {"split": "train"}, {"problems": 3}, {"samples": 2}, {"temperature": 1.0})
    }
    assert len(keys) == 5
    assert wanted().key != planner.written(1, TINY, tiers=TIERS, split="validation", problems=2).key


def test_an_unknown_tier_is_named(tmp_path):
    """Catches a run that trains a planner for minutes and then stops at a misspelt tier."""
    with pytest.raises(K2ReproError, match=r"tier-9.*tier-1"):
        planner.written(0, TINY, tiers=("tier-9",), split="validation", problems=2)


def test_a_line_of_the_file_is_a_reply(tmp_path):
    """Catches a field that is written and not read."""
    reply = Written("a/b/c/0/1", "tier-1", 0, plans.WORKABLE, plans.EARLY, " plan i", 0, 40, 30)
    write_lines(tmp_path / planner.FILE, [reply])
    assert planner.read_plans(tmp_path) == [reply]
