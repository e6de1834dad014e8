"""Sampling many prompts at once: rows join and leave the batch, and no row notices the others.

A step reads one token for each row in flight. A finished row leaves: the last row takes its place, and
the next sample waiting begins at the end (continuous batching; Yu et al., "Orca", OSDI 2022). A prompt is
read once, when its first sample begins.
"""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from ..architecture.qwen2 import Qwen2
from . import checks
from .choose import choose, log_probabilities
from .completion import Completion, Finish
from .eager import EagerDecoder
from .flight import Flight
from .fused import FusedDecoder
from .rows import Prefix, RowDecoder
from .stop import StopRule
from .text import TextCodec
from .weights import fuse

# Sixty-four rows use the matrix units well; beyond, keys and values outgrow the caches of a small CPU.
MAX_BATCH = 64
# Above this a second copy of the weights costs more memory than the saved dispatches are worth.
FUSED_PARAMETERS = 200_000_000

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Settings:
    """How tokens are drawn; checked."""

    n: int
    max_new_tokens: int
    temperature: float
    top_p: float
    logprobs: bool


class Sampler:
    """A model made ready for sampling; reusable.

    model: a Qwen2. fused: True for the fast decoder of `fused.py` (float32 weights on the CPU; works on a
    prepared copy, so call `refresh` when the weights have changed), False for the module as it is, None
    for the fast one wherever it applies, up to 200M parameters. Both give the same tokens.
    """

    def __init__(self, model: Qwen2, *, fused: bool | None = None) -> None:
        self.model, self.config = model, model.config
        self.fused = _fits_fused(model) if fused is None else fused
        self.refresh()

    def refresh(self) -> None:
        """Read the model's weights again, after a training step."""
        self._weights = fuse(self.model) if self.fused else None

    def sample(
        self,
        prompts: Sequence[Sequence[int] | str],
        *,
        n: int = 1,
        max_new_tokens: int,
        temperature: float = 1.0,
        top_p: float = 1.0,
        generator: torch.Generator | None = None,
        seeds: Sequence[int] | None = None,
        stop: Sequence[int | str] = (),
        tokenizer: Any = None,
        logprobs: bool = False,
        max_batch: int = MAX_BATCH,
        progress: Progress | None = None,
    ) -> list[list[Completion]]:
        """As the function `sample`, which see, without `model`."""
        vocab_size, context = self.config.vocab_size, self.config.max_position_embeddings
        settings = Settings(
            n=checks.whole("n", n),
            max_new_tokens=checks.whole("max_new_tokens", max_new_tokens),
            temperature=checks.check_temperature(temperature),
            top_p=checks.check_top_p(top_p),
            logprobs=bool(logprobs),
        )
        codec = None if tokenizer is None else TextCodec(tokenizer, vocab_size)
        rule = StopRule(stop, codec, vocab_size)
        tokens = checks.check_prompts(prompts, codec, vocab_size, context)
        drawn = checks.prompt_seeds(seeds, generator, len(tokens), temperature == 0)
        rows = min(checks.whole("max_batch", max_batch), max(1, len(tokens) * n))
        if not tokens:
            return []
        positions = min(context, max(map(len, tokens)) + settings.max_new_tokens)
        decoder = self._decoder(rows, positions)
        flight = Flight(rows, settings.max_new_tokens)
        run = _Run(decoder, flight, settings, rule, codec, tokens, drawn, context)
        return run.all(progress)

    def _decoder(self, rows: int, positions: int) -> RowDecoder:
        if self._weights is None:
            return EagerDecoder(self.model, rows, positions)
        return FusedDecoder(self._weights, rows, positions)


