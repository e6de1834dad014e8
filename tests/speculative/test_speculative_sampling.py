"""Catches: a draft that changes a token, a cache that remembers what was thrown away, bad input."""

import warnings

import engine_tiny as tiny
import numpy as np
import pytest
import torch

from k2repro.engine import sample
from k2repro.errors import K2ReproError
from k2repro.fast import speculator
from k2repro.speculative import Draft, speculative_sample
from k2repro.speculative.drafts import prune
from k2repro.speculative.loop_defects import LOOP_DEFECTS, as_its_own_draft
from k2repro.speculative.sampling import SlowDraft

TARGET = tiny.model(tiny.config(num_hidden_layers=3), scale=0.25)
OTHER = tiny.model(tiny.config(num_hidden_layers=1, hidden_size=16), seed=4, scale=0.25)
PROMPTS = tiny.prompts([3, 17, 9, 1, 30, 12, 6, 22])
TEXTS = tiny.prompts([200] * 4, seed=9)
DRAFTS = {
    "none": None,
    "early exit": Draft.of(prune(TARGET, 2, 40)),
    "pruned": Draft.of(prune(TARGET, 3, 24)),
    "another model": Draft.of(OTHER),
    "look-up": Draft.lookup(),
    "bigram": Draft.bigram(TEXTS, tiny.VOCABULARY),
}
STOP = (5, 11)


def alone(**how) -> list[tuple[int, ...]]:
    found = sample(TARGET, PROMPTS, max_new_tokens=40, seeds=range(8), stop=STOP, **how)
    return [one.tokens for row in found for one in row]


def helped(draft: Draft | None, **how) -> list[tuple[int, ...]]:
    found = speculative_sample(TARGET, draft, PROMPTS, max_new_tokens=40, seeds=range(8), stop=STOP, **how)
    return [one.tokens for row in found.responses for one in row]


@pytest.mark.parametrize("name", DRAFTS)
@pytest.mark.parametrize("temperature", [0.0, 0.8, 1.0])
def test_the_same_seed_gives_the_same_tokens_with_any_draft(name: str, temperature: float):
    """Catches everything that a draft could change: every gamma, alone and together, two samples a prompt."""
    wanted = alone(n=2, temperature=temperature)
    for gamma, batch in ((1, 1), (2, 8), (4, 3), (7, 8), (15, 5)):
        assert helped(DRAFTS[name], n=2, temperature=temperature, gamma=gamma, batch=batch) == wanted


def test_a_nucleus_and_a_confident_draft_change_nothing_either():
    """Catches a nucleus of another mass, and a draft whose early stop throws a token away."""
    wanted = alone(temperature=1.0, top_p=0.8)
    for confidence in (0.0, 0.3):
        how = {"temperature": 1.0, "top_p": 0.8, "gamma": 5, "confidence": confidence}
        assert helped(DRAFTS["pruned"], **how) == wanted


def test_a_number_at_the_edge_is_given_to_the_sampler(monkeypatch: pytest.MonkeyPatch):
    """Catches tokens that agree by luck: numbers at an edge are asked for, few others are."""
    asked = []
    answer = speculator.Speculator.answer

    def counted(self, row: int, token: int) -> None:
        asked.append(token)
        answer(self, row, token)

    monkeypatch.setattr(speculator.Speculator, "answer", counted)
    found = helped(DRAFTS["pruned"], temperature=1.0, gamma=3)
    few = len(asked)
    assert found == alone(temperature=1.0) and few < 20
    begin = speculator.Speculator.begin

    def at_edges(self, begun) -> None:
        begin(self, begun)
        self.state.numbers[:] = 0.0

    monkeypatch.setattr(speculator.Speculator, "begin", at_edges)
    first = helped(DRAFTS["pruned"], temperature=1.0, gamma=3)
    assert all(tokens[0] == 0 for tokens in first)


def frequencies(rule: str, runs: int, gamma: int) -> np.ndarray:
    """How often each pair of first tokens came, [V, V], over many seeds."""
    counts = np.zeros((tiny.VOCABULARY, tiny.VOCABULARY))
    found = speculative_sample(
        TARGET,
        DRAFTS["another model"],
        [PROMPTS[2]] * runs,
        max_new_tokens=2,
        seeds=range(runs),
        rule=rule,
        gamma=gamma,
        batch=32,
    )
    for row in found.responses:
        np.add.at(counts, row[0].tokens, 1)
    return counts


