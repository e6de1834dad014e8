"""Drawing tokens: G-tests against exact probabilities, and the wrong twins that they must reject."""

import engine_tiny as tiny
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from k2repro.engine import Sampler
from k2repro.engine.choose import choose, keep_nucleus
from k2repro.engine.streams import uniforms
from k2repro.errors import K2ReproError

LOGITS = torch.tensor([2.0, -1.0, 0.5, 1.5, 0.0, -3.0, 1.9, -0.5])
DRAWS = 20_000
# A true sampler fails with this probability; the twins fail by many orders of magnitude.
LEVEL = 1e-4


def exact(temperature, top_p):
    """Probabilities from the definition, in 64 bit, by sorting and cutting in plain Python."""
    weights = np.exp(LOGITS.double().numpy() / temperature)
    weights /= weights.sum()
    kept, mass = [], 0.0
    for token in np.argsort(-weights):
        if mass >= top_p:
            break
        kept.append(token)
        mass += weights[token]
    cut = np.zeros_like(weights)
    cut[kept] = weights[kept] / weights[kept].sum()
    return cut


def p_value(tokens, probabilities):
    """G-test of the counts; 0 when a token was drawn that cannot be."""
    counts = np.bincount(tokens, minlength=len(probabilities))
    if counts[probabilities == 0].any():
        return 0.0
    possible = probabilities > 0
    if possible.sum() == 1:
        return 1.0
    expected = probabilities[possible] * counts.sum()
    return stats.power_divergence(counts[possible], expected, lambda_="log-likelihood").pvalue


def numbers(count=DRAWS):
    return uniforms(7, 0, count)


SETTINGS = [(1.0, 1.0), (0.6, 1.0), (1.7, 1.0), (1.0, 0.8), (0.7, 0.95), (1.0, 1e-9)]


@pytest.mark.parametrize(("temperature", "top_p"), SETTINGS)
def test_drawn_as_often_as_computed(temperature, top_p):
    """Catches every wrong order of temperature, softmax, nucleus and renormalising."""
    tokens = choose(LOGITS.expand(DRAWS, -1), numbers(), temperature, top_p).numpy()
    assert p_value(tokens, exact(temperature, top_p)) > LEVEL


def temperature_after_softmax(u):
    weights = torch.softmax(LOGITS, -1) / 0.6
    return np.searchsorted((weights / weights.sum()).cumsum(-1).numpy(), u, side="right")


def nucleus_without_renormalising(u):
    weights = keep_nucleus(torch.softmax(LOGITS, -1)[None], 0.8)[0].double()
    # What is left over falls to the last token.
    return np.minimum(np.searchsorted(weights.cumsum(-1).numpy(), u, side="right"), 7)


def nucleus_before_temperature(u):
    kept = keep_nucleus(torch.softmax(LOGITS, -1)[None], 0.8)[0] > 0
    weights = torch.softmax(torch.where(kept, LOGITS / 2.0, -torch.inf), -1).double()
    return np.searchsorted(weights.cumsum(-1).numpy(), u, side="right")


def off_by_one(u):
    weights = torch.softmax(LOGITS, -1).double()
    return np.maximum(np.searchsorted(weights.cumsum(-1).numpy(), u, side="right") - 1, 0)


def one_token_too_few(u):
    """The nucleus without the token that reaches the mass."""
    weights = np.where(exact(1.0, 0.8) > 0, exact(1.0, 1.0), 0.0)
    weights[np.flatnonzero(weights)[np.argmin(weights[weights > 0])]] = 0.0
    return np.searchsorted((weights / weights.sum()).cumsum(), u, side="right")


TWINS = [
    (temperature_after_softmax, 0.6, 1.0),
    (nucleus_without_renormalising, 1.0, 0.8),
    (nucleus_before_temperature, 2.0, 0.8),
    (off_by_one, 1.0, 1.0),
    (one_token_too_few, 1.0, 0.8),
]


