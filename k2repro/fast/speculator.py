"""The compiled loop of speculative decoding with its memory: rows begin, run, ask and answer."""

import copy
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from k2repro.architecture.qwen2 import Qwen2
from k2repro.fast.decoder import buffers_for, cache_for, copy_row, logits_for
from k2repro.fast.folding import angles, fold
from k2repro.fast.kernels.decode import DecodeBatch, decode
from k2repro.fast.kernels.judging import ACCEPTED, ADDED, ASKS, BROKEN, BROKEN_DRAFT, CORRECTED, DONE, RUNNING
from k2repro.fast.kernels.panels import PANEL
from k2repro.fast.kernels.speculating import (
    LOOKUP,
    MODEL,
    Reader,
    Rules,
    Scratch,
    SpeculativeRows,
    rehearse,
    speculate,
)

__all__ = ["ACCEPTED", "ADDED", "ASKS", "BROKEN", "BROKEN_DRAFT", "CORRECTED", "KINDS", "RULES", "Speculator"]

RULES = ("coupled", "token", "block")
KINDS = ("model", "lookup", "bigram")
# Cycles of a call: a Ctrl-C is heard between two calls.
_CYCLES = 256
# Tokens of a prompt read in one pass.
_READ = 256


class Speculator:
    """target, draft: Qwen2 in 32 bit on the CPU; draft None where `kind` is "lookup" or "bigram".

    table: float32 [V, V], logits of what follows each token, for "bigram". rows: written together. gamma:
    most tokens a cycle, 0 for none. positions: of the caches. Other arguments as of `speculative_sample`.
    """

    def __init__(
        self,
        target: Qwen2,
        draft: Qwen2 | None,
        *,
        kind: str,
        table: NDArray[np.float32] | None,
        rows: int,
        gamma: int,
        positions: int,
        rule: str = "coupled",
        temperature: float = 1.0,
        top_p: float = 1.0,
        confidence: float = 0.0,
        stop: Sequence[int] = (),
    ) -> None:
        words = target.config.vocab_size
        self.rows, self.gamma, self.coupled = rows, gamma, rule == "coupled"
        self.target = _reader(target, rows, gamma, positions)
        self.draft = self.target if draft is None else _reader(draft, rows, gamma, positions)
        self._drafts = draft is not None
        self.words, self.positions = words, positions
        self._rules = Rules(
            RULES.index(rule),
            KINDS.index(kind),
            gamma,
            float(confidence),
            np.float32(temperature),
            float(top_p),
            words,
        )
        self._scratch = _scratch(rows, gamma, words, table)
        self._stops = np.zeros(words, np.bool_)
        self._stops[list(stop)] = True
        self.state: SpeculativeRows

    def begin(self, begun: Sequence[tuple[Sequence[int], NDArray[np.float64], int]]) -> None:
        """(prompt, numbers, most new tokens) of each row, at most `rows`; their prompts are read."""
        count, size = len(begun), max(len(numbers) for _, numbers, _ in begun)
        self.state = SpeculativeRows(
            tokens=np.zeros((count, self.positions + 1), np.int64),
            counts=np.array([len(prompt) for prompt, _, _ in begun]),
            prompts=np.array([len(prompt) for prompt, _, _ in begun]),
            limits=np.array([len(prompt) + budget for prompt, _, budget in begun]),
            state=np.full(count, RUNNING),
            numbers=np.zeros((count, size)),
            used=np.zeros(count, np.int64),
            stops=self._stops,
            origin=np.zeros((count, self.positions + 1), np.int8),
            cycles=np.zeros((count, self.gamma + 1, self.gamma + 1), np.int64),
        )
        for row, (prompt, numbers, _) in enumerate(begun):
            self.state.tokens[row, : len(prompt)] = prompt
            self.state.numbers[row, : len(numbers)] = numbers
            # Samples of one prompt read it once.
            again = row > 0 and prompt is begun[row - 1][0]
            for reader in (self.target, self.draft)[: 1 + self._drafts]:
                if again:
                    copy_row(reader.cache, reader.lengths, row - 1, row)
                else:
                    _read(reader, row, self.state.tokens[row, : len(prompt) - 1])

    def cycle(self) -> bool:
        """One cycle of every row; False if none goes on."""
        speculate(self.target, self.draft, self.state, self._scratch, self._rules, 1)
        return bool((self.state.state == RUNNING).any())

    def run(self) -> bool:
        """Go on until all rows are at their end (False), or one asks or is broken (True)."""
        while True:
            speculate(self.target, self.draft, self.state, self._scratch, self._rules, _CYCLES)
            state = self.state.state
            if (state > DONE).any():
                return True
            if (state == DONE).all():
                return False

    def logits_asked(self, row: int) -> NDArray[np.float32]:
        """The logits, [V], of the token that a row asks for."""
        return self.target.logits[self.state.used[row], : self._rules.words]

    def number_asked(self, row: int) -> NDArray[np.float64]:
        """The number, [1], of that token."""
        at = self.state.counts[row] - self.state.prompts[row]
        return self.state.numbers[row, at : at + 1]

    def answer(self, row: int, token: int) -> None:
        """The token that a row asked for; it goes on."""
        state, at = self.state, self.state.counts[row]
        state.tokens[row, at], state.origin[row, at] = token, CORRECTED
        state.counts[row] = at + 1
        ended = state.stops[token] or at + 1 >= state.limits[row]
        state.state[row] = DONE if ended else RUNNING

    def response(self, row: int) -> tuple[list[int], NDArray[np.int8]]:
        """A row's response so far, and how each of its tokens came."""
        begin, end = self.state.prompts[row], self.state.counts[row]
        return self.state.tokens[row, begin:end].tolist(), self.state.origin[row, begin:end]

    def prepare(self, texts: Sequence[Sequence[int]]) -> None:
        """Rows that stand behind `texts` and end nowhere near, for `rehearse`.

        Cycles of `gamma` guesses need room for gamma + 1 tokens behind a text.
        """
        numbers = np.full(2 * self.gamma + 2, 0.5)
        self.begin([(text, numbers, min(len(numbers), self.positions - len(text))) for text in texts])
        self.state = self.state._replace(stops=np.zeros_like(self._stops))

    def rehearse(self, gamma: int, cycles: int) -> None:
        """The next cycle of the rows that were prepared, again and again, with `gamma` guesses."""
        rules = self._rules._replace(gamma=gamma)
        rehearse(self.target, self.draft, self.state, self._scratch, rules, cycles)

    def retuned(
        self, *, gamma: int, rows: int | None = None, temperature: float | None = None, lookup: bool = False
    ) -> "Speculator":
        """The same models and memory with other settings; one of the two runs at a time.

        gamma, rows: at most those of this one. lookup: it takes the place of the draft.
        """
        other, rules = copy.copy(self), self._rules
        other.rows = self.rows if rows is None else rows
        other.gamma, kind = gamma, LOOKUP if lookup else rules.kind
        # Without guesses the draft need not read prompts.
        other._drafts = kind == MODEL and gamma > 0
        warmth = rules.temperature if temperature is None else np.float32(temperature)
        other._rules = rules._replace(kind=kind, gamma=gamma, temperature=warmth)
        return other


