"""Catches: a comparison at a lower temperature that is none, or that changes the model it is made from."""

import torch
from rlvr_tiny import model

from k2repro.engine import sample
from k2repro.lab.pools import SHARP, sharpened
from k2repro.lab.rlvr import models_of, run_of, tiers_of
from k2repro.lab.scale import Scale

PROMPTS = [[3, 5, 2], [7, 1]]


def drawn(policy, temperature: float) -> list[tuple[int, ...]]:
    samples = sample(policy, PROMPTS, n=8, max_new_tokens=12, seeds=[1, 2], temperature=temperature)
    return [completion.tokens for prompt in samples for completion in prompt]


def test_sharp_weights_sample_as_a_lower_temperature_does():
    """Catches a factor that is turned round, and logits that another norm feeds too."""
    plain = model()
    assert drawn(sharpened(plain), 1.0) == drawn(plain, SHARP)
    # Wrong twins: no change, and the other way.
    assert drawn(plain, 1.0) != drawn(plain, SHARP) != drawn(plain, 1 / SHARP)
    # Any other temperature goes the same way.
    assert drawn(sharpened(plain, 1.4), 1.0) == drawn(plain, 1.4)


def test_the_model_itself_stays():
    """Catches scores of a run that are those of its sharpened copy."""
    plain = model()
    before = plain.model.norm.weight.clone()
    sharpened(plain)
    assert torch.equal(plain.model.norm.weight, before)


def test_the_run_from_sft_is_judged_at_both_temperatures_and_at_both_ends():
    """Catches a gain whose share of mere sharpening nobody sees."""
    models = models_of("from-sft", Scale())
    assert models == ["from-sft", "from-sft@start-sharp", "from-sft@sharp"]
    assert {run_of(each) for each in models} == {"from-sft"}
    assert {tiers_of(each) for each in models} == {tiers_of("from-sft")}
    assert models_of("broken-reward", Scale()) == ["broken-reward"]
