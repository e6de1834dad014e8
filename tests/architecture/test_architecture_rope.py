"""Rotary embedding: every supported stretching equals transformers; the others are refused."""

import architecture_tiny as tiny
import pytest
import torch

from k2repro.architecture import ModelConfig, RopeScaling
from k2repro.architecture.rotary import rope_frequencies
from k2repro.errors import K2ReproError

BASE = ModelConfig.preset("qwen2.5-0.5b").to_dict()
SCALINGS = {
    "linear": RopeScaling(kind="linear", factor=3.0),
    "yarn as Qwen2.5 documents it": RopeScaling(
        kind="yarn", factor=4.0, original_max_position_embeddings=32768
    ),
    "yarn, short original": RopeScaling(kind="yarn", factor=8.0, original_max_position_embeddings=64),
    "yarn, own ramp": RopeScaling(
        kind="yarn",
        factor=2.0,
        original_max_position_embeddings=512,
        beta_fast=16.0,
        beta_slow=2.0,
        attention_factor=1.3,
        truncate=False,
    ),
    "yarn, ramp of no width": RopeScaling(
        kind="yarn", factor=4.0, original_max_position_embeddings=8, beta_fast=32.0, beta_slow=31.0
    ),
    "llama3 as Llama 3.1 has it": RopeScaling(
        kind="llama3", factor=8.0, original_max_position_embeddings=8192, beta_fast=4.0, beta_slow=1.0
    ),
    "llama3, short original": RopeScaling(
        kind="llama3", factor=32.0, original_max_position_embeddings=100, beta_fast=8.0, beta_slow=0.5
    ),
}
scalings = pytest.mark.parametrize("name", SCALINGS)


def with_scaling(name, **changes):
    return tiny.tiny_config(rope_scaling=SCALINGS[name], head_dim=32, **changes)


@scalings
def test_frequencies_equal_transformers(name):
    """Catches a wrong ramp or a wrong sharpening, which short tests on logits may not show."""
    from transformers import Qwen2Config
    from transformers.models.qwen2.modeling_qwen2 import Qwen2RotaryEmbedding

    config = with_scaling(name)
    theirs = Qwen2RotaryEmbedding(Qwen2Config.from_dict(config.to_dict()))
    frequencies, magnitude = rope_frequencies(config)
    torch.testing.assert_close(frequencies, theirs.inv_freq, rtol=1e-6, atol=0)
    assert magnitude == pytest.approx(theirs.attention_scaling)


@scalings
@torch.no_grad()
def test_stretched_logits_equal_transformers(name):
    """Catches a scaling that is read but not applied; positions reach far beyond the original ones."""
    ours = tiny.random_model(with_scaling(name))
    tokens = tiny.random_tokens(1, 12)
    positions = torch.arange(0, 1200, 100)[None]
    expected = tiny.reference(ours)(tokens, position_ids=positions).logits
    assert tiny.relative_difference(ours(tokens, positions=positions), expected) <= tiny.TOLERANCE


@scalings
@torch.no_grad()
def test_comparison_notices_an_ignored_scaling(name):
    """Catches the test above passing for a decoder that ignores the scaling."""
    ours = tiny.random_model(with_scaling(name))
    plain = tiny.random_model(tiny.tiny_config(head_dim=32))
    tokens, positions = tiny.random_tokens(1, 12), torch.arange(0, 1200, 100)[None]
    different = tiny.relative_difference(
        ours(tokens, positions=positions), plain(tokens, positions=positions)
    )
    assert different > 100 * tiny.TOLERANCE


def test_frequencies_stay_32_bit():
    """Catches `.to(bfloat16)` rounding the frequencies, which shifts far positions by whole turns."""
    model = tiny.random_model(tiny.tiny_config())
    exact = model.frequencies.clone()
    model.to(torch.bfloat16)
    assert model.lm_head.weight.dtype == torch.bfloat16
    assert torch.equal(model.frequencies, exact)


@pytest.mark.parametrize("kind", ["dynamic", "proportional", "longrope"])
def test_other_kinds_are_refused(kind):
    """Catches a rope kind that is known elsewhere and would be ignored here."""
    scaling = {"rope_type": kind, "factor": 2.0, "rope_theta": 1e6}
    for key in ("rope_scaling", "rope_parameters"):
        with pytest.raises(K2ReproError, match=f"'{kind}' is not supported.*default, linear, yarn"):
            ModelConfig.from_dict({**BASE, key: scaling})


LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


