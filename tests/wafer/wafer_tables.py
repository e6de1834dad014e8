"""Shared by the wafer tests: the shipped rates, one score of them, and small rate files."""

import functools

import numpy as np

from k2repro.wafer.calibration.fit import Sample, fitting_rows, make_sample
from k2repro.wafer.calibration.rates import REQUIRED, RateTable, load_rates, parse_rates
from k2repro.wafer.calibration.score import ScoreReport, score_rates
from k2repro.wafer.replay.trace import Phase, Request, Trace, plain_stream

PLAIN = {
    "model": "Llama-3.1-8B",
    "precision": "bf16",
    "batch": "1",
    "hardware": "A100-80GB-SXM",
    "n_devices": "1",
    "bandwidth_gbs_per_device": "2039",
    "parallelism": "single",
    "framework": "vLLM",
    "metric_kind": "pure_decode",
    "tok_s_per_user": "85",
    "source": "somebody",
    "context_in": "1",
    "context_out": "512",
}


@functools.cache
def shipped_table() -> RateTable:
    """The shipped rates, read once."""
    return load_rates()


@functools.cache
def shipped_report() -> ScoreReport:
    """The full score of the shipped rates, leave-one-out included, computed once."""
    return score_rates()


@functools.cache
def fitting_sample() -> Sample:
    """The rows that the frozen parameters were fitted on."""
    return make_sample(fitting_rows(shipped_table()))


def overall(name: str):
    """One line of the shipped report by its name."""
    return next(score for score in shipped_report().overall if score.name == name)


def csv_lines(*rows: dict[str, str], drop: tuple[str, ...] = ()) -> list[str]:
    """Lines of a rates file from rows that change the plain row."""
    columns = [
        key for key in dict.fromkeys([*REQUIRED, *PLAIN, *(k for r in rows for k in r)]) if key not in drop
    ]
    lines = [",".join(columns)]
    for row in rows:
        full = {**PLAIN, **row}
        lines.append(",".join(full.get(column, "") for column in columns))
    return lines


def table_of(*rows: dict[str, str]) -> RateTable:
    """A parsed table of such rows."""
    return parse_rates(csv_lines(*rows), "small.csv")


def median_error(predicted: np.ndarray, measured: np.ndarray) -> float:
    """Median of |predicted / measured - 1|."""
    return float(np.median(np.abs(predicted / measured - 1)))


def trace_from_lengths(prompt_tokens: int, output_tokens: list[int], question: str = "") -> Trace:
    """A trace of one prompt and a fan-out of samples of these lengths."""
    streams = tuple(plain_stream(prompt_tokens, tokens) for tokens in output_tokens)
    return Trace((Request("request-1", question, (Phase("solve", "solver", streams),)),), "token counts")
