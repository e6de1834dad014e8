"""The engine end to end: greedy decoding, independence of the batch, log-probabilities, both decoders."""

import engine_tiny as tiny
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from k2repro.engine import Sampler, sample
from k2repro.fast.decoder import CompiledDecoder
from k2repro.fast.folding import fold

MODEL = tiny.model(tiny.config())
SAMPLER = Sampler(MODEL)
PROMPTS = tiny.prompts([3, 17, 1, 40, 9, 9, 22])
SHAPES = {
    "one query head a kv head": tiny.config(groups=1),
    "two, tied": tiny.config(groups=2, tie_word_embeddings=True),
    "four, head_dim 16": tiny.config(groups=4, head_dim=16),
    "yarn": tiny.config(rope_scaling=tiny.YARN),
    "linear": tiny.config(rope_scaling=tiny.LINEAR, rope_theta=1e4),
}


def same(ours, theirs):
    """Equal tokens and, to rounding, equal log-probabilities."""
    for left, right in zip(ours, theirs, strict=True):
        assert [c.tokens for c in left] == [c.tokens for c in right]
        for one, other in zip(left, right, strict=True):
            assert one.finish == other.finish
            np.testing.assert_allclose(one.logprobs, other.logprobs, atol=1e-5)


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("compiled", [True, False])
def test_greedy_is_that_of_transformers(name, compiled):
    """Catches any slip in the prepared weights: norm, bias, rotary order, head grouping, scale."""
    model = tiny.model(SHAPES[name])
    found = Sampler(model, compiled=compiled).sample(PROMPTS, max_new_tokens=24, temperature=0)
    for prompt, (completion,) in zip(PROMPTS, found, strict=True):
        assert list(completion.tokens) == tiny.greedy_reference(model, prompt, 24)


@pytest.mark.parametrize("name", SHAPES)
def test_both_decoders_draw_the_same_tokens(name):
    """Catches a prepared decoder that is nearly right: greedy forgives what sampling does not."""
    model = tiny.model(SHAPES[name], seed=4, scale=0.2)
    arguments = {"n": 3, "max_new_tokens": 30, "seeds": range(7), "logprobs": True}
    same(
        Sampler(model, compiled=True).sample(PROMPTS, **arguments),
        Sampler(model, compiled=False).sample(PROMPTS, **arguments),
    )


@given(
    max_batch=st.integers(1, 24),
    n=st.integers(1, 4),
    chosen=st.lists(st.integers(0, len(PROMPTS) - 1), min_size=1, max_size=6, unique=True),
    stop=st.lists(st.integers(0, tiny.VOCABULARY - 1), max_size=12),
)
@settings(deadline=None, derandomize=True, max_examples=40)
def test_no_sample_notices_the_others(max_batch, n, chosen, stop):
    """Catches results that depend on batch size, on neighbours, on rows that finish and make room."""
    arguments = {"max_new_tokens": 20, "logprobs": True, "stop": stop}
    together = SAMPLER.sample(
        [PROMPTS[p] for p in chosen], n=n, seeds=[100 + p for p in chosen], max_batch=max_batch, **arguments
    )
    for p, found in zip(chosen, together, strict=True):
        alone = SAMPLER.sample([PROMPTS[p]], n=4, seeds=[100 + p], max_batch=1, **arguments)
        same([found], [alone[0][:n]])


def test_batch_of_one_equals_batch_of_64():
    """Catches a batch that changes its samples: 64 rows at a time against one at a time."""
    arguments = {"n": 16, "max_new_tokens": 25, "seeds": range(7), "logprobs": True}
    same(
        SAMPLER.sample(PROMPTS, max_batch=64, **arguments), SAMPLER.sample(PROMPTS, max_batch=1, **arguments)
    )


def test_a_shared_prefill_equals_one_for_each_sample():
    """Catches samples that write into the keys and values of the prompt they share."""
    shared = SAMPLER.sample(PROMPTS[1:2], n=5, max_new_tokens=25, seeds=[8], logprobs=True)
    own = SAMPLER.sample(PROMPTS[1:2] * 5, n=5, max_new_tokens=25, seeds=[8] * 5, logprobs=True)
    same(shared, [[own[j][j] for j in range(5)]])


def test_a_prompt_is_read_once_for_all_of_its_samples(monkeypatch):
    """Catches a prefill for each sample, or one for each time that rows get free."""
    read = []
    prefill = CompiledDecoder.prefill

    def counted(self, prompts):
        read.extend(map(tuple, prompts))
        return prefill(self, prompts)

    monkeypatch.setattr(CompiledDecoder, "prefill", counted)
    SAMPLER.sample(PROMPTS, n=6, max_new_tokens=5, seeds=range(7), max_batch=4)
    assert sorted(read) == sorted(map(tuple, PROMPTS))


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("temperature", [0.0, 0.7, 1.0])
def test_logprobs_are_those_of_training(compiled, temperature):
    """Catches log-probabilities of the tempered or cut distribution, or shifted by one token."""
    found = Sampler(MODEL, compiled=compiled).sample(
        PROMPTS, max_new_tokens=30, temperature=temperature, top_p=0.8, seeds=range(7), logprobs=True
    )
    for prompt, (completion,) in zip(PROMPTS, found, strict=True):
        expected = training_logprobs(prompt, completion.tokens)
        np.testing.assert_allclose(completion.logprobs, expected, atol=1e-4)
        if len(prompt) > 1:
            shifted = training_logprobs(prompt, completion.tokens, shift=1)
            assert np.abs(completion.logprobs - shifted).max() > 0.01