@pytest.mark.parametrize(("twin", "temperature", "top_p"), TWINS, ids=lambda v: getattr(v, "__name__", None))
def test_the_test_rejects_wrong_twins(twin, temperature, top_p):
    """Catches a G-test that would pass anything: five plausible mistakes must fail it."""
    assert p_value(np.minimum(twin(numbers()), 7), exact(temperature, top_p)) < 1e-6
    right = choose(LOGITS.expand(DRAWS, -1), numbers(), temperature, top_p).numpy()
    assert p_value(right, exact(temperature, top_p)) > LEVEL


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.7, 0.9)])
def test_the_engine_draws_the_model_s_distribution(temperature, top_p):
    """Catches samples of a prompt that share random numbers, and numbers used twice in a row."""
    model = tiny.model(tiny.config(), scale=0.12)
    prompt = tiny.prompts([6])
    (found,) = Sampler(model).sample(
        prompt, n=4000, max_new_tokens=2, temperature=temperature, top_p=top_p, seeds=[3]
    )
    first = np.array([completion.tokens[0] for completion in found])
    chosen = int(np.bincount(first).argmax())
    second = np.array([c.tokens[1] for c in found if c.tokens[0] == chosen])
    for text, tokens in ((prompt[0], first), ([*prompt[0], chosen], second)):
        with torch.no_grad():
            logits = model(torch.tensor([text]))[:, -1]
        weights = torch.softmax(logits / temperature, -1)
        weights = (weights if top_p == 1 else keep_nucleus(weights, top_p))[0].double().numpy()
        assert p_value(tokens, weights / weights.sum()) > LEVEL


@given(st.lists(st.floats(-20, 20, width=32), min_size=1, max_size=9), st.floats(0.01, 1))
@settings(deadline=None, derandomize=True, max_examples=200)
def test_nucleus_is_the_smallest_set(logits, top_p):
    """Catches a nucleus that misses the mass, or that could lose a token and still reach it."""
    weights = torch.softmax(torch.tensor([logits]), -1)
    kept = keep_nucleus(weights, top_p)[0].double().numpy()
    whole = weights[0].double().numpy()
    target = top_p * whole.sum()
    assert kept.sum() >= target * (1 - 1e-6)
    inside = kept[kept > 0]
    # Tokens as likely as the last one stay together, so only the strictly likelier ones must fall short.
    assert inside[inside > inside.min()].sum() < target * (1 + 1e-6)
    assert (whole[kept == 0] < inside.min()).all()


@given(st.floats(0, 1, exclude_max=True), st.integers(1, 6))
@settings(deadline=None, derandomize=True)
def test_impossible_tokens_are_never_drawn(u, zeros):
    """Catches the end of the distribution: u = 0 and u just below 1 next to tokens of probability 0."""
    logits = torch.full((1, 2 * zeros + 1), -torch.inf)
    logits[0, zeros] = 1.0
    for number in (u, 0.0, np.nextafter(1.0, 0.0)):
        assert choose(logits, np.array([number]), 1.0, 1.0).tolist() == [zeros]


def test_unlikely_tokens_of_a_large_vocabulary_keep_their_places():
    """Catches a cumulative sum in 32 bit: behind a likely token thousands of unlikely ones melt together."""
    size, middle = 150_000, 75_000
    logits = torch.full((1, size), -25.0)
    logits[0, 0] = 0.0
    weights = torch.softmax(logits, -1).double()[0]
    target = float(weights[:middle].sum() + weights[middle] / 2)
    found = choose(logits, np.array([target / float(weights.sum())]), 1.0, 1.0)
    assert abs(int(found[0]) - middle) < 100


@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_logits_that_are_no_distribution_are_refused(bad, temperature):
    """Catches NaN logits that quietly become token 0, of one row among good ones."""
    logits = torch.zeros(3, 5)
    logits[1] = bad
    with pytest.raises(K2ReproError, match="logits of 1 of 3 rows.*NaN"):
        choose(logits, np.full(3, 0.5), temperature, 1.0)


def test_streams_differ_by_seed_and_by_sample():
    """Catches `seed + sample` as the key, with which sample 1 of seed 0 is sample 0 of seed 1."""
    streams = {tuple(uniforms(seed, sample, 4)) for seed in (0, 1, 2**64 - 1) for sample in range(5)}
    assert len(streams) == 15
    assert uniforms(3, 1, 9)[:4].tolist() == uniforms(3, 1, 4).tolist()
