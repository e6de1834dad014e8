"""Catches: training texts whose answers are wrong, and streams that do not resume to the same batches."""

import re

import pytest
import torch

from k2repro.errors import K2ReproError
from k2repro.lab import steady_recipe
from k2repro.lab.judge import JUDGE, SHUFFLED
from k2repro.lab.sft_recipe import BASE, DIRECT, SFT
from k2repro.mini import program_traces, programs, tokenizer
from k2repro.mini.mixtures import Ingredient, MixtureStream, draw_example
from k2repro.mini.question import read_question
from k2repro.mini.variables import answer_text
from k2repro.training.packing import IGNORED

TABLE = (Ingredient("table", 1.0),)
ENTRY = re.compile(r" [a-z]: [-+*] [a-z] [a-z]| [a-z]=\d")
RECALL = (Ingredient("recall", 1.0),)
STEADY = (*steady_recipe.BASE, *steady_recipe.SFT, JUDGE, SHUFFLED)
STAGES = (*BASE, *SFT, *DIRECT, *STEADY)


def turn_of(example):
    """What the user says in an example."""
    return tokenizer.decode(example.prompt).split("user\n")[1].split(tokenizer.TURN_END)[0]


def test_a_single_step_is_right():
    """Catches a table that teaches wrong sums: every result is worked out anew from the text."""
    operations = {"+": int.__add__, "-": int.__sub__, "*": int.__mul__}
    for index in range(300):
        example = draw_example(TABLE, "test", index)
        step = re.fullmatch(
            r" ([a-z]): ([-+*]) ([a-z]) ([a-z]) \3=(\d) \4=(\d) \1=(\d)",
            tokenizer.decode([*example.prompt, *example.response]),
        )
        assert step is not None
        assert int(step[7]) == operations[step[2]](int(step[5]), int(step[6])) % 10
        assert tokenizer.decode(example.response) == step[7]


def test_a_trial_is_one_candidate_of_the_search():
    """Catches a drill that teaches another format: it stands in the taught search, word for word."""
    in_search = 0
    for index in range(200):
        example = draw_example((Ingredient("trial", 1.0),), "test", index)
        question, _, form = tokenizer.decode(example.prompt).rpartition(" ")
        trial = tokenizer.decode(example.response)
        pairs = [(int(x), int(y)) for x, y in re.findall(r" [a-z](\d)(\d)", question)]
        assert form in {each.name for each in programs.FORMS}
        whole, outcome = program_traces.write(program_traces.search(pairs))
        in_search += trial in whole
        assert trial.endswith((" ok", " no")) and trial.count(" b=") == 1
        assert outcome.agrees
    assert in_search > 100


def test_recall_asks_back_what_was_given():
    """Catches entries under another name or in another order, and a definition where a value is known."""
    both = 0
    for index in range(300):
        example = draw_example(RECALL, "test", index)
        turn = turn_of(example)
        given, _, asked = turn.partition(" ?")
        listed = ENTRY.findall(given)
        assert "".join(listed) == given
        entries = {entry[1]: entry for entry in sorted(listed, key=lambda entry: "=" in entry)}
        both += len(listed) - len(entries)
        wanted = "".join(entries[name] for name in asked.split())
        response = f"<think>{wanted}</think><answer></answer>{tokenizer.TURN_END}"
        assert tokenizer.decode(example.response) == response
    assert both > 100


@pytest.mark.parametrize("kind", ["copy", "marked-copy"])
def test_a_copy_is_the_same_list_from_another_place_on(kind):
    """Catches a second round that does not follow from the first: it is a rotation, and seldom the same."""
    turned = 0
    for index in range(200):
        example = draw_example((Ingredient(kind, 1.0),), "test", index)
        first, second = tokenizer.decode(example.prompt), tokenizer.decode(example.response)
        assert len(first) == len(second) and second in first + first
        turned += first != second
    assert turned > 150


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_every_text_fits_the_rows_of_its_stage(stage):
    """Catches a mixture that stops its training in the middle, at the first text that is too long."""
    assert max(len(draw_example(stage.mixture, "fits", index)) for index in range(400)) <= stage.length


@pytest.mark.parametrize("stage", STEADY, ids=lambda stage: stage.name)
def test_the_shares_of_a_stage_are_parts_of_one(stage):
    """Catches drills that crowd out the rest: a share that is said of all of them, given to each."""
    assert sum(each.share for each in stage.mixture) == pytest.approx(1.0)


