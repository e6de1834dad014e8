"""The GRPO loop: sample groups, judge them, take a step, note it; resumable to the same bytes.

A state holds the weights, the optimiser, the place in the prompt stream and the records. There is no random
state to keep: see `rollouts.py`.
"""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import pairwise, takewhile
from pathlib import Path
from typing import Any

import torch

from k2repro.architecture.qwen2 import Qwen2
from k2repro.errors import K2ReproError
from k2repro.fast import fits_fused
from k2repro.rlvr.batch import MicroBatch, Rollout, micro_batches
from k2repro.rlvr.config import GrpoConfig
from k2repro.rlvr.groups import Group, advantages_of, select
from k2repro.rlvr.loss import StepBatch
from k2repro.rlvr.records import StepProgress, StepRecord, summarise
from k2repro.rlvr.rollouts import Clock, RolloutSource, draw_groups
from k2repro.rlvr.step import (
    DivergedError,
    StepResult,
    train_step,
    with_old_logprobs,
    with_reference,
    wrapped,
)
from k2repro.training.optimizer import Optimizer
from k2repro.training.schedules import Schedule
from k2repro.training.state import load_state, save_state

OnStep = Callable[[StepProgress], None]
Probe = Callable[[int, Qwen2], None]


@dataclass
class _Run:
    """A run between two steps: what it trains and how far it is."""

    model: Qwen2
    optimizer: Optimizer
    source: RolloutSource
    config: GrpoConfig
    reference: Qwen2 | None
    position: int = 0  # prompts drawn from the stream
    records: list[StepRecord] = field(default_factory=list)

    def step(self, step: int, factor: float, clock: Clock) -> None:
        """Sample, judge, update, record. factor: of the peak learning rate."""
        budget = self.config.budget_at(step)
        groups = draw_groups(self.model, self.source, self.config, self.position, budget, clock)
        self.position += len(groups)
        started = time.perf_counter()
        results = self._updates(groups, budget, step, factor)
        clock.training += time.perf_counter() - started
        self.records.append(summarise(step, budget, groups, results))

    def _updates(self, groups: Sequence[Group], budget: int, step: int, factor: float) -> list[StepResult]:
        """An update for each equal share of the groups that has a gradient, `iterations` times over."""
        config, shares = self.config, self.config.updates_per_rollout
        advantages = advantages_of(groups, config, budget)
        bounds = [len(groups) * share // shares for share in range(shares + 1)]
        batches: list[tuple[list[MicroBatch], StepBatch]] = []
        for start, stop in pairwise(bounds):
            chosen = select(groups[start:stop], advantages[start:stop], config)
            if chosen.rollouts:
                batches.append((self._batches(chosen.rollouts), chosen.whole))
        results: list[StepResult] = []
        for _ in range(config.iterations):
            for micro, whole in batches:
                result = train_step(
                    self.model,
                    micro,
                    self.optimizer,
                    config,
                    whole=whole,
                    max_completion_length=budget,
                    factor=factor,
                    on_policy=not results,
                    step=step,
                )
                results.append(result)
        return results

    def _batches(self, rollouts: Sequence[Rollout]) -> list[MicroBatch]:
        """Micro-batches with all the log-probabilities that must be taken before the first update."""
        config = self.config
        batches = micro_batches(
            rollouts,
            max_tokens=config.micro_batch_tokens,
            share_prefixes=fits_fused(self.model),
            multiple=config.micro_batch_multiple,
        )
        if config.updates_per_rollout * config.iterations > 1:
            batches = with_old_logprobs(self.model, batches)
        if self.reference is not None and config.beta:
            batches = with_reference(self.reference, batches)
        return batches

    def skipped(self) -> int:
        """Steps without an update, at the end of what was done so far."""
        return len(list(takewhile(lambda record: not record.updates, reversed(self.records))))

    def state(self) -> dict[str, Any]:
        """Everything that an exact resumption needs."""
        return {
            "model": dict(self.model.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "position": self.position,
            "records": [record.as_dict() for record in self.records],
            "config": _plain(self.config),
        }

    def resume(self, path: Path) -> None:
        """Take over the state at `path`; raises K2ReproError if it was made with another config."""
        state = load_state(path)
        mine = _plain(self.config)
        changed = sorted(key for key in mine if state["config"].get(key) != mine[key])
        if changed:
            key = changed[0]
            raise K2ReproError(
                f"{path} was made with {key} = {state['config'].get(key)}, not {mine[key]}: a run cannot be "
                "continued with other settings. Use another folder"
            )
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.position = state["position"]
        self.records = [StepRecord.from_dict(record) for record in state["records"]]


def flat(step: int, steps: int) -> float:
    """The peak learning rate throughout (Guru example: constant)."""
    return 1.0


def train_grpo(
    model: Qwen2,
    optimizer: Optimizer | torch.optim.Optimizer,
    source: RolloutSource,
    config: GrpoConfig,
    steps: int,
    *,
    reference: Qwen2 | None = None,
    schedule: Schedule = flat,
    work: Path | None = None,
    save_every: int = 10,
    progress: OnStep | None = None,
    probe: Probe | None = None,
    probe_every: int = 10,
) -> list[StepRecord]:
    """Train `model` in place until `steps` steps are done; the records of all of them.

    source: prompts, rewards and backend. reference: frozen model of the KL term, needed if config.beta > 0.
    schedule: factor of the peak learning rate at (step, steps). work: folder for `state.safetensors`,
    written every `save_every` steps; if one is there, the run continues from it. progress: called after
    each step. probe: called with the number of finished steps before the first step, after every
    `probe_every` and after the last, to evaluate.
    Raises DivergedError naming the step when loss, gradient or weights are not finite, K2ReproError for bad
    input and when more than config.max_skipped_steps steps in a row had no group to learn from. The
    state saved last stays in every case.
    """
    _check(config, reference, steps, save_every, probe_every)
    run = _Run(model, wrapped(optimizer), source, config, reference)
    path = None if work is None else work / "state.safetensors"
    if path is not None and path.exists():
        run.resume(path)
    first = len(run.records)
    if first == 0 and probe is not None:
        probe(0, model)
    started = time.perf_counter()
    for step in range(first, steps):
        clock = Clock()
        with _naming(path):
            run.step(step, schedule(step, steps), clock)
        _check_skipped(run, config)
        done = step + 1
        if progress is not None:
            left = (time.perf_counter() - started) / (done - first) * (steps - done)
            progress(StepProgress(run.records[-1], steps, clock, left))
        if probe is not None and (done % probe_every == 0 or done == steps):
            probe(done, model)
        if path is not None and (done % save_every == 0 or done == steps):
            save_state(path, run.state())
    return run.records


@contextmanager
def _naming(path: Path | None) -> Iterator[None]:
    """Say in a divergence what was kept."""
    try:
        yield
    except DivergedError as error:
        kept = (
            f"The last good state is {path}" if path is not None and path.exists() else "No state was saved"
        )
        raise DivergedError(f"{error}. {kept}") from error


def _plain(config: GrpoConfig) -> dict[str, Any]:
    """The config as it comes back from JSON: lists for tuples."""
    found: dict[str, Any] = json.loads(json.dumps(asdict(config)))
    return found


def _check(
    config: GrpoConfig, reference: Qwen2 | None, steps: int, save_every: int, probe_every: int
) -> None:
    if min(steps, save_every, probe_every) < 1:
        raise K2ReproError(
            f"steps = {steps}, save_every = {save_every}, probe_every = {probe_every}: must be at least 1"
        )
    if config.beta and reference is None:
        raise K2ReproError(f"beta = {config.beta} asks for a KL term: give the reference model")


def _check_skipped(run: _Run, config: GrpoConfig) -> None:
    skipped = run.skipped()
    if skipped > config.max_skipped_steps:
        last = run.records[-1]
        raise K2ReproError(
            f"step {last.step}: {skipped} steps in a row had no group to learn from; in this one "
            f"{last.all_right} of {last.groups} groups were all right, {last.all_wrong} all wrong. Usual "
            "causes: problems far too hard or too easy for the model, or a reward that never (or always) pays"
        )