@torch.no_grad()
def pair_law() -> np.ndarray:
    prompt = torch.tensor([PROMPTS[2]])
    first = TARGET(prompt)[0, -1].double().softmax(-1)
    words = torch.arange(tiny.VOCABULARY)[:, None]
    second = TARGET(torch.cat((prompt.expand(len(words), -1), words), 1))[:, -1].double().softmax(-1)
    return (first[:, None] * second).numpy()


@pytest.mark.parametrize("rule", ["token", "block", "coupled"])
def test_the_compiled_rules_draw_from_the_joint_law(rule: str):
    """Catches a compiled rule that is not the enumerated one: G-test of the first two tokens."""
    from scipy.stats import chi2

    runs = 3000
    counts, law = frequencies(rule, runs, 3).ravel(), pair_law().ravel()
    order = np.argsort(-law)
    big = order[law[order] * runs >= 8]
    seen = np.append(counts[big], runs - counts[big].sum())
    expected = runs * np.append(law[big], 1 - law[big].sum())
    statistic = 2 * np.sum(seen[seen > 0] * np.log(seen[seen > 0] / expected[seen > 0]))
    assert len(big) > 10 and chi2.sf(statistic, len(big)) > 1e-3
    # A wrong twin: the draft's own law would be noticed at once.
    wrong = runs * np.append(np.roll(law, 1)[big], 1 - np.roll(law, 1)[big].sum())
    assert chi2.sf(2 * np.sum(seen[seen > 0] * np.log(seen[seen > 0] / wrong[seen > 0])), len(big)) < 1e-6


def test_statistics_add_up():
    """Catches passes that are not counted, and acceptance over tokens that nobody judged."""
    found = speculative_sample(
        TARGET, DRAFTS["pruned"], PROMPTS, max_new_tokens=40, seeds=range(8), gamma=4, batch=4
    )
    whole = found.statistics
    assert whole.tokens == sum(len(row[0].tokens) for row in found.responses) == 8 * 40
    assert whole.passes == sum(one.passes for one in found.of_prompts) == sum(whole.accepted_lengths)
    origins = [origin for row in found.responses for origin in row[0].origin]
    accepted = sum(at * count for at, count in enumerate(whole.accepted_lengths))
    assert origins.count("accepted") in range(accepted, accepted + 9)
    assert whole.tokens_per_pass == whole.tokens / whole.passes
    perfect = speculative_sample(
        TARGET, Draft.of(TARGET), PROMPTS, max_new_tokens=40, seeds=range(8), gamma=4
    ).statistics
    assert perfect.acceptance == 1.0 and perfect.passes == 8 * 8


@pytest.mark.parametrize("confidence", [0.0, 0.2])
def test_a_draft_that_is_the_target_is_always_right(confidence: float):
    """Catches what is lossless and slow: a draft that reads another text than the one written."""
    how = {"max_new_tokens": 40, "seeds": range(8), "gamma": 3, "confidence": confidence, "batch": 8}
    sure = speculative_sample(TARGET, Draft.of(TARGET), PROMPTS, **how).statistics
    assert sure.acceptance == 1.0 and 1 < sure.tokens_per_pass <= 4
    assert (sure.tokens_per_pass < 4) == (confidence > 0)


@pytest.mark.parametrize("defect", LOOP_DEFECTS, ids=lambda defect: defect.spoil.__name__)
def test_a_careless_draft_loses_no_token_and_is_noticed(defect):
    """Catches an acceptance of 1 that a stale cache would have too: each known defect lowers it."""
    whole = as_its_own_draft(TARGET, PROMPTS[1], 40, 3, 0)
    spoilt = as_its_own_draft(TARGET, PROMPTS[1], 40, 3, 0, defect.spoil)
    assert whole[1] == 1.0 and spoilt[0] == whole[0] and spoilt[1] < 0.95


