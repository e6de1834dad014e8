"""Rows join and leave the batch, and no row notices the others.

A step reads one token for each row in flight. A finished row leaves: the last row takes its place, and
the next sample waiting begins at the end (continuous batching; Yu et al., "Orca", OSDI 2022). A prompt is
read once, when its first sample begins.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from k2repro.engine.backend import Completion, Finish
from k2repro.engine.choose import choose, log_probabilities
from k2repro.engine.flight import Flight
from k2repro.engine.stop import StopRule
from k2repro.engine.text import TextCodec
from k2repro.fast import Prefix, RowDecoder


@dataclass(frozen=True)
class SamplingPrompt:
    """A prompt: its tokens, the seed of its samples and the most tokens that each may draw."""

    tokens: Sequence[int]
    seed: int
    budget: int


@dataclass(frozen=True)
class SamplingSettings:
    """How tokens are drawn; checked. codec: for the text of completions, if it is wanted."""

    n: int
    temperature: float
    top_p: float
    logprobs: bool
    rule: StopRule
    codec: TextCodec | None


class Run:
    """The samples of some prompts on their way through one decoder of `rows` rows."""

    def __init__(
        self, decoder: RowDecoder, rows: int, prompts: Sequence[SamplingPrompt], settings: SamplingSettings
    ) -> None:
        self._decoder, self._prompts, self._settings = decoder, prompts, settings
        self._flight = Flight(rows, max(prompt.budget for prompt in prompts))
        self._waiting = deque((p, j) for p in range(len(prompts)) for j in range(settings.n))
        self._prefixes: dict[int, Prefix] = {}
        self._found: dict[tuple[int, int], Completion] = {}
        self.total = len(self._waiting)
        # Set from another thread to give up; `all` then returns nothing.
        self.cancelled = False

    @property
    def done(self) -> int:
        """Samples finished so far."""
        return len(self._found)

    def all(self, report: Callable[[], None]) -> list[list[Completion]]:
        """Draw every sample, as [prompt][sample]; `report` is called whenever some have finished."""
        while self._waiting or self._flight.count:
            if self.cancelled:
                return []
            if self._waiting:
                self._admit()
            self._draw()
            before = self.done
            self._land()
            if self.done > before:
                report()
            if self._flight.count:
                self._decoder.step(torch.from_numpy(self._flight.last_tokens()))
        n = self._settings.n
        return [[self._found[p, j] for j in range(n)] for p in range(len(self._prompts))]

    def _admit(self) -> None:
        """Begin waiting samples in the free rows; read the prompts that are new among them."""
        free = self._flight.rows - self._flight.count
        begin = [self._waiting.popleft() for _ in range(min(free, len(self._waiting)))]
        new = [p for p in dict.fromkeys(p for p, _ in begin) if p not in self._prefixes]
        read = self._decoder.prefill([self._prompts[p].tokens for p in new])
        self._prefixes.update(zip(new, read, strict=True))
        for p, j in begin:
            row = self._flight.append(p, j, self._prompts[p].seed, self._prompts[p].budget)
            self._decoder.put(row, self._prefixes[p])
            if j == self._settings.n - 1:
                del self._prefixes[p]

    def _draw(self) -> None:
        """One more token for every row in flight."""
        logits = self._decoder.logits[: self._flight.count]
        settings = self._settings
        tokens = choose(logits, self._flight.next_uniforms(), settings.temperature, settings.top_p)
        logprobs = log_probabilities(logits, tokens) if settings.logprobs else None
        self._flight.record(tokens.numpy(), logprobs)

    def _land(self) -> None:
        """Take the rows that are finished out of the batch, from the last row to the first."""
        flight = self._flight
        last = flight.last_tokens()
        stopped = self._settings.rule.is_stop[last]
        for row in np.flatnonzero(self._settings.rule.may_end[last]).tolist():
            stopped[row] |= self._settings.rule.completes(flight.tokens_of(row))
        finished = stopped | flight.spent()
        for row in np.flatnonzero(finished)[::-1].tolist():
            self._found[flight.names[row]] = self._completion(row, "stop" if stopped[row] else "length")
            moved = flight.drop(row)
            if moved is not None:
                self._decoder.move(moved, row)

    def _completion(self, row: int, finish: Finish) -> Completion:
        tokens = self._flight.tokens_of(row)
        return Completion(
            tokens=tuple(tokens),
            finish=finish,
            logprobs=self._flight.logprobs_of(row) if self._settings.logprobs else None,
            text=None if self._settings.codec is None else self._settings.codec.decode(tokens),
        )
