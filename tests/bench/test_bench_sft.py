"""The side-by-side timing with TRL's SFTTrainer: both sides learn the same from the same texts."""

import pytest

from k2repro.architecture import ModelConfig
from k2repro.bench.sft import LAYOUTS, ROW_TOKENS, Ours, bench_sft, draw_steps, losses_differ, train_theirs
from k2repro.bench.sft_shares import PARTS, model_flops
from k2repro.lab.sft_recipe import VOCABULARY
from k2repro.training.packing import Example

TINY = ModelConfig(
    vocab_size=VOCABULARY,
    hidden_size=16,
    intermediate_size=24,
    num_hidden_layers=1,
    num_attention_heads=2,
    num_key_value_heads=1,
    head_dim=8,
    max_position_embeddings=512,
    tie_word_embeddings=True,
    initializer_range=0.3,
)


@pytest.mark.slow
def test_bench_times_both_sides():
    """Catches a bench that breaks with a release of TRL, or reports parts that leave time out."""
    records = bench_sft(repeats=1, texts=2)
    assert [record["layout"] for record in records] == list(LAYOUTS)
    for record in records:
        assert record["ratio"] >= record["slowest"] > 0
        assert record["losses_differ"] < 1e-5
        assert sum(record[part] for part in (*PARTS, "elementwise", "python")) == pytest.approx(1)
        assert 0 < record["of_fastest"] <= record["of_mm"]


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_both_sides_learn_the_same(layout):
    """Catches a ratio between different work; the twin learns prompts too, and that shows."""
    steps = draw_steps(3, 2)
    ours = Ours(TINY, steps)
    theirs = train_theirs(ours.model, steps, layout, between=ours.step)
    assert losses_differ(ours.turns.losses, theirs.losses) < 1e-5

    whole = [[Example(t.prompt[:1], [*t.prompt[1:], *t.response]) for t in texts] for texts in steps]
    fresh = Ours(TINY, steps)
    others = train_theirs(fresh.model, whole, layout, between=fresh.step)
    assert losses_differ(fresh.turns.losses, others.losses) > 1e-3


def test_steps_are_of_new_texts_that_fit():
    """Catches one batch that is timed again and again, and texts that a row cannot hold."""
    steps = draw_steps(4, 3)
    texts = [(*text.prompt, *text.response) for step in steps for text in step]
    assert [len(step) for step in steps] == [3] * 4
    assert len(set(texts)) == 12 and max(map(len, texts)) <= ROW_TOKENS


def test_model_flops_are_those_of_the_mathematics():
    """Catches a share that counts padding, the head of a prompt, or keys that come later."""
    prompt, response = 3, 5
    tokens, pairs = prompt + response, 8 * 9 // 2
    matrices = 16 * (16 + 2 * 8) + 16 * 16 + 3 * 16 * 24
    forward = 2 * (tokens * matrices + 2 * pairs * 16 + response * 16 * VOCABULARY)
    text = Example([1] * prompt, [2] * response)
    assert model_flops(TINY, [text]) == 3 * forward
    assert model_flops(TINY, [text, text]) == 6 * forward


def test_the_largest_difference_counts():
    """Catches a mean in which one step that went astray disappears."""
    assert losses_differ([2.0, 1.0, 1.0], [2.0, 1.0, 2.0]) == 0.5