class _Run:
    """One call of `sample` on its way."""

    def __init__(
        self,
        decoder: RowDecoder,
        flight: Flight,
        settings: Settings,
        rule: StopRule,
        codec: TextCodec | None,
        prompts: list[list[int]],
        seeds: list[int],
        context: int,
    ) -> None:
        self._decoder, self._flight, self._settings = decoder, flight, settings
        self._rule, self._codec, self._prompts, self._seeds = rule, codec, prompts, seeds
        self._context = context
        self._waiting = deque((p, j) for p in range(len(prompts)) for j in range(settings.n))
        self._prefixes: dict[int, Prefix] = {}
        self._found: dict[tuple[int, int], Completion] = {}

    def all(self, progress: Progress | None) -> list[list[Completion]]:
        total = len(self._waiting)
        while len(self._found) < total:
            self._admit()
            self._draw()
            before = len(self._found)
            self._land()
            if progress is not None and len(self._found) > before:
                progress(len(self._found), total)
            if self._flight.count:
                self._decoder.step(torch.from_numpy(self._flight.last_tokens()))
        n = self._settings.n
        return [[self._found[p, j] for j in range(n)] for p in range(len(self._prompts))]

    def _admit(self) -> None:
        """Begin waiting samples in the free rows; read the prompts that are new among them."""
        free = self._flight.rows - self._flight.count
        begin = [self._waiting.popleft() for _ in range(min(free, len(self._waiting)))]
        new = [p for p in dict.fromkeys(p for p, _ in begin) if p not in self._prefixes]
        read = self._decoder.prefill([self._prompts[p] for p in new])
        self._prefixes.update(zip(new, read, strict=True))
        for p, j in begin:
            budget = min(self._settings.max_new_tokens, self._context - len(self._prompts[p]))
            row = self._flight.append(p, j, self._seeds[p], budget)
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
        stopped = self._rule.is_stop[last]
        for row in np.flatnonzero(self._rule.may_end[last]).tolist():
            stopped[row] |= self._rule.completes(flight.tokens_of(row))
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
            text=None if self._codec is None else self._codec.decode(tokens),
        )


def sample(
    model: Qwen2,
    prompts: Sequence[Sequence[int] | str],
    *,
    n: int = 1,
    max_new_tokens: int,
    temperature: float = 1.0,
    top_p: float = 1.0,
    generator: torch.Generator | None = None,
    seeds: Sequence[int] | None = None,
    stop: Sequence[int | str] = (),
    tokenizer: Any = None,
    logprobs: bool = False,
    max_batch: int = MAX_BATCH,
    progress: Progress | None = None,
) -> list[list[Completion]]:
    """`n` responses to each prompt, as [prompt][sample].

    prompts: token ids, or strings when `tokenizer` is given (encoded as they are, nothing added).
    max_new_tokens: most tokens of a response; the model's context may end it earlier.
    temperature: logits are divided by it; 0 takes the most likely token. top_p: the nucleus to draw from.
    seeds: one a prompt, 0 .. 2^64 - 1; sample j draws from the stream of (seed, j) alone, so neither the
        other prompts nor n nor max_batch change it. generator: where seeds are drawn from otherwise.
    stop: token ids, and strings when `tokenizer` is given; what stops a response is part of it.
    tokenizer: a tokenizers.Tokenizer or one of transformers; completions then carry their text.
    logprobs: report the log-probability of each token at temperature 1.
    max_batch: most rows in flight; bounds memory. progress: called with (samples done, samples in all).
    Raises K2ReproError for input that cannot be served and for logits that are NaN or infinite.
    """
    return Sampler(model).sample(
        prompts,
        n=n,
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        top_p=top_p,
        generator=generator,
        seeds=seeds,
        stop=stop,
        tokenizer=tokenizer,
        logprobs=logprobs,
        max_batch=max_batch,
        progress=progress,
    )


def _fits_fused(model: Qwen2) -> bool:
    parameters = list(model.parameters())
    plain = all(p.dtype == torch.float32 and p.device.type == "cpu" for p in parameters)
    return plain and sum(p.numel() for p in parameters) <= FUSED_PARAMETERS
