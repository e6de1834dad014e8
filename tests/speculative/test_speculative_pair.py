"""The compiled loop on mini-K2 and its trained draft, where they disagree: a random test with power.

Whole texts of a real vocabulary fall into no cells. But the target's law of each next word is known,
whatever was written before. Put the words of a place in an order; then the target's mass up to the word that
came, with a random part of its own, is uniform and independent of all before, if words come with the target's
law (Rosenblatt 1952, doi.org/10.1214/aoms/1177729394). Two orders: by how much more the draft likes a word
than the target, so that a rule that favours the draft, or shuns it, piles numbers up at an end; and by how
likely a word is, so that words that were drawn for another place do.

At temperature 3 the target has 4.2 nats a word. At temperature 1 it has 0.01: there the coupled rule is
tested, word for word. Places where draft and target agree are left out; which they are depends on the words
before only, so that nothing is chosen by its outcome.

What so many words do not show for certain: a guess that stays a tenth too often, a block rule without its
minimum or with the token rule's replacement. `test_speculative_judging.py` reads decisions off instead.
"""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.stats import kstest

from k2repro.bench.speculative import mini_pair
from k2repro.fast import speculator
from k2repro.fast.kernels import judging, speculating
from k2repro.lab.speculative import prompts_of
from k2repro.lessons.draws import SIMULATED, p_values
from k2repro.speculative import Draft, speculative_sample

pytestmark = pytest.mark.slow

RUNS, CELLS, GAMMA, TEMPERATURE, NEW = 200, 5, 3, 3.0, 48
SAMPLES = 8
# Mass that draft and target share at a place, from which on it is left out.
ALIKE = 0.9
PROMPTS = prompts_of("validation", 16)
pair = cache(mini_pair)


def written(rule: str, samples: int) -> list[list[tuple[int, ...]]]:
    """What the loop writes behind each prompt."""
    found = speculative_sample(
        pair()[0],
        Draft.of(pair()[1]),
        PROMPTS,
        n=samples,
        rule=rule,
        gamma=GAMMA,
        temperature=TEMPERATURE,
        max_new_tokens=NEW,
        seeds=range(len(PROMPTS)),
        batch=32,
    )
    return [[one.tokens for one in row] for row in found.responses]


@torch.inference_mode()
def places(texts: list[list[tuple[int, ...]]]) -> NDArray[np.float64]:
    """Numbers of each place where draft and target disagree, uniform under the target's law, [2, places]."""
    generator, found = np.random.default_rng(0), []
    for prompt, rows in zip(PROMPTS, texts, strict=True):
        tokens = torch.tensor([[*prompt, *row] for row in rows])
        p, q = (
            torch.softmax(model(tokens)[:, len(prompt) - 1 : -1].double() / TEMPERATURE, -1).flatten(0, 1)
            for model in pair()
        )
        differ = torch.minimum(p, q).sum(-1) < ALIKE
        p, q, came = p[differ], q[differ], tokens[:, len(prompt) :].flatten()[differ, None]
        before = [(p * (key > key.gather(-1, came))).sum(-1) for key in (q / p, p)]
        part = generator.random((2, len(p))) * p.gather(-1, came)[:, 0].numpy()
        found.append(torch.stack(before).numpy() + part)
    # Sums of shares may round to 1.
    return np.concatenate(found, 1).clip(0, 1 - 1e-12)


def p_of_all(numbers: NDArray[np.float64]) -> float:
    """Of G-tests of all places together, one for each order, the smaller by Bonferroni."""
    seen = np.stack([np.bincount((each * CELLS).astype(np.int64), minlength=CELLS) for each in numbers])
    return min(1.0, 2 * float(p_values(seen, np.full(CELLS, 1 / CELLS), np.random.default_rng(2)).min()))


@pytest.mark.parametrize("rule", ["token", "block"])
def test_the_law_of_a_real_pair_is_the_targets(rule: str):
    """Catches a loop that is right on three words and wrong on hundreds: p-values of 200 runs are uniform."""
    numbers = places(written(rule, SAMPLES))
    assert numbers.shape[1] > 20 * RUNS
    for each in numbers:
        runs = each[: len(each) // RUNS * RUNS].reshape(RUNS, -1)
        # No G-tests here: few draws give few values of G, and p-values with ties are not uniform.
        assert kstest([kstest(run, "uniform").pvalue for run in runs], "uniform").pvalue > 0.01
    assert p_of_all(numbers) > 0.01
    # Two places in a row: what a word leaves behind for the next one, such as a number that is used twice.
    first, second = numbers[0, : numbers.shape[1] // 2 * 2].reshape(-1, 2).T
    together = np.floor(first * 4) * 4 + np.floor(second * 4)
    seen = np.bincount(together.astype(np.int64), minlength=16)[None]
    assert p_values(seen, np.full(16, 1 / 16), np.random.default_rng(3))[0] > 0.01


def plant(monkeypatch: pytest.MonkeyPatch, old: str, new: str) -> None:
    """The loop with a line of `judging.py` changed; that file runs uncompiled, all else as it is."""
    source = Path(judging.__file__).read_text(encoding="utf-8")
    assert source.count(old) == 1
    changed: dict[str, object] = {"__name__": "changed"}
    exec(source.replace(old, new).replace("@compiled\n", ""), changed)  # noqa: S102
    monkeypatch.setattr(speculating, "judge", changed["judge"])
    monkeypatch.setattr(speculator, "speculate", speculating.speculate.py_func)


SAME = "share * scratch.p[at, v] - of_draft"
MUTANTS = {
    "a refused stretch is replaced from p": (
        "block",
        "total = leftover(scratch, rules, row, stays, kept_there)",
        "total = scratch.p_sums[stays]",
    ),
    "a guess stays half again too often": ("token", "row) * q < p:", "row) * q < 1.5 * p:"),
    "a refused guess is replaced from p": (
        "token",
        "total = leftover(scratch, rules, row, at, 1.0)",
        "total = scratch.p_sums[at]",
    ),
    "what is left over is not normalised": ("token", "    return total\n", "    return 1.0\n"),
    "the added word is drawn from the place before": (
        "token",
        "dart(scratch.p, at, rules.words, scratch.p_sums[at]",
        "dart(scratch.p, max(0, at - 1), rules.words, scratch.p_sums[max(0, at - 1)]",
    ),
}


def test_an_uncompiled_rule_writes_the_same(monkeypatch: pytest.MonkeyPatch):
    """Catches mutants that are noticed because of how they are planted."""
    wanted = {rule: written(rule, 1) for rule in ("token", "block")}
    plant(monkeypatch, SAME, SAME)
    assert {rule: written(rule, 1) for rule in wanted} == wanted


@pytest.mark.parametrize("name", MUTANTS)
def test_a_wrong_rule_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch):
    """Catches a test without power: as many words of a wrong rule stand out from all runs of a right one."""
    rule, old, new = MUTANTS[name]
    plant(monkeypatch, old, new)
    assert p_of_all(places(written(rule, SAMPLES))) < 3 / SIMULATED
