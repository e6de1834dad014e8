"""The 2 x 2 design, plan x best-of-N, from the attempts of a run; every comparison paired by problem.

One pool of samples without a plan and one with give all four cells: a single sample is any of the pool, and
best-of-N chooses within the N of one run. Beside the judge stand its bounds, oracle and majority vote.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from k2repro.evaluate import Interval, bootstrap_by_problem, paired_difference
from k2repro.harness.attempts import Attempt
from k2repro.harness.protocol import Protocol

Values = dict[str, list[float]]
# Draws of samples from a problem's pool, for curves whose subsets are too many to count.
DRAWS = 200
AGREEING = 2


@dataclass(frozen=True)
class ScoreCell:
    """One configuration. values: by problem, one an attempt, from 0 to 1. tokens: of a question, by role."""

    name: str
    values: Values
    tokens: dict[str, float]

    @property
    def accuracy(self) -> float:
        """Mean over problems of each problem's mean."""
        return float(np.mean([np.mean(each) for each in self.values.values()]))

    @property
    def total(self) -> float:
        """Output tokens of all roles for one question."""
        return sum(self.tokens.values())


@dataclass(frozen=True)
class ProblemScore:
    """A fraction, or a difference of two, with its interval by problem."""

    name: str
    value: float
    interval: Interval


def cells(attempts: Sequence[Attempt], protocol: Protocol) -> list[ScoreCell]:
    """The cells that were run, named as in the paper's Table 2: checkpoint, plan, boN, plan-boN."""
    found = []
    for arm, prefix in (("search", ""), ("planned", "plan-")):
        mine = [each for each in attempts if each.arm == arm]
        if not mine:
            continue
        planner = float(np.mean([each.planner / len(each.tokens) for each in mine]))
        solver = float(np.mean([np.mean(each.tokens) for each in mine]))
        single = {"solver": solver} if arm == "search" else {"solver": solver, "planner": planner}
        name = "checkpoint" if arm == "search" else "plan"
        found.append(ScoreCell(name, _values(mine, lambda each: float(np.mean(each.right))), single))
        if protocol.n > 1:
            group = {role: protocol.n * tokens for role, tokens in single.items()}
            spent = {**group, "judge": float(np.mean([each.judge for each in mine]))}
            name = f"{prefix}bo{protocol.n}"
            found.append(ScoreCell(name, _values(mine, _chosen), spent))
            found.append(
                ScoreCell(f"{name}.oracle", _values(mine, lambda each: float(any(each.right))), group)
            )
            found.append(ScoreCell(f"{name}.majority", _values(mine, _majority), group))
    return found


def intervals(found: Sequence[ScoreCell], generator: np.random.Generator) -> list[ProblemScore]:
    """Each cell's accuracy with the interval by problem."""
    return [
        ProblemScore(cell.name, cell.accuracy, bootstrap_by_problem(cell.values, generator=generator))
        for cell in found
    ]


def differences(
    found: Sequence[ScoreCell], protocol: Protocol, generator: np.random.Generator
) -> list[ProblemScore]:
    """What each ingredient adds, on the same problems."""
    by_name, n = {cell.name: cell for cell in found}, protocol.n
    pairs = [("plan", "checkpoint"), (f"bo{n}", "checkpoint"), (f"plan-bo{n}", "checkpoint")]
    pairs += [(f"plan-bo{n}", f"bo{n}"), (f"bo{n}", f"bo{n}.majority")]
    scores = []
    for name, base in pairs:
        if name in by_name and base in by_name:
            paired = paired_difference(by_name[name].values, by_name[base].values, generator=generator)
            scores.append(ProblemScore(f"{name}.minus.{base}", paired.difference, paired.interval))
    return scores


@dataclass(frozen=True)
class EqualTokens:
    """A cell against plain samples for the same tokens. votes: how many samples they buy (not whole)."""

    cell: str
    votes: float
    difference: ProblemScore


def equal_tokens(
    found: Sequence[ScoreCell], attempts: Sequence[Attempt], generator: np.random.Generator
) -> list[EqualTokens]:
    """Each system cell against a majority vote over as many plain samples as its tokens of all roles buy.

    Between whole numbers of votes by a straight line: mixing the two over the problems reaches it. Cells that
    cost more than the pool holds are left out.
    """
    pools = _pools(attempts)
    base = next(cell for cell in found if cell.name == "checkpoint")
    most = min(len(right) for _, right in pools.values())
    curves = {name: _majority_curve(*pool, most, generator) for name, pool in pools.items()}
    compared = []
    for cell in found:
        votes = cell.total / base.total
        if cell.name == "checkpoint" or "." in cell.name or votes > most:
            continue
        paired = paired_difference(cell.values, _mixed(curves, votes), generator=generator)
        score = ProblemScore(f"{cell.name}.minus.equal-tokens", paired.difference, paired.interval)
        compared.append(EqualTokens(cell.name, votes, score))
    return compared