def training_logprobs(prompt, tokens, shift=0):
    """log_softmax of the decoder over the whole text, at the response."""
    with torch.no_grad():
        logits = MODEL(torch.tensor([[*prompt, *tokens]]))[0]
    first = len(prompt) - 1 - shift
    rows = torch.log_softmax(logits, -1)[first : first + len(tokens)]
    return rows.gather(1, torch.tensor(tokens)[: len(rows), None])[:, 0].numpy()


def test_context_ends_a_response():
    """Catches positions beyond the context, which the model has never seen."""
    (found,) = SAMPLER.sample(tiny.prompts([90]), max_new_tokens=50, temperature=0)
    assert len(found[0].tokens) == 6
    assert found[0].finish == "length"


def test_a_stop_in_the_last_place_of_the_budget_is_a_stop():
    """Catches a response that ended by itself, counted as cut off because it took the whole budget."""
    for prompt in PROMPTS:
        [[cut]] = SAMPLER.sample([prompt], max_new_tokens=8, seeds=[3])
        last = max(at for at, token in enumerate(cut.tokens) if token not in cut.tokens[:at])
        stop = [cut.tokens[last]]
        [[found]] = SAMPLER.sample([prompt], max_new_tokens=last + 1, seeds=[3], stop=stop)
        assert (found.tokens, found.finish, cut.finish) == (cut.tokens[: last + 1], "stop", "length")


def test_refresh_takes_new_weights_and_a_sampler_keeps_the_old():
    """Catches a sampler that reads half of the old and half of the new weights in the middle of RL."""
    model = tiny.model(tiny.config())
    sampler = Sampler(model)
    before = sampler.sample(PROMPTS, max_new_tokens=9, temperature=0)
    model.load_state_dict(tiny.model(tiny.config(), seed=9).state_dict())
    assert sampler.sample(PROMPTS, max_new_tokens=9, temperature=0) == before
    sampler.refresh()
    assert sampler.sample(PROMPTS, max_new_tokens=9, temperature=0) == sample(
        model, PROMPTS, max_new_tokens=9, temperature=0
    )
    assert sampler.sample(PROMPTS, max_new_tokens=9, temperature=0) != before


def test_workers_change_nothing():
    """Catches prompts that are shared out over the cores and come back in another order."""
    threads = torch.get_num_threads()
    arguments = {"n": 8, "max_new_tokens": 12, "seeds": range(7), "logprobs": True}
    try:
        torch.set_num_threads(3)
        calls = []
        several = SAMPLER.sample(PROMPTS, progress=lambda *told: calls.append(told), **arguments)
        assert torch.get_num_threads() == 3
        torch.set_num_threads(1)
        same(several, SAMPLER.sample(PROMPTS, **arguments))
    finally:
        torch.set_num_threads(threads)
    assert calls[-1] == (56, 56)
    assert [done for done, _ in calls] == sorted({done for done, _ in calls})


def test_an_error_in_progress_ends_the_other_workers():
    """Catches Ctrl-C or a broken progress bar that waits for hours of sampling first."""
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with pytest.raises(ZeroDivisionError):
            SAMPLER.sample(
                PROMPTS * 50, n=8, max_new_tokens=40, seeds=range(350), progress=lambda done, total: 1 / 0
            )
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)


def test_sixteen_bit_weights_use_the_module():
    """Catches prepared 32-bit weights for a model that is not 32-bit."""
    model = tiny.model(tiny.config()).to(torch.bfloat16)
    sampler = Sampler(model)
    assert not sampler.compiled
    found = sampler.sample(PROMPTS, n=2, max_new_tokens=5, seeds=range(7), logprobs=True)
    assert all(len(c.tokens) == 5 and np.isfinite(c.logprobs).all() for row in found for c in row)


def test_global_random_state_is_left_alone():
    """Catches draws from torch's or NumPy's global generator."""
    torch_state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    SAMPLER.sample(PROMPTS, max_new_tokens=3, generator=torch.Generator().manual_seed(0))
    assert torch.equal(torch_state, torch.get_rng_state())
    assert np.array_equal(numpy_state, np.random.get_state()[1])


def test_weights_without_the_folded_norm_are_noticed():
    """The wrong twin of the greedy test: weights prepared without the norm must not pass it."""
    model = tiny.model(tiny.config())
    wrong = tiny.model(tiny.config())
    with torch.no_grad():
        for layer in wrong.model.layers:
            layer.input_layernorm.weight.fill_(1.0)
    prompt = PROMPTS[1]
    found = Sampler(wrong).sample([prompt], max_new_tokens=24, temperature=0)
    assert list(found[0][0].tokens) != tiny.greedy_reference(model, prompt, 24)


def test_a_prepared_model_is_a_copy_of_about_the_same_size():
    """Catches weights that a training step changes under a sampler, and copies that pile up."""
    # Widths of whole panels: others are filled up.
    made = tiny.model(tiny.config(hidden_size=32, intermediate_size=48, vocab_size=64))
    weights = fold(made)
    own = [parameter.detach().numpy() for parameter in made.parameters()]
    assert not any(np.shares_memory(array, parameter) for array in weights for parameter in own)
    size = sum(parameter.nbytes for parameter in own)
    assert sum(array.nbytes for array in weights) <= size + weights.head.nbytes
