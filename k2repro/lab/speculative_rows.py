"""From counts to numbers of notebook 06: tokens a pass, modelled speed, spread over prompts, with intervals.

A modelled speed counts bytes: the target is read once a pass, the draft once a guess. That is what decides at
batch 1 where memory is the limit, and it is the same on every machine. Times are `k2repro bench speculative`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from k2repro.evaluate.bootstrap import RowStatistic
from k2repro.evaluate.intervals import Interval
from k2repro.lab.effect_rows import add_statistic, interval_of, value_of
from k2repro.results.rowbook import RowBook

Counts = Mapping[str, Any]
# Guesses a cycle where one number is asked for: a pass over eight tokens is one tile of the compiled pass.
GAMMA = 7


def rates(counts: Counts) -> NDArray[np.float64]:
    """Tokens a pass of each prompt."""
    return np.asarray(counts["tokens"], np.float64) / np.asarray(counts["passes"], np.float64)


def tokens_a_pass(counts: Counts) -> float:
    """Over all prompts together."""
    return sum(counts["tokens"]) / sum(counts["passes"])


def modelled_speed(tokens: float, gamma: int, share: float) -> float:
    """Bytes of ordinary decoding over bytes with a draft. share: size of the draft over the target's."""
    return tokens / (1 + gamma * share)


def spread(counts: Counts) -> float:
    """Standard deviation over prompts of tokens a pass, over its mean."""
    return value_of(_relative_spread(counts), len(counts["tokens"]))


def spread_interval(counts: Counts) -> Interval:
    """The interval of `spread`."""
    return interval_of(_relative_spread(counts), len(counts["tokens"]), np.random.default_rng(0))


def extremes(counts: Counts) -> tuple[float, float]:
    """Tokens a pass of the slowest and of the fastest prompt, over the mean, less 1."""
    found = rates(counts)
    return float(found.min() / found.mean() - 1), float(found.max() / found.mean() - 1)


def _relative_spread(counts: Counts) -> RowStatistic:
    found = rates(counts)
    return lambda index: found[index].std(-1, ddof=1) / found[index].mean(-1)


def add_effects(rows: RowBook, counts: Counts, share: float) -> None:
    """The rows that claims wait for, of the trained draft; share: as in `modelled_speed`."""
    of = counts["gammas"]["trained"][str(GAMMA)]
    tokens, passes = np.asarray(of["tokens"], np.float64), np.asarray(of["passes"], np.float64)

    def a_pass(index: NDArray[np.int64]) -> NDArray[np.float64]:
        return tokens[index].sum(-1) / passes[index].sum(-1)

    _add(rows, "speculative.tokens_per_pass", a_pass, len(tokens), "tokens")
    _add(rows, "speculative.target_passes_per_token", lambda index: 1 / a_pass(index), len(tokens), "passes")
    _add(
        rows,
        "speculative.speedup",
        lambda index: modelled_speed(1.0, GAMMA, share) * a_pass(index),
        len(tokens),
        "ratio of modelled rates",
    )
    _add(rows, "speculative.rate_spread", _relative_spread(of), len(tokens), "fraction")
    for name, found in counts["gammas"].items():
        rows.add(
            f"speculative.acceptance.{name.replace(' ', '-')}",
            found[str(GAMMA)]["acceptance"],
            unit="fraction",
            scale="mini",
            n=sum(found[str(GAMMA)]["tokens"]),
            seeds=(0,),
        )


def add_identity(rows: RowBook, counts: Counts) -> None:
    """How many responses are the sampler's, of all that were compared; accuracy can change by the others."""
    same = sum(pair[0] for pair in counts["identity"].values())
    tried = sum(pair[1] for pair in counts["identity"].values())
    for name, value in (("same", same), ("compared", tried)):
        rows.add(f"speculative.identity.{name}", value, unit="responses", scale="mini", n=tried, seeds=(0,))
    most = (tried - same) / tried
    rows.add("speculative.accuracy.most_change", most, unit="fraction", scale="mini", n=tried, seeds=(0,))


def _add(rows: RowBook, row: str, statistic: RowStatistic, problems: int, unit: str) -> None:
    add_statistic(rows, row, statistic, problems, unit, generator=np.random.default_rng(0), of="model")
