"""Engine, grader and taxonomy joined in a pool: the callables fit together, as real ones."""

from functools import partial

import pytest
import torch

from k2repro.architecture import ModelConfig, Qwen2
from k2repro.engine import sample
from k2repro.errors import K2ReproError
from k2repro.evaluate import Pool, generate_pool, load_pool, load_scores, save_pool
from k2repro.lab.pools import score
from k2repro.mini import grading, mistakes, tokenizer
from k2repro.mini.variables import problems

PROBLEMS = problems("tier-1", "test", 4) + problems("tier-2", "test", 4)


@pytest.fixture(scope="module")
def model() -> Qwen2:
    config = ModelConfig(
        vocab_size=tokenizer.vocabulary_size(),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=256,
        tie_word_embeddings=True,
    )
    return Qwen2(config, generator=torch.Generator().manual_seed(1)).eval()


def make(model: Qwen2, chosen: list, n: int, max_batch: int = 64) -> Pool:
    sampler = partial(
        sample,
        model,
        max_new_tokens=12,
        stop=[tokenizer.turn_end()],
        tokenizer=tokenizer.load(),
        max_batch=max_batch,
    )
    return generate_pool(
        sampler,
        chosen,
        grading.grade,
        n=n,
        seed=3,
        prompt=lambda problem: tokenizer.prompt_text(problem.question),
    )


def test_a_pool_of_the_engine_is_graded_counted_and_stored(model: Qwen2, tmp_path) -> None:
    """Catches rooms that do not fit together: a random model's pool is all wrong, and comes back equal."""
    pool = make(model, PROBLEMS, 3)
    assert pool.tiers == ("tier-1", "tier-2")
    assert [len(attempt.generations) for attempt in pool.attempts] == [3] * 8
    scores = score(pool, PROBLEMS)
    assert {each.kind for each in scores.generations()} <= set(mistakes.KINDS) - {mistakes.RIGHT}
    assert scores.outcomes() == pool.outcomes() and sum(attempt.right for attempt in pool.attempts) == 0
    assert load_pool(save_pool(pool, tmp_path / "pool.jsonl.gz")) == pool
    assert load_scores(save_pool(scores, tmp_path / "scores.jsonl.gz")) == scores


def test_a_pool_is_not_read_as_scores(model: Qwen2, tmp_path) -> None:
    """Catches whole responses that are counted as kinds of mistakes."""
    path = save_pool(make(model, PROBLEMS, 1), tmp_path / "pool.jsonl.gz")
    with pytest.raises(K2ReproError, match="read it as a pool"):
        load_scores(path)


def test_responses_do_not_depend_on_the_company_they_were_sampled_in(model: Qwen2) -> None:
    """Catches batch effects: half of the problems, another order, n and batch give the same responses."""
    full = {attempt.id: attempt.generations for attempt in make(model, PROBLEMS, 3).attempts}
    for attempt in make(model, PROBLEMS[::-2], 2, max_batch=3).attempts:
        assert attempt.generations == full[attempt.id][:2]
