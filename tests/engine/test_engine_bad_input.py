"""Bad input: each kind has an error of its own, that names the value and the rule."""

import engine_tiny as tiny
import pytest
import torch

from k2repro.engine import Sampler, sample
from k2repro.errors import K2ReproError

MODEL = tiny.model(tiny.config())
GOOD = {"prompts": [[1, 2]], "max_new_tokens": 3, "seeds": [0]}
TOKENIZER = tiny.tokenizer()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"prompts": [[1], []], "seeds": [0, 1]}, "prompt 1 is empty"),
        ({"prompts": [[1] * 96]}, "prompt 0 has 96 tokens; the context of the model holds 96"),
        ({"prompts": [[1, 61]]}, "holds token 61; the model's vocabulary has 61"),
        ({"prompts": [[-1, 2]]}, "holds token -1"),
        ({"prompts": "text", "tokenizer": TOKENIZER}, "pass a list of prompts"),
        ({"prompts": ["text"]}, "pass `tokenizer`"),
        ({"n": 0}, "n = 0: must be a whole number of at least 1"),
        ({"n": 1.0}, "n = 1.0: must be a whole number"),
        ({"n": True}, "n = True"),
        ({"max_new_tokens": 0}, "max_new_tokens = 0"),
        ({"max_batch": 0}, "max_batch = 0"),
        ({"temperature": -0.1}, "temperature = -0.1: must be 0"),
        ({"temperature": float("nan")}, "temperature = nan"),
        ({"temperature": 1e-9}, "0 is greedy"),
        ({"top_p": 0.0}, "top_p = 0.0: must be above 0"),
        ({"top_p": 1.01}, "top_p = 1.01"),
        ({"top_p": float("nan")}, "top_p = nan"),
        ({"seeds": None}, "pass seeds"),
        ({"seeds": [1, 2]}, "2 seeds for 1 prompts"),
        ({"seeds": [-1]}, "from 0 to 2\\^64"),
        ({"seeds": [0.5]}, "seed 0.5"),
        ({"generator": torch.Generator()}, "not both"),
        ({"stop": "</a>", "tokenizer": TOKENIZER}, "pass a list"),
        ({"stop": ["</a>"]}, "needs `tokenizer`"),
        ({"stop": [""], "tokenizer": TOKENIZER}, "a stop string is empty"),
        ({"stop": [61]}, "stop token 61 is outside the vocabulary of 61"),
        ({"stop": [1.5]}, "stop holds 1.5"),
        ({"tokenizer": tiny.tokenizer(62)}, "the tokenizer has 62 tokens, the model's vocabulary 61"),
        ({"tokenizer": "gpt2"}, "tokenizer is of type str"),
    ],
)
def test_bad_input_is_recompiled(changes, words):
    """Catches input that would be served in some other meaning, or fail deep inside."""
    with pytest.raises(K2ReproError, match=words):
        sample(MODEL, **{**GOOD, **changes})


def test_a_much_smaller_tokenizer_is_of_another_model():
    """Catches a model of 1,000 tokens read with a tokenizer of 61: most of its output has no text."""
    model = tiny.model(tiny.config(vocab_size=1000))
    with pytest.raises(K2ReproError, match="the tokenizer has 61 tokens, the model's vocabulary 1000"):
        sample(model, [[1]], max_new_tokens=1, seeds=[0], tokenizer=TOKENIZER)


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_diverged_weights_are_named(compiled, temperature):
    """Catches a diverged model that samples on, token 0 for ever."""
    model = tiny.model(tiny.config())
    with torch.no_grad():
        model.model.layers[1].mlp.down_proj.weight[0, 0] = torch.nan
    with pytest.raises(K2ReproError, match="NaN or infinite.*diverged"):
        sampler = Sampler(model, compiled=compiled)
        sampler.sample([[1, 2]], max_new_tokens=2, temperature=temperature, seeds=[0])


def test_no_prompts_give_no_completions():
    """Catches an empty batch that crashes on its longest row."""
    assert sample(MODEL, [], max_new_tokens=3, seeds=[]) == []
