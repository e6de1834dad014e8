"""Sampling and training part by rounding only: no further from each other than each is from 64 bit."""

import pytest
import rlvr_tiny as tiny
import torch

from k2repro.architecture import ModelConfig, Qwen2
from k2repro.errors import K2ReproError
from k2repro.lessons import rounding
from k2repro.rlvr import Rollout

# Sharp attention and large logits, as in a trained model: here single tokens part by 1e-5 and more.
SHAPE = ModelConfig(
    vocab_size=tiny.VOCABULARY,
    hidden_size=64,
    intermediate_size=96,
    num_hidden_layers=4,
    num_attention_heads=4,
    num_key_value_heads=2,
    tie_word_embeddings=False,
    initializer_range=0.25,
)


def largest(model, rollouts) -> dict[str, float]:
    records = rounding.rounding_records(rounding.logprobs_by_way(model, rollouts))
    return {record["between"]: record["largest (nats)"] for record in records}


def drawn(model):
    prompts = [tuple(range(3 + place, 15 + place)) for place in range(16)]
    return rounding.sampled_rollouts(model, prompts, n=4, max_new_tokens=60, stop=[2])


@pytest.fixture(scope="module")
def model():
    return Qwen2(SHAPE, generator=torch.Generator().manual_seed(1)).eval()


def test_each_way_is_as_far_from_64_bit_as_the_plain_module(model):
    """Catches a sampler or a training pass over five times as far off as the plain module."""
    found = largest(model, drawn(model))
    plain = found["module and 64 bit"]
    assert 1e-6 < plain < 1e-3
    assert found["sampling and 64 bit"] < 5 * plain
    assert found["training and 64 bit"] < 5 * plain


@pytest.mark.parametrize("spoil", ["temperature", "weights"])
def test_what_is_not_rounding_stands_out(model, spoil):
    """Catches a comparison too coarse to tell rounding from a fault: logits off by a ten-thousandth show."""
    rollouts = drawn(model)
    other = Qwen2(SHAPE, generator=torch.Generator().manual_seed(1)).eval()
    with torch.no_grad():
        if spoil == "temperature":
            other.lm_head.weight *= 1.0001
        else:
            for parameter in other.parameters():
                parameter.copy_(parameter.bfloat16())
    found = largest(other, rollouts)
    assert found["sampling and 64 bit"] > 5 * found["module and 64 bit"]
    assert found["training and 64 bit"] < 5 * found["module and 64 bit"]


def test_rollouts_without_logprobs_are_refused(model):
    """Catches zeros in the place of what a sampler did not say, which would look like a fault of the pass."""
    with pytest.raises(K2ReproError, match="carry no log-probabilities"):
        rounding.logprobs_by_way(model, [Rollout((3, 4), (5,), 0.0)])
