"""The pairwise reader: what it reads, what it learns from, and what the order of reading does to it."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from k2repro.best_of_n import oracle_accuracy
from k2repro.lab import pair_reader
from k2repro.lab.lines import write_lines
from k2repro.lab.made import Making
from k2repro.lab.pair_reader import (
    FIRST_RIGHT,
    SECOND_RIGHT,
    Compared,
    PairReaderRecipe,
    PairStream,
    RightAndWrong,
    margins,
    pair_tokens,
)
from k2repro.lab.pair_reader_rows import Bias, accuracies, bias, curves
from k2repro.lab.sft_recipe import MODEL
from k2repro.mini import tokenizer, traces
from k2repro.mini.checkpoint import load_checkpoint, new_model, save_checkpoint
from k2repro.mini.problem import item_random
from k2repro.mini.variables import draw_system, question_text
from k2repro.training.packing import IGNORED


def pairs(count: int) -> list[RightAndWrong]:
    found = []
    while len(found) < count:
        rng = item_random("test pairs", len(found))
        system = draw_system(rng, 2 + len(found) % 4)
        right = traces.searching_response(system) + tokenizer.TURN_END
        wrong = traces.sloppy_response(system, rng, 1.0) + tokenizer.TURN_END
        found.append(RightAndWrong(f"problem {len(found)}", question_text(system), right, wrong))
    return found


PAIRS = pairs(5)


@given(st.text(alphabet="abc =+-", max_size=12), st.text(alphabet="abc =+-", max_size=12))
def test_both_texts_come_back_from_what_is_read(first, second):
    """Catches a reader that gets one text twice, or the beginning of neither."""
    prompt, *rest = tokenizer.encode_all([tokenizer.prompt_text(" q=7 ? q"), first, second])
    start, end = tokenizer.encode(tokenizer.TURN_START)[0], tokenizer.encode(tokenizer.END_OF_TEXT)[0]
    read = list(pair_tokens(" q=7 ? q", first, second))
    assert read[: len(prompt)] == prompt
    assert read[-1] == end
    marks = [at for at, token in enumerate(read) if token == start and at >= len(prompt)]
    common = read[len(prompt) : marks[0]]
    assert [common + read[marks[0] + 1 : marks[1]], common + read[marks[1] + 1 : -1]] == rest


def test_a_margin_is_the_difference_of_two_logits_after_the_pair():
    """Catches a verdict that is read one place off, or with its sign turned."""
    model = new_model(MODEL, 3, 2).eval()
    read = [pair_tokens(PAIRS[0].question, PAIRS[0].right, PAIRS[0].wrong), (1, 2, 3)]
    ok, no = (tokenizer.encode(word)[0] for word in (FIRST_RIGHT, SECOND_RIGHT))
    with torch.no_grad():
        expected = [
            float(logits[ok] - logits[no]) for logits in (model(torch.tensor([each]))[0, -1] for each in read)
        ]
    assert margins(model, read) == pytest.approx(expected, abs=1e-4)
    assert margins(model, [tuple([5] * MODEL.max_position_embeddings), read[1]]) == [
        None,
        pytest.approx(expected[1], abs=1e-4),
    ]


def test_the_word_to_learn_says_which_text_was_read_first():
    """Catches labels that do not turn with the order, and words learned anywhere but after the pair."""
    stream = PairStream(PAIRS, rows=4, context=512)
    words = {tokenizer.encode(FIRST_RIGHT)[0]: True, tokenizer.encode(SECOND_RIGHT)[0]: False}
    known = {}
    for at, each in enumerate(PAIRS):
        known[pair_tokens(each.question, each.right, each.wrong)] = (at, True)
        known[pair_tokens(each.question, each.wrong, each.right)] = (at, False)
    seen = []
    for _ in range(10):
        batch = stream.next_batch()
        assert batch.learned == 4
        for row, place in (batch.targets != IGNORED).nonzero().tolist():
            segment = batch.segments[row] == batch.segments[row, place]
            # The word itself stands behind the pair, and nothing is learned from it.
            pair, right_first = known[tuple(batch.tokens[row][segment].tolist()[:-1])]
            assert words[int(batch.targets[row, place])] == right_first
            seen.append((pair, right_first))
    assert {right_first for _, right_first in seen} == {True, False}
    # Forty draws of five pairs: each eight times.
    assert sorted(pair for pair, _ in seen) == sorted(list(range(5)) * 8)


def test_a_stream_continues_where_it_stood():
    """Catches a resumed training on other pairs than an undisturbed one."""
    stream, again = PairStream(PAIRS, rows=3, context=512), PairStream(PAIRS, rows=3, context=512)
    stream.next_batch()
    again.load_state_dict(stream.state_dict())
    first, second = stream.next_batch(), again.next_batch()
    assert torch.equal(first.tokens, second.tokens)
    assert torch.equal(first.targets, second.targets)


def test_pairs_that_do_not_fit_are_left_out():
    long = RightAndWrong("long", " q=7 ? q", "<think>" + " a" * 300, "<think>" + " b" * 300)
    assert PairStream([long], rows=2, context=512).size == 0
    assert PairStream([long, *PAIRS], rows=2, context=512).size == len(PAIRS)


@pytest.mark.parametrize("found", [PAIRS, []], ids=["pairs", "nobody was ever right"])
def test_a_reader_is_made_from_examples(tmp_path, found):
    """Catches a maker that crashes where the solver left nothing to learn, and one that learns nothing."""
    save_checkpoint(new_model(MODEL, 3, 2), tmp_path / "start")
    (tmp_path / "examples").mkdir()
    write_lines(tmp_path / "examples" / pair_reader.FILE, found)
    needs = {"start": tmp_path / "start", "examples": tmp_path / "examples"}
    for name in ("made", "work"):
        (tmp_path / name).mkdir()
    recipe = PairReaderRecipe(steps=2, rows=2, layers=2)
    pair_reader._train(recipe, Making(tmp_path / "made", tmp_path / "work", needs))
    before, after = (load_checkpoint(tmp_path / name).state_dict() for name in ("start", "made"))
    changed = any(not torch.equal(before[name], after[name]) for name in before)
    assert changed == bool(found)


def compared(right, of, margin) -> Compared:
    size = len(right)
    return Compared(
        "id",
        "tier",
        tuple(of),
        tuple(right),
        tuple(-float(at) for at in range(size)),
        tuple(tuple(None if i == j else margin(i, j) for j in range(size)) for i in range(size)),
    )


RIGHT = (1, 0, 0, 1)


def test_a_reader_that_prefers_what_it_reads_first():
    """Catches an exhibit that calls position bias a judgement."""
    found = bias(compared(RIGHT, range(4), lambda i, j: 2.0))
    assert found == Bias(pairs=4, when_first=4, when_second=0, changed=4, first=8, averaged=2.0, missing=0)


def test_a_reader_that_knows():
    found = bias(compared(RIGHT, range(4), lambda i, j: float(RIGHT[i] - RIGHT[j])))
    assert found == Bias(pairs=4, when_first=4, when_second=4, changed=0, first=4, averaged=4.0, missing=0)


def test_a_reader_that_is_always_wrong_has_no_bias():
    """Wrong twin: with the sign of the second order forgotten it would look biased."""
    found = bias(compared(RIGHT, range(4), lambda i, j: float(RIGHT[j] - RIGHT[i])))
    assert found == Bias(pairs=4, when_first=0, when_second=0, changed=0, first=4, averaged=0.0, missing=0)


def test_pairs_that_could_not_be_read_are_counted():
    found = bias(compared((1, 0), range(2), lambda i, j: None if i == 0 else 1.0))
    assert (found.pairs, found.missing) == (0, 1)


@settings(max_examples=30, deadline=None)
@given(
    st.lists(st.integers(0, 3), min_size=3, max_size=6),
    st.lists(st.booleans(), min_size=4, max_size=4),
    st.integers(0, 99),
)
def test_choosing_by_the_reader_lies_between_what_it_knows(of, truth, seed):
    """Catches tables that are built on texts where candidates are meant, and equal texts that compete."""
    right = [int(value) for value in truth]
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=(4, 4))
    bound = oracle_accuracy([truth[at] for at in of], 3)
    share = np.mean([right[at] for at in of])
    knowing = accuracies([compared(right, of, lambda i, j: float(right[i] - right[j]) or -1e-9)], 3)
    assert knowing["round_robin"][0] == pytest.approx(bound)
    assert knowing["random"][0] == pytest.approx(share)
    biased = accuracies([compared(right, of, lambda i, j: 1.0)], 3)
    assert biased["knock_out"][0] == pytest.approx(share)
    for value in accuracies([compared(right, of, lambda i, j: float(noise[i, j]))], 3).values():
        assert value[0] <= bound + 1e-12


def test_curves_go_as_far_as_the_smallest_pool():
    """Catches a choice among more candidates than a problem has: the first problems have deeper pools."""
    found = [compared((1, 0), of, lambda i, j: 1.0) for of in ((0, 1, 0, 1, 0, 0), (0, 1, 1))]
    assert all(len(curve[0]) == 3 for curve in curves(found).values())
