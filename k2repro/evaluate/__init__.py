"""Statistics of the evaluation: how far a score, a curve or a difference can be trusted.

One proportion of independent trials: `wilson_interval`. Several generations for each problem:
`pass_at_k` and `bootstrap_by_problem`. Two systems on the same problems: `paired_difference`,
`mcnemar_exact`. Many comparisons in one table: `holm`. All generations of one model on one benchmark:
`Pool`; without its texts: `Scores`. Differences between models over seeds: `k2repro.evaluate.effects`.
numpy only; no torch, no scipy.
"""

from k2repro.evaluate.bootstrap import bootstrap_by_problem
from k2repro.evaluate.generate import generate_pool
from k2repro.evaluate.intervals import Interval, wilson_interval
from k2repro.evaluate.multiple import HolmResult, holm
from k2repro.evaluate.paired import PairedDifference, discordant_pairs, mcnemar_exact, paired_difference
from k2repro.evaluate.pass_rate import pass_at_k
from k2repro.evaluate.pool import Attempts, Generation, Pool, Score, Scores
from k2repro.evaluate.pool_file import load_pool, load_scores, save_pool

# Numerics word: raised when a problem of a pool is sampled from other random numbers.
POOLS = "pools-1"

__all__ = [
    "POOLS",
    "Attempts",
    "Generation",
    "HolmResult",
    "Interval",
    "PairedDifference",
    "Pool",
    "Score",
    "Scores",
    "bootstrap_by_problem",
    "discordant_pairs",
    "generate_pool",
    "holm",
    "load_pool",
    "load_scores",
    "mcnemar_exact",
    "paired_difference",
    "pass_at_k",
    "save_pool",
    "wilson_interval",
]