GOOD = {"prompts": PROMPTS, "max_new_tokens": 8, "seeds": range(8)}


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"gamma": 0}, "at least 1"),
        ({"gamma": 200}, "context"),
        ({"rule": "lucky"}, "block"),
        ({"temperature": 1.5}, "thrown away"),
        ({"prompts": [[]], "seeds": [0]}, "empty"),
        ({"prompts": [[1] * 96], "seeds": [0]}, "context"),
        ({"prompts": [], "seeds": []}, "no prompt"),
        ({"draft": Draft.of(tiny.model(tiny.config(vocab_size=64)))}, "64 words, the target 61.*padded"),
        ({"draft": Draft.bigram(TEXTS, tiny.VOCABULARY + 1)}, "62 words, the target 61"),
        ({"temperature": -0.5}, "temperature"),
        ({"seeds": [1]}, "one a prompt"),
        ({"batch": 0}, "at least 1"),
    ],
)
def test_bad_input_is_refused_with_its_rule(change: dict, rule: str):
    """Catches a setting that is let through and changes the text, or crashes deep inside."""
    given = {**GOOD, "draft": DRAFTS["pruned"], **change}
    with pytest.raises(K2ReproError, match=rule):
        speculative_sample(TARGET, given.pop("draft"), given.pop("prompts"), **given)


@pytest.mark.parametrize("rule", ["token", "block"])
@pytest.mark.parametrize("name", ["another model", "bigram", "look-up"])
def test_at_temperature_0_every_rule_is_greedy_decoding(rule: str, name: str):
    """Catches a division by temperature 0, and a draft whose numbers choose words where none are drawn."""
    assert helped(DRAFTS[name], rule=rule, temperature=0.0, gamma=3) == alone(temperature=0.0)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("length", [94, 95])
def test_a_prompt_that_nearly_fills_the_context_gets_what_is_left(temperature: float, length: int):
    """Catches guesses read beyond the context, and a row that never ends for want of room for a guess."""
    given = {"max_new_tokens": 8, "temperature": temperature, "seeds": [3]}
    prompts = tiny.prompts([length])
    wanted = sample(TARGET, prompts, **given)[0][0].tokens
    assert len(wanted) == 96 - length
    for draft in DRAFTS.values():
        found = speculative_sample(TARGET, draft, prompts, gamma=7, **given).responses[0][0]
        assert found.tokens == wanted and found.finish == "length"


def test_a_draft_that_ends_early_ends_nothing():
    """Catches a response that is over because the draft would stop, or because its context is full."""
    ends = np.zeros((tiny.VOCABULARY, tiny.VOCABULARY), np.float32)
    ends[:, STOP[0]] = 50.0
    short = tiny.model(tiny.config(num_hidden_layers=1, hidden_size=16, max_position_embeddings=12), seed=4)
    wanted = alone(temperature=1.0)
    assert max(map(len, wanted)) > 12
    for draft in (Draft("bigram", table=ends), Draft.of(short)):
        assert helped(draft, temperature=1.0, gamma=4) == wanted
        for rule in ("token", "block"):
            assert max(map(len, helped(draft, temperature=1.0, gamma=4, rule=rule))) > 12


@pytest.mark.parametrize("temperature", [0.0, 1.0])
@pytest.mark.parametrize("rule", ["coupled", "token", "block"])
def test_weights_that_diverged_are_named(rule: str, temperature: float):
    """Catches a NaN that a comparison swallows."""
    broken = tiny.model(tiny.config())
    with torch.no_grad():
        broken.model.layers[0].self_attn.k_proj.weight[0, 0] = float("nan")
    how = {"max_new_tokens": 8, "seeds": range(8), "rule": rule, "temperature": temperature}
    with pytest.raises(K2ReproError, match="logits of the target are NaN"):
        speculative_sample(broken, DRAFTS["look-up"], PROMPTS, **how)
    # Under the token and block rules its numbers would end up in the text.
    with pytest.raises(K2ReproError, match="logits of the draft are NaN"), warnings.catch_warnings():
        warnings.simplefilter("ignore", SlowDraft)
        speculative_sample(TARGET, Draft.of(broken), PROMPTS, **how)


def test_a_draft_as_large_as_its_target_is_said_to_be_slow():
    """Catches a draft that can only lose taken without a word, and a warning about one that can gain."""
    large = Draft.of(tiny.model(tiny.config(num_hidden_layers=6)))
    given = {"prompts": PROMPTS[:1], "max_new_tokens": 4, "seeds": [1], "gamma": 3}
    with pytest.warns(SlowDraft, match=r"at best 0\.\d\d times as fast"):
        speculative_sample(TARGET, large, **given)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        speculative_sample(TARGET, DRAFTS["early exit"], **given)
        speculative_sample(TARGET, DRAFTS["look-up"], **given)
