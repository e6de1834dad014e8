"""What is kept of each step of a GRPO run: numbers that come out again, and wall times apart from them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from k2repro.rlvr.diagnostics import combine
from k2repro.rlvr.groups import Group
from k2repro.rlvr.rollouts import Clock
from k2repro.rlvr.step import StepResult

# What files that ship call the negative log-likelihood.
NLL_IN_FILES = "surprise"


@dataclass(frozen=True)
class StepRecord:
    """One step of a run; the same run gives the same record.

    step: from 0. budget: response tokens. groups: sampled, of which all_right and all_wrong scored alike
    (above 0, or not). reward: mean score. pass_rate: share of completions that score 1 or more. length: mean
    completion tokens. truncated: share cut off by the budget. nll: minus the mean log-probability of the
    sampled tokens, an unbiased estimate of the entropy over all of them (nats).
    updates: optimisation steps taken, 0 if no group had anything to teach; the fields below are then None.
    loss ... entropy: see `Diagnostics`, over the tokens trained on; grad_norm: mean over updates, before
    clipping; gap, gap_mean: see `Gap`.
    """

    step: int
    budget: int
    groups: int
    all_right: int
    all_wrong: int
    reward: float
    pass_rate: float
    length: float
    truncated: float
    nll: float | None
    updates: int
    loss: float | None = None
    grad_norm: float | None = None
    entropy: float | None = None
    kl: float | None = None
    ratio_min: float | None = None
    ratio_max: float | None = None
    clip_low: float | None = None
    clip_high: float | None = None
    gap: float | None = None
    gap_mean: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """The record as files have it."""
        record = asdict(self)
        record[NLL_IN_FILES] = record.pop("nll")
        return record

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> "StepRecord":
        """A record from a file."""
        known = dict(record)
        return cls(nll=known.pop(NLL_IN_FILES), **known)


@dataclass(frozen=True)
class StepProgress:
    """A step as it is reported while the run goes on; seconds vary from run to run."""

    record: StepRecord
    steps: int
    clock: Clock
    seconds_left: float


def summarise(step: int, budget: int, groups: Sequence[Group], results: Sequence[StepResult]) -> StepRecord:
    """The record of one step from its groups and its updates, of which there may be none."""
    completions = [completion for group in groups for completion in group.completions]
    scores = [value for group in groups for value in group.scores]
    uniform = [group.scores[0] for group in groups if group.uniform]
    count = len(completions)
    logprobs = [completion.logprobs for completion in completions if completion.logprobs is not None]
    sampled = sum(len(values) for values in logprobs)
    record = StepRecord(
        step=step,
        budget=budget,
        groups=len(groups),
        all_right=sum(value > 0 for value in uniform),
        all_wrong=sum(value <= 0 for value in uniform),
        reward=sum(scores) / count,
        pass_rate=sum(value >= 1 for value in scores) / count,
        length=sum(len(completion.tokens) for completion in completions) / count,
        truncated=sum(completion.finish == "length" for completion in completions) / count,
        nll=-sum(float(values.sum(dtype="float64")) for values in logprobs) / sampled if sampled else None,
        updates=len(results),
    )
    return _with_updates(record, results) if results else record


def _with_updates(record: StepRecord, results: Sequence[StepResult]) -> StepRecord:
    every = combine([result.diagnostics for result in results])
    gaps = [result.gap for result in results if result.gap is not None]
    return replace(
        record,
        loss=every.loss / len(results),
        grad_norm=sum(result.grad_norm for result in results) / len(results),
        entropy=every.entropy,
        kl=every.kl,
        ratio_min=every.ratio_min,
        ratio_max=every.ratio_max,
        clip_low=every.clip_low,
        clip_high=every.clip_high,
        gap=max((gap.largest for gap in gaps), default=None),
        gap_mean=gaps[0].mean if gaps else None,
    )
