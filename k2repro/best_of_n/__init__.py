"""Best-of-N: sample several answers, choose one.

K2-Think (arXiv 2509.07604, Table 2) takes the best of three by letting a model compare them in pairs. What a
selector is worth lies between two others: a random choice, which is a single sample, and the oracle, which
needs the right answer and is a bound, not a method.

`selectors` are functions in a dictionary; `judging` asks a model to score or compare candidates;
`process_check` goes their ways once more;
`expectation` gives the exact expected accuracy over all subsets of a pool; `adaptive` stops early.
"""

from k2repro.best_of_n.adaptive import Adaptive, adaptive, choose_threshold
from k2repro.best_of_n.expectation import (
    accuracy_curve,
    expected_accuracy,
    expected_knock_out,
    expected_round_robin,
    expected_vote,
    oracle_accuracy,
    sees_the_answer,
)
from k2repro.best_of_n.judging import Verdicts, compare, judged_part, knock_out, round_robin, score_all
from k2repro.best_of_n.process_check import Ways, agreements, derivation_requests, distinct_ways
from k2repro.best_of_n.selectors import (
    AGREEMENT,
    COMPARING,
    SELECTORS,
    Candidate,
    Choice,
    Selector,
    choose,
    selector,
    unreadable,
)

__all__ = [
    "AGREEMENT",
    "COMPARING",
    "SELECTORS",
    "Adaptive",
    "Candidate",
    "Choice",
    "Selector",
    "Verdicts",
    "Ways",
    "accuracy_curve",
    "adaptive",
    "agreements",
    "choose",
    "choose_threshold",
    "compare",
    "derivation_requests",
    "distinct_ways",
    "expected_accuracy",
    "expected_knock_out",
    "expected_round_robin",
    "expected_vote",
    "judged_part",
    "knock_out",
    "oracle_accuracy",
    "round_robin",
    "score_all",
    "sees_the_answer",
    "selector",
    "unreadable",
]