@dataclass(frozen=True)
class AdaptiveScore:
    """Sampling until two answers agree, at most N: accuracy, mean samples, and the vote of equal cost."""

    accuracy: ProblemScore
    samples: float
    equal_votes: ProblemScore


def adaptive_by_agreement(
    attempts: Sequence[Attempt], most: int, generator: np.random.Generator
) -> AdaptiveScore | None:
    """Adaptive N without log-probabilities: stop at the second equal answer. None if a pool is too small."""
    pools = _pools(attempts)
    if most < AGREEING + 1 or min(len(right) for _, right in pools.values()) < most:
        return None
    accuracy, samples = {}, []
    for name, (answers, right) in pools.items():
        runs = [_until_agreed(answers, right, generator.permutation(len(right))[:most]) for _ in range(DRAWS)]
        accuracy[name] = [float(np.mean([each[0] for each in runs]))]
        samples.append(float(np.mean([each[1] for each in runs])))
    mean = float(np.mean(samples))
    curves = {name: _majority_curve(*pool, most, generator) for name, pool in pools.items()}
    paired = paired_difference(accuracy, _mixed(curves, mean), generator=generator)
    return AdaptiveScore(
        ProblemScore(
            "adaptive",
            float(np.mean(list(accuracy.values()))),
            bootstrap_by_problem(accuracy, generator=generator),
        ),
        mean,
        ProblemScore("adaptive.minus.equal-samples", paired.difference, paired.interval),
    )


def length_change(attempts: Sequence[Attempt], generator: np.random.Generator) -> ProblemScore | None:
    """Table 3: the chosen planned response against a plain one, in tokens, as a share of the plain one."""
    planned = _values([each for each in attempts if each.arm == "planned"], _chosen_tokens)
    plain = _values(
        [each for each in attempts if each.arm == "search"], lambda each: float(np.mean(each.tokens))
    )
    if not planned:
        return None
    both = np.array([[np.mean(planned[name]), np.mean(plain[name])] for name in plain])

    def change(rows: object) -> float:
        pairs = np.asarray(rows)
        return float(pairs[:, 0].mean() / pairs[:, 1].mean() - 1.0)

    return ProblemScore(
        "length-change", change(both), bootstrap_by_problem(both, change, generator=generator)
    )


def _values(attempts: Sequence[Attempt], value: Callable[[Attempt], float]) -> Values:
    found: Values = {}
    for each in attempts:
        found.setdefault(each.problem, []).append(value(each))
    return found


def _chosen(attempt: Attempt) -> float:
    return 0.0 if attempt.chosen is None else float(attempt.right[attempt.chosen])


def _chosen_tokens(attempt: Attempt) -> float:
    return float(np.mean(attempt.tokens)) if attempt.chosen is None else float(attempt.tokens[attempt.chosen])


def _majority(attempt: Attempt) -> float:
    return _vote(attempt.answers, attempt.right)


def _vote(answers: Sequence[str | None], right: Sequence[bool]) -> float:
    """Share of right ones among those with most votes; no readable answer is wrong."""
    readable = [each for each in answers if each is not None]
    if not readable:
        return 0.0
    most = max(readable.count(each) for each in set(readable))
    best = {each for each in set(readable) if readable.count(each) == most}
    truth = {answer: ok for answer, ok in zip(answers, right, strict=True) if answer in best}
    return float(np.mean(list(truth.values())))


def _pools(attempts: Sequence[Attempt]) -> dict[str, tuple[list[str | None], list[bool]]]:
    """All plain samples of each problem: what they state, and whether that is right."""
    pools: dict[str, tuple[list[str | None], list[bool]]] = {each.problem: ([], []) for each in attempts}
    for each in attempts:
        if each.arm == "search":
            pools[each.problem][0].extend(each.answers)
            pools[each.problem][1].extend(each.right)
    return pools


def _mixed(curves: Mapping[str, Sequence[float]], votes: float) -> Values:
    """Accuracy of each problem at a number of votes that need not be whole."""
    return {
        name: [float(np.interp(votes, np.arange(1, len(curve) + 1), curve))] for name, curve in curves.items()
    }


def _majority_curve(
    answers: Sequence[str | None], right: Sequence[bool], most: int, generator: np.random.Generator
) -> list[float]:
    """Expected accuracy of a vote over 1 .. most samples drawn without replacement."""
    totals = np.zeros(most)
    for _ in range(DRAWS):
        order = generator.permutation(len(right))[:most]
        for n in range(1, most + 1):
            picked = order[:n]
            totals[n - 1] += _vote([answers[i] for i in picked], [right[i] for i in picked])
    return (totals / DRAWS).tolist()


def _until_agreed(
    answers: Sequence[str | None], right: Sequence[bool], order: np.ndarray
) -> tuple[float, int]:
    seen: list[str | None] = []
    for place, index in enumerate(order):
        answer = answers[index]
        if answer is not None and seen.count(answer) == AGREEING - 1:
            return float(right[index]), place + 1
        seen.append(answer)
    return _vote(seen, [right[i] for i in order]), len(order)
