"""Statistics of the evaluation: how far a score, a curve or a difference can be trusted.

One proportion of independent trials: `wilson_interval`. Several generations for each problem:
`pass_at_k` and `bootstrap_by_problem`. Two systems on the same problems: `paired_difference`,
`mcnemar_exact`. Many comparisons in one table: `holm`. numpy only; no torch, no scipy.
"""

from k2repro.evaluate.bootstrap import bootstrap_by_problem
from k2repro.evaluate.intervals import Interval, wilson_interval
from k2repro.evaluate.multiple import HolmResult, holm
from k2repro.evaluate.paired import (
    PairedDifference,
    discordant_pairs,
    mcnemar_exact,
    paired_difference,
)
from k2repro.evaluate.pass_rate import pass_at_k

__all__ = [
    "HolmResult",
    "Interval",
    "PairedDifference",
    "bootstrap_by_problem",
    "discordant_pairs",
    "holm",
    "mcnemar_exact",
    "paired_difference",
    "pass_at_k",
    "wilson_interval",
]
