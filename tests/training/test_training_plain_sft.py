"""The plain page of SFT is the oracle of the fast pass: the same rows must give the same gradient."""

import copy

import pytest
import torch
import training_tiny as tiny

from k2repro.architecture import ModelConfig, Qwen2
from k2repro.mini import tokenizer, traces, variables
from k2repro.training import plain_sft
from k2repro.training.loop import accumulate_gradients
from k2repro.training.packing import Batch, Example, pack
from k2repro.training.plain_sft import PackedRows, fine_tune, pack_plainly, sft_loss

TEXTS = [([3, 4, 5], [6, 7]), ([8], [9, 10, 11, 12]), ([13, 14], [15, 16]), ([1, 2, 3, 4], [5])]


def gradients(model) -> dict[str, torch.Tensor]:
    return {name: parameter.grad.clone() for name, parameter in model.named_parameters()}


def furthest(ours, theirs) -> float:
    """Largest difference, in units of each tensor's largest value."""
    assert ours.keys() == theirs.keys()
    return max(((ours[name] - theirs[name]).abs().max() / theirs[name].abs().max()).item() for name in ours)


def of_page(model, rows: PackedRows) -> dict[str, torch.Tensor]:
    model.zero_grad()
    sft_loss(model, rows).backward()
    return gradients(model)


def of_loop(model, rows: PackedRows) -> dict[str, torch.Tensor]:
    model.zero_grad()
    accumulate_gradients(model, [Batch(rows.tokens, rows.targets, rows.segments)])
    return gradients(model)


def test_packing_agrees_with_the_training_loop():
    """Catches targets shifted by one, or a prompt that is learned: both train without a sign of it."""
    rows = pack_plainly(TEXTS, length=10)
    batch, left = pack([Example(*text) for text in TEXTS], 10, rows=len(rows.tokens))
    assert not left
    for ours, theirs in zip(rows, (batch.tokens, batch.targets, batch.segments), strict=True):
        assert torch.equal(ours, theirs)


def test_the_fast_pass_has_the_gradient_of_the_page():
    """Catches a compiled pass that learns something else than the method: bar 2e-4 of each tensor."""
    model, rows = tiny.tiny_model(), pack_plainly(TEXTS, length=10)
    assert furthest(of_loop(model, rows), of_page(model, rows)) <= 2e-4


def test_the_fast_pass_has_the_gradient_of_the_page_on_real_traces():
    """Catches what tiny rows hide: long texts, many segments, the vocabulary of mini-K2."""
    coder, texts = tokenizer.load(), []
    for problem in variables.problems("tier-2", "train", 6):
        response = traces.searching_response(variables.system_of(problem))
        prompt = coder.encode(tokenizer.prompt_text(problem.question)).ids
        texts.append((prompt, coder.encode(response + tokenizer.TURN_END).ids))
    shape = ModelConfig(
        vocab_size=coder.get_vocab_size(),
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        tie_word_embeddings=True,
        initializer_range=0.1,
    )
    model, rows = Qwen2(shape), pack_plainly(texts, length=400)
    assert furthest(of_loop(model, rows), of_page(model, rows)) <= 2e-4


def leaking(model, rows: PackedRows) -> torch.Tensor:
    """Wrong twin: texts of one row read each other."""
    return sft_loss(model, PackedRows(rows.tokens, rows.targets, torch.ones_like(rows.segments)))


def learning_prompts(model, rows: PackedRows) -> torch.Tensor:
    """Wrong twin: the question is learned as well."""
    every = torch.where(rows.segments > 0, rows.tokens.roll(-1, 1), plain_sft.NOT_LEARNED)
    return sft_loss(model, PackedRows(rows.tokens, every, rows.segments))


@pytest.mark.parametrize("twin", [leaking, learning_prompts])
def test_wrong_twins_have_another_gradient(twin):
    """Catches an oracle that would agree with anything: each twin is far outside the bar."""
    model, rows = tiny.tiny_model(), pack_plainly(TEXTS, length=10)
    model.zero_grad()
    twin(model, rows).backward()
    wrong = gradients(model)
    assert furthest(wrong, of_page(model, rows)) > 1e-2


def test_the_loop_learns_and_stays_the_same():
    """Catches a loop that does not step, and one that draws on hidden randomness."""
    rows, first = pack_plainly(TEXTS, length=10), tiny.tiny_model()
    second = copy.deepcopy(first)
    losses = fine_tune(first, [rows] * 60, steps=60, peak=1e-2)
    assert losses[-1] < 0.5 * losses[0]
    assert fine_tune(second, [rows] * 60, steps=60, peak=1e-2) == losses
