"""The training loop: batches in, a trained model out, resumable at any step to the same bytes.

One loop serves pre-training and fine-tuning. What varies is the stream of batches; it can say where it stands
and continue from there, which is what makes a resumed run equal to an undisturbed one.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor
from torch.nn import functional

from k2repro.architecture import Qwen2
from k2repro.errors import K2ReproError
from k2repro.fast import fits_fused, packed_logits
from k2repro.training.optimizer import Optimizer
from k2repro.training.packing import IGNORED, Batch
from k2repro.training.schedules import Schedule, constant
from k2repro.training.state import load_state, save_state

# Steps over which a loss is averaged before it may end a stage.
RECENT = 40
# Steps between two looks at the skills of a stage.
SKILL_STEPS = 50


class BatchStream(Protocol):
    """An endless source of batches that knows its position."""

    def next_batch(self) -> Batch: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> None: ...


@dataclass(frozen=True)
class TrainingProgress:
    """Where a training run stands. Wall times are for people and never enter a row."""

    stage: str
    step: int
    steps: int
    loss: float
    tokens: int
    tokens_per_second: float
    seconds_left: float


@dataclass
class History:
    """Loss and tokens of every step so far; deterministic, so it may be stored and plotted.

    skills: loss of each skill, every SKILL_STEPS steps; empty for a stage that measures none
    """

    loss: list[float] = field(default_factory=list)
    tokens: list[int] = field(default_factory=list)
    skills: dict[str, list[float]] = field(default_factory=dict)

    def add(self, loss: float, batches: Sequence[Batch]) -> int:
        """Note one step; how many there are now."""
        self.loss.append(loss)
        self.tokens.append(sum(batch.used for batch in batches))
        return len(self.loss)


OnStep = Callable[[TrainingProgress], None]
# The loss of each skill that a stage teaches (nats a token), and the most that it may be.
Skills = Callable[[Qwen2], Mapping[str, tuple[float, float]]]
AtStep = Callable[[int, Qwen2], None]


def train(
    model: Qwen2,
    optimizer: Optimizer,
    stream: BatchStream,
    steps: int,
    *,
    stage: str = "training",
    schedule: Schedule = constant,
    until: float | None = None,
    skills: Skills | None = None,
    accumulate: int = 1,
    work: Path | None = None,
    save_every: int = 100,
    progress: OnStep | None = None,
    at_step: AtStep | None = None,
) -> History:
    """Train `model` in place for `steps` optimiser steps, or fewer when `until` is reached.

    until: nats for each token; training ends once the mean loss of the last RECENT steps is at most this.
        Tiny models learn in sudden steps whose moment depends on the last bit of a sum; a stage that others
        build on must not end before its step has come.
    skills: measured every SKILL_STEPS steps and at the last; training ends once each is within its
        bound. A mean over a mixture hides a skill that is missing behind those that are there.
    accumulate: batches whose gradients form one step; the loss is the mean over all learned tokens of
        the step, so splitting a batch changes nothing but rounding.
    work: folder for `state.safetensors`, written every `save_every` steps; if one is there, training
        continues from it. progress: called after each step. at_step: called with the number of finished steps
        after each step, and with 0 before the first one, to keep checkpoints or to probe.
    Raises K2ReproError when the loss is not a finite number; the last saved state stays.
    """
    _check_counts(steps, accumulate)
    path = None if work is None else work / "state.safetensors"
    history = History()
    first = step = _resume(path, model, optimizer, stream, history)
    if first == 0 and at_step is not None:
        at_step(0, model)
    model.train()
    started = time.perf_counter()
    while not _is_over(model, history, steps, until, skills):
        batches = [stream.next_batch() for _ in range(accumulate)]
        loss = accumulate_gradients(model, batches)
        if not math.isfinite(loss):
            raise _not_finite(stage, step, loss, stream, path)
        optimizer.step(schedule(step, steps))
        step = history.add(loss, batches)
        if progress is not None:
            progress(_progress(stage, steps, history, first, time.perf_counter() - started))
        if at_step is not None:
            at_step(step, model)
        if step % save_every == 0:
            _save(path, step, model, optimizer, stream, history)
    _save(path, step, model, optimizer, stream, history)
    model.eval()
    return history


def _check_counts(steps: int, accumulate: int) -> None:
    if steps < 1 or accumulate < 1:
        raise K2ReproError(f"steps {steps}, accumulate {accumulate}: both must be at least 1")


def _progress(stage: str, steps: int, history: History, first: int, elapsed: float) -> TrainingProgress:
    """Where a run stands that began at step `first` and has taken `elapsed` seconds since."""
    done, elapsed = len(history.loss), max(elapsed, 1e-9)
    return TrainingProgress(
        stage,
        done,
        steps,
        history.loss[-1],
        sum(history.tokens),
        sum(history.tokens[first:]) / elapsed,
        elapsed / (done - first) * (steps - done),
    )


def is_mastered(losses: Sequence[float], until: float | None) -> bool:
    """Whether the mean of the last RECENT losses is at most `until`; never without a bound."""
    return until is not None and len(losses) >= RECENT and sum(losses[-RECENT:]) <= until * RECENT


def _is_over(model: Qwen2, history: History, steps: int, until: float | None, skills: Skills | None) -> bool:
    """Whether training ends here: all steps are done, or the mean loss or every skill is within its bound.

    Skills are measured, and noted in `history`, at each SKILL_STEPS-th step and at the last.
    """
    step = len(history.loss)
    ends = step == steps or is_mastered(history.loss, until)
    if skills is None or step == 0 or (step % SKILL_STEPS and step < steps):
        return ends
    model.eval()
    found = skills(model)
    model.train()
    for name, (loss, _) in found.items():
        measured = history.skills.setdefault(name, [])
        del measured[-(-step // SKILL_STEPS) - 1 :]
        measured.append(loss)
    return ends or all(loss <= bound for loss, bound in found.values())


def accumulate_gradients(model: Qwen2, batches: list[Batch]) -> float:
    """Add the gradients of the mean loss over all learned tokens of `batches`; returns that loss."""
    learned = sum(batch.learned for batch in batches)
    if learned == 0:
        raise K2ReproError("no token to learn in this step: every target is ignored")
    total = 0.0
    for batch in batches:
        loss = response_loss(model, batch) / learned
        loss.backward()
        total += float(loss.detach())
    return total


def response_loss(model: Qwen2, batch: Batch) -> Tensor:
    """Sum of the negative log-likelihoods (nats) of the learned tokens; logits only where needed.

    32-bit models on the CPU take the fast way of `fast/packed.py`, all others the module as it is.
    """
    targets = batch.targets.flatten()
    learned = (targets != IGNORED).nonzero()[:, 0]
    if fits_fused(model):
        logits = packed_logits(model, batch.tokens, batch.segments, learned, positions=batch.positions)
    else:
        logits = model(batch.tokens, segments=batch.segments, positions=batch.positions)
        logits = logits.flatten(0, 1)[learned]
    return functional.cross_entropy(logits, targets[learned], reduction="sum")


def _resume(
    path: Path | None, model: Qwen2, optimizer: Optimizer, stream: BatchStream, history: History
) -> int:
    """Take over a saved state if there is one; the number of finished steps."""
    if path is None or not path.exists():
        return 0
    state = load_state(path)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    stream.load_state_dict(state["stream"])
    history.loss.extend(state["loss"])
    history.tokens.extend(state["tokens"])
    history.skills.update(state.get("skills", {}))
    return int(state["step"])


def _save(
    path: Path | None, step: int, model: Qwen2, optimizer: Optimizer, stream: BatchStream, history: History
) -> None:
    """Write all that an exact resumption needs, where there is a place for it."""
    if path is not None:
        tree = {
            "step": step,
            "model": dict(model.state_dict()),
            "optimizer": optimizer.state_dict(),
            "stream": stream.state_dict(),
            "loss": history.loss,
            "tokens": history.tokens,
            "skills": history.skills,
        }
        save_state(path, tree)


def _not_finite(stage: str, step: int, loss: float, stream: BatchStream, path: Path | None) -> K2ReproError:
    kept = f"; the last good state is {path}" if path is not None and path.exists() else ""
    return K2ReproError(
        f"{stage}: the loss of step {step} is {loss} (stream at {stream.state_dict()}){kept}. Usual causes: "
        "a learning rate that is too high, or a damaged checkpoint"
    )