def _scratch(rows: int, gamma: int, words: int, table: NDArray[np.float32] | None) -> Scratch:
    """Room for one cycle: guesses, both distributions with their sums, and what the target is to read."""
    wide = -(-words // PANEL) * PANEL + PANEL
    return Scratch(
        drafts=np.zeros((rows, max(1, gamma)), np.int64),
        many=np.zeros(rows, np.int64),
        q=np.zeros((rows * max(1, gamma), wide), np.float32),
        q_sums=np.zeros(rows * max(1, gamma)),
        p=np.zeros((gamma + 1, wide), np.float32),
        p_sums=np.zeros(gamma + 1),
        batch=np.zeros((4, rows * (gamma + 3)), np.int64),
        table=np.zeros((1, 1), np.float32) if table is None else np.ascontiguousarray(table, np.float32),
    )


def _reader(model: Qwen2, rows: int, gamma: int, positions: int) -> Reader:
    config, most = model.config, max(_READ, rows * (gamma + 3))
    return Reader(
        weights=fold(model),
        # A cycle may read past the last token that is kept.
        cache=cache_for(config, rows, positions + gamma + 1),
        angles=angles(model, positions + gamma + 1),
        epsilon=np.float32(config.rms_norm_eps),
        buffers=buffers_for(config, most, positions + gamma + 1),
        logits=logits_for(config, most),
        lengths=np.zeros(rows, np.int64),
    )


def _read(reader: Reader, row: int, tokens: NDArray[np.int64]) -> None:
    """Fill the cache of a row with `tokens`, and nothing else."""
    for first in range(0, len(tokens), _READ):
        part = tokens[first : first + _READ]
        places = np.arange(first, first + len(part))
        batch = DecodeBatch(part, np.full(len(part), row), places, np.zeros(0, np.int64))
        weights, cache, turns, epsilon, buffers, logits, _ = reader
        decode(batch, weights, cache, turns, epsilon, buffers, logits)
    reader.lengths[row] = len(tokens)
