"""Planted changes, `probes.py --plant NAME`: each moves a last bit, a letter or a rule, and no shape."""

from collections.abc import Callable

import torch

from k2repro.mini import grading


def _other_rsqrt() -> None:
    """1 / sqrt(x) in two rounded steps instead of one."""
    torch.Tensor.rsqrt_ = lambda self: self.sqrt_().reciprocal_()  # type: ignore[method-assign]


def _other_momentum() -> None:
    """The same momentum as a sum of two products instead of one interpolation."""
    torch.Tensor.lerp_ = (  # type: ignore[method-assign]
        lambda self, end, weight: self.mul_(1 - weight).add_(end * weight)
    )


def _other_ties() -> None:
    """Of equally likely tokens at the edge of the nucleus only the first is kept."""
    from k2repro.engine import choose

    def first_only(kept: torch.Tensor, top_p: float) -> torch.Tensor:
        order = torch.sort(kept, dim=-1, descending=True, stable=True).indices
        mass = kept.gather(-1, order).cumsum(-1, dtype=torch.float64)
        inside = mass - kept.gather(-1, order) < top_p * mass[:, -1:]
        return kept * torch.zeros_like(kept).scatter(-1, order, inside.to(kept.dtype))

    choose.keep_nucleus = first_only


def _other_log_softmax() -> None:
    """Log-probabilities of what is read, computed in 64 bit and rounded at the end."""
    from k2repro.engine import reading

    make = reading._reading
    reading._reading = lambda logits, targets: make(logits.double().log_softmax(-1).float(), targets)


def _other_deviation() -> None:
    """The standard deviation of a group with n in the denominator."""
    std = torch.Tensor.std
    torch.Tensor.std = lambda self, *given, **named: std(  # type: ignore[method-assign]
        self, *given, **{**named, "correction": 0}
    )


def _other_spelling() -> None:
    """A space less in front of an answer."""
    from k2repro.mini import traces

    spelled = traces.response_text
    traces.response_text = lambda trace, answer: spelled(trace, answer.lstrip())


def _lenient_grader() -> None:
    """The answer counts wherever it stands in the response."""
    split = grading.split_response
    grading.split_response = lambda response: split(
        response.rpartition("<think>")[1] + response.rpartition("<think>")[2]
    )


def _neighbouring_seeds() -> None:
    """Seeds that are sums instead of hashes."""
    from k2repro.evaluate import pool

    pool.problem_seed = lambda seed, name: seed + len(name)


PLANTED: dict[str, Callable[[], None]] = {
    "rsqrt": _other_rsqrt,
    "momentum": _other_momentum,
    "ties": _other_ties,
    "log-softmax": _other_log_softmax,
    "deviation": _other_deviation,
    "spelling": _other_spelling,
    "grader": _lenient_grader,
    "seeds": _neighbouring_seeds,
}