@pytest.mark.parametrize("scale", [0.1, 1.0, 4.0])
def test_shares_are_relative(scale):
    """Catches shares that count only while they add up to 1: the first gets all, or the last the rest."""
    kinds = {"copy": 0.2, "table": 0.5, "recall": 0.3}
    mixture = tuple(Ingredient(kind, share * scale) for kind, share in kinds.items())
    drawn = [tokenizer.decode(draw_example(mixture, "shares", at).response) for at in range(600)]
    tables, recalls = sum(len(text) == 1 for text in drawn), sum("<think>" in text for text in drawn)
    assert (tables / 600, recalls / 600) == pytest.approx((0.5, 0.3), abs=0.06)


def test_a_mispaired_solution_is_of_another_question():
    """Catches a wrong twin that is right: a judge of it would gain as much, and prove nothing."""
    answered = {}
    for kind in ("marked-steps", "mispaired-steps"):
        answered[kind] = 0
        for at in range(60):
            example = draw_example((Ingredient(kind, 1.0, (2, 16)),), "twin", at)
            question = turn_of(example)
            right = f"<answer>{answer_text(read_question(question))}</answer>"
            answered[kind] += right in tokenizer.decode(example.response)
    assert answered == {"marked-steps": 60, "mispaired-steps": 0}


def test_a_stream_goes_on_where_it_was():
    """Catches a resumed run that sees other texts than an undisturbed one."""
    first, second = (MixtureStream(SFT[0].mixture, "resume", rows=2, length=288) for _ in range(2))
    for _ in range(3):
        first.next_batch()
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.next_batch().tokens, second.next_batch().tokens)


def test_half_of_the_texts_are_stretched_once_and_resume_stretched():
    """Catches a stretch that moves the prompt, comes in every text, or is another one after a resumption."""
    first, second = (MixtureStream(SFT[0].mixture, "far", rows=2, length=288, stretch=90) for _ in range(2))
    plain = MixtureStream(SFT[0].mixture, "far", rows=2, length=288)
    stretched, texts = 0, 0
    for _ in range(20):
        batch, same = first.next_batch(), plain.next_batch()
        assert torch.equal(batch.tokens, same.tokens) and torch.equal(batch.targets, same.targets)
        skips = batch.positions - same.positions
        for row in range(2):
            for number in range(1, int(batch.segments[row].max()) + 1):
                here = batch.segments[row] == number
                learned = int((batch.targets[row][here] != IGNORED).nonzero()[0])
                steps = skips[row][here].diff()
                assert skips[row][here][learned] == 0 and (steps != 0).sum() <= 1 and steps.sum() <= 90
                stretched, texts = stretched + int(steps.sum() > 0), texts + 1
    assert 0.35 < stretched / texts < 0.65
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.next_batch().positions, second.next_batch().positions)


def test_skips_are_of_every_size_and_in_every_place():
    """Catches a stretch of one size, or always behind the prompt: distances inside a solution stay short."""
    texts = [draw_example(SFT[0].mixture, "far", at, stretch=90) for at in range(400)]
    skipped = [(text, *text.skip) for text in texts if text.skip[1]]
    assert {1 + distance // 30 for *_, distance in skipped} >= {1, 2, 3}
    assert min(distance for *_, distance in skipped) < 10
    behind = [place - len(text.prompt) for text, place, _ in skipped]
    assert 0.3 < sum(place == 0 for place in behind) / len(behind) < 0.7
    halves = [2 * place > len(text.response) for (text, *_), place in zip(skipped, behind, strict=True)]
    assert 0.1 < sum(halves) / len(halves) < 0.4


def test_fine_tuning_meets_the_distances_of_the_longest_problem():
    """Catches a stage that is no longer stretched: the answer line of a long problem looks back too far."""
    [stage] = steady_recipe.SFT
    asked = (Ingredient("marked-steps", 1.0, (16, 16)),)
    longest = max(len(draw_example(asked, "asked", at)) for at in range(100))
    searched = (Ingredient("marked-steps", 1.0, (2, steady_recipe.LONGEST)),)
    trained = max(len(draw_example(searched, "fits", at)) for at in range(400))
    assert trained < longest <= trained + stage.stretch


def test_an_unknown_kind_is_named():
    """Catches a misspelt ingredient that is found after minutes, or never."""
    with pytest.raises(K2ReproError, match=r"serching.*searching"):
        MixtureStream((Ingredient("serching", 1.0),), "x", rows=1, length=64)