def test_the_scaling_of_llama_3_is_read_and_written():
    """Catches a Llama 3.1 config.json that is refused, or whose factors are swapped or lost."""
    config = ModelConfig.from_dict({**BASE, "rope_scaling": LLAMA3})
    assert config.rope_scaling == RopeScaling(
        kind="llama3", factor=8.0, original_max_position_embeddings=8192, beta_fast=4.0, beta_slow=1.0
    )
    assert ModelConfig.from_dict(config.to_dict()) == config
    assert LLAMA3.items() <= config.to_dict()["rope_scaling"].items()


BAD = {
    "missing factor": ({"rope_type": "linear"}, "'factor' is missing"),
    "shrinking": ({"rope_type": "linear", "factor": 0.5}, "at least 1"),
    "unknown kind": ({"rope_type": "yran", "factor": 4.0}, "did you mean 'yarn'"),
    "unread key": ({"rope_type": "yarn", "factor": 4.0, "mscale": 0.7}, "'mscale'"),
    "crossed ramp": ({"rope_type": "yarn", "factor": 4.0, "beta_fast": 1, "beta_slow": 2}, "beta_fast"),
    "llama3 without its factors": ({"rope_type": "llama3", "factor": 8.0}, "'low_freq_factor' is missing"),
    "llama3, crossed": ({**LLAMA3, "high_freq_factor": 0.5}, "high_freq_factor = 0.5 is below"),
    "llama3, no ramp": ({**LLAMA3, "high_freq_factor": 1.0}, "no width"),
    "llama3, yarn's key": ({**LLAMA3, "beta_fast": 32}, "'beta_fast'"),
    "not an object": ("yarn", "must be an object"),
    "partial rotation": ({"rope_type": "default", "partial_rotary_factor": 0.5}, "partial_rotary_factor"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_scaling_is_refused(case):
    """Catches a half-written scaling that falls back to none."""
    scaling, words = BAD[case]
    with pytest.raises(K2ReproError, match=words):
        ModelConfig.from_dict({**BASE, "rope_scaling": scaling})


IN_CODE = {"kind": "llama3", "factor": 8.0, "original_max_position_embeddings": 8192}
BAD_IN_CODE = {
    "no ends": ({}, r"beta_fast \(high_freq_factor\)"),
    "one end": ({"beta_fast": 4.0}, r"beta_slow \(low_freq_factor\)"),
    "crossed": (
        {"beta_fast": 1.0, "beta_slow": 4.0},
        "high_freq_factor = 1.0 is below low_freq_factor = 4.0",
    ),
    "sharpened": ({"beta_fast": 4.0, "beta_slow": 1.0, "attention_factor": 1.2}, "no attention_factor"),
    "not rounded": ({"beta_fast": 4.0, "beta_slow": 1.0, "truncate": False}, "no truncate"),
}


@pytest.mark.parametrize("case", BAD_IN_CODE)
def test_llama_3_takes_nothing_of_yarn(case):
    """Catches YaRN's 32 and 1 taken for Llama 3, its names in the message, and a setting that is lost."""
    values, words = BAD_IN_CODE[case]
    with pytest.raises(K2ReproError, match=words):
        RopeScaling(**IN_CODE, **values)


def test_yarn_has_its_usual_ramp():
    """Catches ends of the ramp that are lost when nobody states them."""
    yarn = RopeScaling(kind="yarn", factor=4.0, original_max_position_embeddings=8)
    assert (yarn.beta_fast, yarn.beta_slow) == (32.0, 1.0)
    assert yarn == RopeScaling(
        kind="yarn", factor=4.0, original_max_position_embeddings=8, beta_fast=32.0, beta_slow=1.0
    )


@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({**BASE, "rope_scaling": {"rope_type": "linear"}}, "a linear rope_scaling states it"),
        ({**BASE, "rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, "a llama3 rope_scaling states it"),
        ({**BASE, "rope_scaling": {**LLAMA3, "factor": None}}, "rope factor"),
        (
            {key: BASE[key] for key in BASE if key != "rope_theta"},
            "every config.json of this family states it",
        ),
    ],
)
def test_a_missing_key_is_looked_for_where_it_stands(values, place):
    """Catches a Llama file that is told what a Qwen2 config.json states."""
    with pytest.raises(K2ReproError, match=place):
        ModelConfig.from_dict(values)


def test_two_disagreeing_forms_are_refused():
    """Catches picking one of two contradicting statements without a word."""
    both = {**BASE, "rope_parameters": {"rope_type": "default", "rope_theta": 1e4}}
    with pytest.raises(K2ReproError, match="rope_theta is given as"):
        ModelConfig.from_dict(both)
    both = {
        **BASE,
        "rope_scaling": {"type": "linear", "factor": 2.0},
        "rope_parameters": {"rope_type": "linear", "factor": 4.0, "rope_theta": 1e6},
    }
    with pytest.raises(K2ReproError, match="disagree"):
        ModelConfig.from_dict(both)
