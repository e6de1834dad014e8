"""Fitting the roofline's parameters: robust, shrunk to priors, deterministic, numpy only.

Run `python -m k2repro.wafer.calibration.freeze DATE` to refit on the shipped rows and rewrite
`data/parameters.toml`. The residual is log(predicted / measured). Rows of one source share their
mistakes, so a source with n rows weighs n^0.5 instead of n; a residual beyond ten per cent counts
linearly (soft-L1); a parameter one prior spread away costs as much as nine rows ten per cent off.
Nothing is drawn at random.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from k2repro.errors import K2ReproError
from k2repro.wafer.calibration.rates import Rate, RateTable
from k2repro.wafer.model import engines
from k2repro.wafer.model.parameters import FloatArray, Parameters, prior_logs
from k2repro.wafer.model.roofline import step_seconds
from k2repro.wafer.model.workload import Workload, select, stack

NOISE = 0.1
PRIOR_ROWS = 9.0
SOURCE_POWER = 0.5
_STEP = 1e-4
_ROUNDS = 60
_TOLERANCE = 1e-7


@dataclass(frozen=True)
class Sample:
    """Rows to fit or score: their workload, measured rates, and the labels to leave out by.

    rates: tokens/s per sequence, shape (n,). sources, devices: labels, shape (n,).
    """

    rows: tuple[Rate, ...]
    work: Workload
    rates: FloatArray
    sources: np.ndarray
    devices: np.ndarray

    def keep(self, mask: np.ndarray) -> "Sample":
        """The rows that the mask keeps."""
        rows = tuple(row for row, kept in zip(self.rows, mask, strict=True) if kept)
        return Sample(rows, select(self.work, mask), self.rates[mask], self.sources[mask], self.devices[mask])


def make_sample(rows: Sequence[Rate]) -> Sample:
    """Stack rows; K2ReproError when there are none."""
    if not rows:
        raise K2ReproError("no rows to fit or score; all were refused or filtered out")
    return Sample(
        tuple(rows),
        stack([row.workload() for row in rows]),
        np.array([row.tokens_per_second for row in rows]),
        np.array([row.source for row in rows]),
        np.array([row.hardware for row in rows]),
    )


def fitting_rows(table: RateTable) -> list[Rate]:
    """Scored rows, and the launch-bound rows of eager engines (they know the host's overhead)."""
    return [
        row
        for row in table.rates
        if not row.speculative
        and row.device.device_class not in ("wafer", "lpu")
        and (
            row.purpose == 1
            or (row.purpose == 0 and row.shape_known and row.engine.class_code == engines.EAGER)
        )
    ]


def source_weights(sources: np.ndarray) -> FloatArray:
    """Weight of each row's residual, mean 1: n^(-(1 - SOURCE_POWER) / 2) for a source of n rows."""
    counts = Counter(sources.tolist())
    weights = np.array([counts[name] for name in sources.tolist()], dtype=np.float64)
    weights = weights ** (-(1.0 - SOURCE_POWER) / 2.0)
    return weights / weights.mean()


def log_residuals(sample: Sample, parameters: Parameters) -> FloatArray:
    """log(predicted / measured), shape (n,), or (K, n) for K variants."""
    return -np.log(step_seconds(sample.work, parameters)) - np.log(sample.rates)


def _cost(residuals: FloatArray, weights: FloatArray, offsets: FloatArray, spread: FloatArray) -> float:
    robust = 2.0 * NOISE**2 * (np.sqrt(1.0 + (weights * residuals / NOISE) ** 2) - 1.0)
    prior = PRIOR_ROWS * NOISE**2 * np.sum((offsets / spread) ** 2)
    return float(robust.sum() + prior)


def fit_parameters(sample: Sample, start: Parameters | None = None) -> Parameters:
    """Maximum a posteriori parameters by damped Gauss-Newton with reweighting.

    start: where to begin (the priors when absent); the result does not depend on it beyond the
    tolerance, a good start saves time.
    """
    centre, spread = prior_logs()
    logs = centre.copy() if start is None else start.log_values.copy()
    weights = source_weights(sample.sources)
    pull = PRIOR_ROWS * NOISE**2 / spread**2
    damping = 1e-3
    residuals = log_residuals(sample, Parameters(logs))
    cost = _cost(residuals, weights, logs - centre, spread)
    for _ in range(_ROUNDS):
        jacobian = derivatives(sample, Parameters(logs))[1]
        robust = weights**2 / np.sqrt(1.0 + (weights * residuals / NOISE) ** 2)
        curvature = (jacobian * robust) @ jacobian.T + np.diag(pull)
        slope = (jacobian * robust) @ residuals + pull * (logs - centre)
        step = -np.linalg.solve(curvature + damping * np.diag(np.diag(curvature)), slope)
        trial = log_residuals(sample, Parameters(logs + step))
        trial_cost = _cost(trial, weights, logs + step - centre, spread)
        if trial_cost > cost:
            damping *= 10.0
            if damping > 1e6:
                break
            continue
        gained = cost - trial_cost
        logs, residuals, cost, damping = logs + step, trial, trial_cost, max(damping / 10, 1e-6)
        if gained < _TOLERANCE * cost:
            break
    return Parameters(logs)


@dataclass(frozen=True)
class Linearised:
    """A fit seen as a least-squares problem, so that rows can be left out without fitting again.

    At the optimum, leaving rows out moves the parameters by one Gauss-Newton step; residuals follow
    their derivative. Exact where the model is linear in its log-parameters, close elsewhere, and a
    thousand times cheaper than a fit: what interval widths need, which look at hundreds of folds.
    """

    parameters: Parameters
    weighted: FloatArray
    jacobian: FloatArray
    residuals: FloatArray

    @staticmethod
    def at(sample: Sample, parameters: Parameters) -> "Linearised":
        """Around a fit of this sample. weighted: Jacobian times robust weights, shape (P, n)."""
        residuals, jacobian = derivatives(sample, parameters)
        weights = source_weights(sample.sources)
        robust = weights**2 / np.sqrt(1.0 + (weights * residuals / NOISE) ** 2)
        return Linearised(parameters, jacobian * robust, jacobian, residuals)

    def step_without(self, held: np.ndarray) -> FloatArray:
        """How the log-parameters move when the rows of the mask are left out, shape (P,)."""
        centre, spread = prior_logs()
        pull = PRIOR_ROWS * NOISE**2 / spread**2
        kept = ~held
        curvature = self.weighted[:, kept] @ self.jacobian[:, kept].T + np.diag(pull)
        slope = self.weighted[:, kept] @ self.residuals[kept] + pull * (self.parameters.log_values - centre)
        return np.asarray(-np.linalg.solve(curvature, slope))


def derivatives(sample: Sample, parameters: Parameters) -> tuple[FloatArray, FloatArray]:
    """Residuals (n,) and their derivatives by the log-parameters (P, n), by finite differences."""
    logs = parameters.log_values
    residuals = log_residuals(sample, parameters)
    variants = log_residuals(sample, Parameters(logs + _STEP * np.eye(len(logs))))
    return residuals, (variants - residuals) / _STEP


def group_labels(labels: np.ndarray, most: int) -> list[set[str]]:
    """Labels to leave out together: one by one up to `most`, otherwise dealt into that many groups.

    The largest labels come first, so that no group holds most of the rows.
    """
    counts = Counter(labels.tolist())
    order = sorted(counts, key=lambda label: (-counts[label], label))
    return [set(order[start::most]) for start in range(min(most, len(order)))]
